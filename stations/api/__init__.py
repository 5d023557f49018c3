"""REST of the chargers: stations, commands, configuration, frames, events, quarantine, orphans, sessions."""

from django.urls import path

from stations.api.commands import CommandCancel, CommandList, CommandOne, StationCommands
from stations.api.events import ConnectionList, EventList
from stations.api.frames import FrameExport, FrameList
from stations.api.issues import (
    IssueAssign,
    IssueBulk,
    IssueClose,
    IssueComment,
    IssueEvents,
    IssueList,
    IssueOne,
    IssueRecover,
    IssueSnooze,
    Policy,
    RuleList,
    RuleOne,
    StatusHistory,
)
from stations.api.orphans import OrphanApply, OrphanList, OrphanOne, OrphanSessions
from stations.api.quarantine import QuarantineAdopt, QuarantineList, QuarantineOne
from stations.api.sessions import (
    SessionEvents,
    SessionList,
    SessionOne,
    SessionReadings,
    SessionRelease,
    SessionVoid,
)
from stations.api.stations import StationList, StationOne, StationPassword
from stations.api.uptime import (
    ExclusionList,
    ExclusionOne,
    ExclusionWithdraw,
    PortMonthList,
    ReportFile,
    ReportList,
    ReportOne,
)
from stations.api.variables import VariableList

urlpatterns = [
    path("stations", StationList.as_view(), name="stations"),
    path("stations/<int:station_id>", StationOne.as_view(), name="station"),
    path("stations/<int:station_id>/password", StationPassword.as_view(), name="station-password"),
    path("stations/<int:station_id>/commands", StationCommands.as_view(), name="station-commands"),
    path("stations/<int:station_id>/variables", VariableList.as_view(), name="station-variables"),
    path("stations/<int:station_id>/frames", FrameList.as_view(), name="station-frames"),
    path("stations/<int:station_id>/frames.jsonl", FrameExport.as_view(), name="station-frames-export"),
    path("stations/<int:station_id>/events", EventList.as_view(), name="station-events"),
    path("stations/<int:station_id>/connections", ConnectionList.as_view(), name="station-connections"),
    path("stations/<int:station_id>/statuses", StatusHistory.as_view(), name="station-statuses"),
    path("issues", IssueList.as_view(), name="issues"),
    path("issues/bulk", IssueBulk.as_view(), name="issues-bulk"),
    path("issues/<int:issue_id>", IssueOne.as_view(), name="issue"),
    path("issues/<int:issue_id>/events", IssueEvents.as_view(), name="issue-events"),
    path("issues/<int:issue_id>/assign", IssueAssign.as_view(), name="issue-assign"),
    path("issues/<int:issue_id>/snooze", IssueSnooze.as_view(), name="issue-snooze"),
    path("issues/<int:issue_id>/comment", IssueComment.as_view(), name="issue-comment"),
    path("issues/<int:issue_id>/close", IssueClose.as_view(), name="issue-close"),
    path("issues/<int:issue_id>/recover", IssueRecover.as_view(), name="issue-recover"),
    path("issue-rules", RuleList.as_view(), name="issue-rules"),
    path("issue-rules/<int:rule_id>", RuleOne.as_view(), name="issue-rule"),
    path("issue-policy", Policy.as_view(), name="issue-policy"),
    path("uptime", PortMonthList.as_view(), name="uptime"),
    path("exclusions", ExclusionList.as_view(), name="exclusions"),
    path("exclusions/<int:exclusion_id>", ExclusionOne.as_view(), name="exclusion"),
    path("exclusions/<int:exclusion_id>/withdraw", ExclusionWithdraw.as_view(), name="exclusion-withdraw"),
    path("uptime-reports", ReportList.as_view(), name="uptime-reports"),
    path("uptime-reports/<int:report_id>", ReportOne.as_view(), name="uptime-report"),
    path("uptime-reports/<int:report_id>/<str:form>", ReportFile.as_view(), name="uptime-report-file"),
    path("commands", CommandList.as_view(), name="commands"),
    path("commands/<int:command_id>", CommandOne.as_view(), name="command"),
    path("commands/<int:command_id>/cancel", CommandCancel.as_view(), name="command-cancel"),
    path("quarantine", QuarantineList.as_view(), name="quarantine"),
    path("quarantine/<int:quarantined_id>", QuarantineOne.as_view(), name="quarantined"),
    path("quarantine/<int:quarantined_id>/adopt", QuarantineAdopt.as_view(), name="quarantined-adopt"),
    path("orphans", OrphanList.as_view(), name="orphans"),
    path("orphans/<int:orphan_id>", OrphanOne.as_view(), name="orphan"),
    path("orphans/<int:orphan_id>/sessions", OrphanSessions.as_view(), name="orphan-sessions"),
    path("orphans/<int:orphan_id>/apply", OrphanApply.as_view(), name="orphan-apply"),
    path("sessions", SessionList.as_view(), name="sessions"),
    path("sessions/<int:session_id>", SessionOne.as_view(), name="session"),
    path("sessions/<int:session_id>/release", SessionRelease.as_view(), name="session-release"),
    path("sessions/<int:session_id>/void", SessionVoid.as_view(), name="session-void"),
    path("sessions/<int:session_id>/readings", SessionReadings.as_view(), name="session-readings"),
    path("sessions/<int:session_id>/events", SessionEvents.as_view(), name="session-events"),
]
