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
from stations.api.events import ConnectionList, EventList
from stations.api.frames import FrameExport, FrameList
from stations.api.orphans import OrphanApply, OrphanList, OrphanOne, OrphanSessions
from stations.api.plug_and_charge import (
    AuthorizationList,
    CheckList,
    ContractList,
    ContractOne,
    InstallationList,
    RootsFetch,
    SeenVehicleConfirm,
    SeenVehicleList,
    SeenVehicleOne,
    SettingsOne,
)
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
    path("authorizations", AuthorizationList.as_view(), name="authorizations"),
    path("plug-and-charge", SettingsOne.as_view(), name="plug-and-charge"),
    path("plug-and-charge/fetch-roots", RootsFetch.as_view(), name="fetch-roots"),
    path("contracts", ContractList.as_view(), name="contracts"),
    path("contracts/<int:contract_id>", ContractOne.as_view(), name="contract"),
    path("contract-checks", CheckList.as_view(), name="contract-checks"),
    path("certificate-installations", InstallationList.as_view(), name="certificate-installations"),
    path("seen-vehicles", SeenVehicleList.as_view(), name="seen-vehicles"),
    path("seen-vehicles/<int:seen_vehicle_id>", SeenVehicleOne.as_view(), name="seen-vehicle"),
    path(
        "seen-vehicles/<int:seen_vehicle_id>/confirm",
        SeenVehicleConfirm.as_view(),
        name="seen-vehicle-confirm",
    ),
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
