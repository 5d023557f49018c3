"""Pages of stations and sessions. Below /t/<tenant>/."""

from django.urls import path

from stations.views import (
    access,
    autocharge,
    commands,
    configuration,
    frames,
    lists,
    onboarding,
    orphans,
    plug_and_charge,
    reservations,
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
    path("stations/<int:station_id>/access/", access.station_access, name="station-access"),
    path("stations/<int:station_id>/access/rules/", access.station_rules, name="station-access-rules"),
    path("stations/<int:station_id>/access/send/", access.send_list, name="local-list-send"),
    path("stations/<int:station_id>/access/check/", access.check_list, name="local-list-check"),
    path("stations/<int:station_id>/access/reserve/", access.reserve, name="station-reserve"),
    path("access/", access.overview, name="access"),
    path("access/rules/", access.company_rules, name="access-rules"),
    path("sites/<int:site_id>/access/", access.site_rules, name="site-access-rules"),
    path("reservations/", reservations.reservations, name="reservations"),
    path("reservations/<int:reservation_id>/", reservations.reservation, name="reservation"),
    path("reservations/<int:reservation_id>/cancel/", reservations.cancel, name="reservation-cancel"),
    path("reservations/<int:reservation_id>/extend/", reservations.extend, name="reservation-extend"),
    path("stations/<int:station_id>/frames/", frames.frames, name="station-frames"),
    path("stations/<int:station_id>/frames.jsonl", frames.export, name="station-frames-export"),
    path("stations/<int:station_id>/timeline/", timeline.timeline, name="station-timeline"),
    path("stations/<int:station_id>/orphans/<int:orphan_id>/", orphans.orphan, name="orphan"),
    path("stations/<int:station_id>/orphans/<int:orphan_id>/apply/", orphans.apply, name="orphan-apply"),
    path(
        "stations/<int:station_id>/orphans/<int:orphan_id>/resolve/", orphans.resolve, name="orphan-resolve"
    ),
    path(
        "stations/<int:station_id>/plug-and-charge/",
        plug_and_charge.of_station,
        name="station-plug-and-charge",
    ),
    path("stations/<int:station_id>/edit/", onboarding.edit, name="station-edit"),
    path("stations/<int:station_id>/password/", onboarding.password, name="station-password"),
    path("stations/<int:station_id>/archive/", onboarding.archive, name="station-archive"),
    path("plug-and-charge/", plug_and_charge.overview, name="plug-and-charge"),
    path("plug-and-charge/edit/", plug_and_charge.edit, name="plug-and-charge-edit"),
    path("plug-and-charge/roots/", plug_and_charge.fetch_roots, name="plug-and-charge-roots"),
    path("contracts/<int:contract_id>/", plug_and_charge.contract, name="contract"),
    path("tokens/<int:token_id>/contract/", plug_and_charge.of_token, name="token-contract"),
    path("autocharge/", autocharge.autocharge, name="autocharge"),
    path("autocharge/switch/", autocharge.switch, name="autocharge-switch"),
    path("autocharge/<int:seen_vehicle_id>/", autocharge.confirm, name="seen-vehicle"),
    path("autocharge/<int:seen_vehicle_id>/dismiss/", autocharge.dismiss, name="seen-vehicle-dismiss"),
    path("quarantine/", onboarding.quarantine, name="quarantine"),
    path("quarantine/<int:row_id>/dismiss/", onboarding.dismiss, name="quarantine-dismiss"),
    path("sessions/", lists.sessions, name="sessions"),
    path("sessions/<int:session_id>/", sessions.session, name="session"),
    path("sessions/<int:session_id>/now/", sessions.now, name="session-now"),
    path("sessions/<int:session_id>/release/", review.release, name="session-release"),
    path("sessions/<int:session_id>/void/", review.void, name="session-void"),
    path("sessions/<int:session_id>/curve.json", sessions.curve, name="session-curve"),
]
