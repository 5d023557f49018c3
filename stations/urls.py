"""Pages of stations and sessions. Below /t/<tenant>/."""

from django.urls import path

from stations.views import (
    commands,
    configuration,
    der,
    frames,
    limits,
    lists,
    onboarding,
    orphans,
    review,
    sessions,
    station,
    timeline,
    wish,
)

urlpatterns = [
    path("stations/", lists.stations, name="stations"),
    path("stations/connect/", onboarding.connect, name="connect"),
    path("stations/<int:station_id>/", station.live, name="station"),
    path("stations/<int:station_id>/now/", station.now, name="station-now"),
    path("stations/<int:station_id>/sessions/", station.sessions, name="station-sessions"),
    path(
        "stations/<int:station_id>/configuration/", configuration.configuration, name="station-configuration"
    ),
    path("stations/<int:station_id>/commands/", commands.commands, name="station-commands"),
    path("stations/<int:station_id>/commands/send/", commands.send, name="command-send"),
    path("stations/<int:station_id>/commands/latest/", commands.latest, name="commands-latest"),
    path("stations/<int:station_id>/commands/<int:command_id>/", commands.command, name="command"),
    path(
        "stations/<int:station_id>/commands/<int:command_id>/cancel/", commands.cancel, name="command-cancel"
    ),
    path("stations/<int:station_id>/frames/", frames.frames, name="station-frames"),
    path("stations/<int:station_id>/frames.jsonl", frames.export, name="station-frames-export"),
    path("stations/<int:station_id>/timeline/", timeline.timeline, name="station-timeline"),
    path("stations/<int:station_id>/orphans/<int:orphan_id>/", orphans.orphan, name="orphan"),
    path("stations/<int:station_id>/orphans/<int:orphan_id>/apply/", orphans.apply, name="orphan-apply"),
    path(
        "stations/<int:station_id>/orphans/<int:orphan_id>/resolve/", orphans.resolve, name="orphan-resolve"
    ),
    path("stations/<int:station_id>/limits/", limits.station_limits, name="station-limits"),
    path("stations/<int:station_id>/limits/preview/", limits.preview, name="limits-preview"),
    path("stations/<int:station_id>/limits/ask/", limits.ask, name="limits-ask"),
    path("stations/<int:station_id>/limits/set/<slug:limit_how>/", limits.set_limit, name="limits-set"),
    path("stations/<int:station_id>/limits/<int:profile_id>/clear/", limits.clear, name="profile-clear"),
    path("stations/<int:station_id>/limits/<int:profile_id>/update/", limits.update, name="profile-update"),
    path("stations/<int:station_id>/grid/", der.station_der, name="station-der"),
    path("stations/<int:station_id>/grid/read/", der.read, name="der-read"),
    path("stations/<int:station_id>/grid/new/<slug:der_kind>/", der.new, name="der-new"),
    path("stations/<int:station_id>/grid/<int:der_id>/clear/", der.clear, name="der-clear"),
    path("grid/curve/", der.drawn, name="der-drawn"),
    path("stations/<int:station_id>/edit/", onboarding.edit, name="station-edit"),
    path("stations/<int:station_id>/password/", onboarding.password, name="station-password"),
    path("stations/<int:station_id>/archive/", onboarding.archive, name="station-archive"),
    path("quarantine/", onboarding.quarantine, name="quarantine"),
    path("quarantine/<int:row_id>/dismiss/", onboarding.dismiss, name="quarantine-dismiss"),
    path("sessions/", lists.sessions, name="sessions"),
    path("sessions/<int:session_id>/", sessions.session, name="session"),
    path("sessions/<int:session_id>/now/", sessions.now, name="session-now"),
    path("sessions/<int:session_id>/release/", review.release, name="session-release"),
    path("sessions/<int:session_id>/void/", review.void, name="session-void"),
    path("sessions/<int:running_id>/priority/", wish.switch_priority, name="session-priority"),
    path("sessions/<int:running_id>/transfer/", wish.allow_transfer, name="session-transfer"),
    path("sessions/<int:session_id>/curve.json", sessions.curve, name="session-curve"),
]
