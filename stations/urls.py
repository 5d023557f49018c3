"""Pages of stations and sessions. Below /t/<tenant>/."""

from django.urls import path

from stations.views import (
    commands,
    configuration,
    files,
    firmware,
    frames,
    lists,
    onboarding,
    orphans,
    review,
    sessions,
    station,
    timeline,
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
    path("stations/<int:station_id>/files/", files.files, name="station-files"),
    path("stations/<int:station_id>/files/fetch/", files.fetch, name="log-fetch"),
    path("stations/<int:station_id>/files/update/", files.update, name="update-start"),
    path("updates/<int:update_id>/turn/", files.update_turn, name="update-turn"),
    path("stations/<int:station_id>/logs/<int:log_id>/", files.log, name="log"),
    path("stations/<int:station_id>/logs/<int:log_id>/again/", files.log_again, name="log-again"),
    path("stations/<int:station_id>/log-files/<int:log_file_id>/", files.log_file, name="log-file"),
    path(
        "stations/<int:station_id>/log-files/<int:log_file_id>/download/",
        files.log_download,
        name="log-download",
    ),
    path(
        "stations/<int:station_id>/log-files/<int:log_file_id>/delete/", files.log_delete, name="log-delete"
    ),
    path("stations/<int:station_id>/publish/", firmware.station_publish, name="station-publish"),
    path("firmware/", firmware.firmware, name="firmware"),
    path("firmware/new/", firmware.image_new, name="firmware-new"),
    path("firmware/<int:image_id>/", firmware.image, name="firmware-image"),
    path("firmware/<int:image_id>/edit/", firmware.image_edit, name="firmware-edit"),
    path("firmware/<int:image_id>/sign/", firmware.image_sign, name="firmware-sign"),
    path("firmware/<int:image_id>/delete/", firmware.image_delete, name="firmware-delete"),
    path("firmware/<int:image_id>/download/", firmware.image_download, name="firmware-download"),
    path("firmware/<int:image_id>/publish/", firmware.publish, name="firmware-publish"),
    path("campaigns/new/", firmware.campaign_new, name="campaign-new"),
    path("campaigns/preview/", firmware.campaign_preview, name="campaign-preview"),
    path("campaigns/<int:campaign_id>/", firmware.campaign, name="campaign"),
    path("campaigns/<int:campaign_id>/turn/", firmware.campaign_turn, name="campaign-turn"),
    path("stations/<int:station_id>/timeline/", timeline.timeline, name="station-timeline"),
    path("stations/<int:station_id>/orphans/<int:orphan_id>/", orphans.orphan, name="orphan"),
    path("stations/<int:station_id>/orphans/<int:orphan_id>/apply/", orphans.apply, name="orphan-apply"),
    path(
        "stations/<int:station_id>/orphans/<int:orphan_id>/resolve/", orphans.resolve, name="orphan-resolve"
    ),
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
    path("sessions/<int:session_id>/curve.json", sessions.curve, name="session-curve"),
]
