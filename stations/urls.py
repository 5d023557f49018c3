"""Pages of stations and sessions. Below /t/<tenant>/."""

from django.urls import path

from stations.views import (
    commands,
    configuration,
    displays,
    driver,
    frames,
    lists,
    onboarding,
    orphans,
    payments,
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
    path("stations/<int:station_id>/driver/", driver.driver, name="station-driver"),
    path("stations/<int:station_id>/driver/ask/", driver.ask_display, name="station-display-ask"),
    path("stations/<int:station_id>/driver/tariff/", driver.install_tariff, name="station-tariff-install"),
    path("stations/<int:station_id>/driver/tariff/read/", driver.read_tariff, name="station-tariff-read"),
    path("stations/<int:station_id>/driver/qr/", driver.set_up_qr, name="station-qr"),
    path("stations/<int:station_id>/batteries/", driver.batteries, name="station-batteries"),
    path(
        "stations/<int:station_id>/messages/<int:message_id>/take-off/",
        displays.take_off,
        name="message-take-off",
    ),
    path(
        "stations/<int:station_id>/messages/<int:message_id>/send-again/",
        displays.send_again,
        name="message-send-again",
    ),
    path("displays/", displays.notices, name="displays"),
    path("displays/new/", displays.new, name="display-new"),
    path("displays/preview/", displays.preview, name="display-preview"),
    path("displays/<int:notice_id>/", displays.notice, name="display"),
    path("displays/<int:notice_id>/withdraw/", displays.withdraw, name="display-withdraw"),
    path("payments/", payments.settlements, name="settlements"),
    path("payments/web/", payments.web, name="web-payments"),
    path("payments/prepaid/", payments.prepaid, name="prepaid"),
    path("payments/prepaid/<int:account_id>/", payments.account, name="prepaid-account"),
    path("payments/prepaid/<int:account_id>/close/", payments.close, name="prepaid-close"),
]
