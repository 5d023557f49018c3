"""REST of the chargers: stations, commands, configuration, frames, events, quarantine, orphans, sessions,
access rules, local lists, reservations."""

from django.urls import path

from stations.api.access import (
    CompanyRules,
    ListCheck,
    ListEntries,
    ListList,
    ListOne,
    ListSync,
    ReservationCancel,
    ReservationList,
    ReservationOne,
    SiteRules,
    StationRules,
)
from stations.api.commands import CommandCancel, CommandList, CommandOne, StationCommands
from stations.api.configuration import (
    ChangeList,
    CustomerList,
    CustomerOne,
    ProfileList,
    ProfilePriority,
    ReportList,
    SettingsRead,
)
from stations.api.events import ConnectionList, EventList
from stations.api.frames import FrameExport, FrameList
from stations.api.monitoring import (
    AlertClose,
    AlertList,
    MonitorList,
    MonitorOne,
    StreamList,
    StreamValues,
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
from stations.api.templates import (
    DesiredList,
    DriftList,
    RunChanges,
    RunList,
    TemplateApply,
    TemplateList,
    TemplateOne,
    TemplatePreview,
    VendorProfileList,
    VendorProfileOne,
    VendorProfilesShipped,
)
from stations.api.variables import VariableList

urlpatterns = [
    path("stations", StationList.as_view(), name="stations"),
    path("stations/<int:station_id>", StationOne.as_view(), name="station"),
    path("stations/<int:station_id>/password", StationPassword.as_view(), name="station-password"),
    path("stations/<int:station_id>/commands", StationCommands.as_view(), name="station-commands"),
    path("stations/<int:station_id>/variables", VariableList.as_view(), name="station-variables"),
    path("stations/<int:station_id>/variables/read", SettingsRead.as_view(), name="station-variables-read"),
    path("stations/<int:station_id>/variable-changes", ChangeList.as_view(), name="station-changes"),
    path("stations/<int:station_id>/reports", ReportList.as_view(), name="station-reports"),
    path("stations/<int:station_id>/network-profiles", ProfileList.as_view(), name="station-network"),
    path(
        "stations/<int:station_id>/network-profiles/priority",
        ProfilePriority.as_view(),
        name="station-network-priority",
    ),
    path("stations/<int:station_id>/customer-data", CustomerList.as_view(), name="station-customers"),
    path(
        "stations/<int:station_id>/customer-data/<int:query_id>",
        CustomerOne.as_view(),
        name="station-customer",
    ),
    path("stations/<int:station_id>/monitors", MonitorList.as_view(), name="station-monitors"),
    path("stations/<int:station_id>/monitors/<int:monitor_id>", MonitorOne.as_view(), name="station-monitor"),
    path("stations/<int:station_id>/streams", StreamList.as_view(), name="station-streams"),
    path(
        "stations/<int:station_id>/streams/<int:stream_id>/values",
        StreamValues.as_view(),
        name="stream-values",
    ),
    path("configuration-templates", TemplateList.as_view(), name="templates"),
    path("configuration-templates/<int:template_id>", TemplateOne.as_view(), name="template"),
    path(
        "configuration-templates/<int:template_id>/preview",
        TemplatePreview.as_view(),
        name="template-preview",
    ),
    path("configuration-templates/<int:template_id>/apply", TemplateApply.as_view(), name="template-apply"),
    path("configuration-runs", RunList.as_view(), name="configuration-runs"),
    path("configuration-runs/<int:run_id>/changes", RunChanges.as_view(), name="configuration-run-changes"),
    path("configuration-drift", DriftList.as_view(), name="drift"),
    path("configuration-drift/settings", DesiredList.as_view(), name="drift-settings"),
    path("vendor-profiles", VendorProfileList.as_view(), name="vendor-profiles"),
    path("vendor-profiles/shipped", VendorProfilesShipped.as_view(), name="vendor-profiles-shipped"),
    path("vendor-profiles/<int:profile_id>", VendorProfileOne.as_view(), name="vendor-profile"),
    path("alerts", AlertList.as_view(), name="alerts"),
    path("alerts/<int:alert_id>/close", AlertClose.as_view(), name="alert-close"),
    path("stations/<int:station_id>/frames", FrameList.as_view(), name="station-frames"),
    path("stations/<int:station_id>/frames.jsonl", FrameExport.as_view(), name="station-frames-export"),
    path("stations/<int:station_id>/events", EventList.as_view(), name="station-events"),
    path("stations/<int:station_id>/connections", ConnectionList.as_view(), name="station-connections"),
    path("stations/<int:station_id>/access-rules", StationRules.as_view(), name="station-access-rules"),
    path("stations/<int:station_id>/local-list", ListOne.as_view(), name="station-local-list"),
    path("stations/<int:station_id>/local-list/entries", ListEntries.as_view(), name="local-list-entries"),
    path("stations/<int:station_id>/local-list/send", ListSync.as_view(), name="local-list-send"),
    path("stations/<int:station_id>/local-list/check", ListCheck.as_view(), name="local-list-check"),
    path("sites/<int:site_id>/access-rules", SiteRules.as_view(), name="site-access-rules"),
    path("access-rules", CompanyRules.as_view(), name="access-rules"),
    path("local-lists", ListList.as_view(), name="local-lists"),
    path("reservations", ReservationList.as_view(), name="reservations"),
    path("reservations/<int:reservation_id>", ReservationOne.as_view(), name="reservation"),
    path("reservations/<int:reservation_id>/cancel", ReservationCancel.as_view(), name="reservation-cancel"),
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
