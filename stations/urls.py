"""Pages of stations and sessions. Below /t/<tenant>/."""

from django.urls import path

from stations.views import (
    access,
    commands,
    configuration,
    frames,
    health,
    issues,
    lists,
    onboarding,
    orphans,
    reservations,
    review,
    rules,
    sessions,
    station,
    uptime,
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
    path("stations/<int:station_id>/health/", health.station_health, name="station-health"),
    path("stations/<int:station_id>/timeline/", health.timeline, name="station-timeline"),
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
    path("issues/", issues.issues, name="issues"),
    path("issues/bulk/", issues.bulk, name="issues-bulk"),
    path("issues/<int:issue_id>/", issues.issue, name="issue"),
    path("issues/<int:issue_id>/act/", issues.act, name="issue-act"),
    path("issues/rules/", rules.rules, name="issue-rules"),
    path("issues/rules/policy/", rules.policy, name="issue-policy"),
    path("issues/rules/new/", rules.rule_new, name="issue-rule-new"),
    path("issues/rules/<int:rule_id>/", rules.rule_edit, name="issue-rule"),
    path("issues/rules/<int:rule_id>/delete/", rules.rule_delete, name="issue-rule-delete"),
    path("uptime/", uptime.uptime_page, name="uptime"),
    path("uptime/reports/", uptime.report_list, name="uptime-reports"),
    path("uptime/reports/new/", uptime.report_new, name="uptime-report-new"),
    path("uptime/reports/<int:report_id>.<str:form>", uptime.report_file, name="uptime-report-file"),
    path("uptime/exclusions/", uptime.exclusions, name="exclusions"),
    path("uptime/exclusions/new/", uptime.exclusion_new, name="exclusion-new"),
    path(
        "uptime/exclusions/<int:exclusion_id>/withdraw/", uptime.exclusion_withdraw, name="exclusion-withdraw"
    ),
    path("sessions/", lists.sessions, name="sessions"),
    path("sessions/<int:session_id>/", sessions.session, name="session"),
    path("sessions/<int:session_id>/now/", sessions.now, name="session-now"),
    path("sessions/<int:session_id>/release/", review.release, name="session-release"),
    path("sessions/<int:session_id>/void/", review.void, name="session-void"),
    path("sessions/<int:session_id>/curve.json", sessions.curve, name="session-curve"),
]
