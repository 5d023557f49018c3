"""REST of the chargers: stations, commands, configuration, frames, events, quarantine, orphans, sessions,
access rules, local lists, reservations."""

from django.urls import path

from stations.api import security
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
from stations.api.der import DerClear, DerOne, StationDer
from stations.api.events import ConnectionList, EventList
from stations.api.frames import FrameExport, FrameList
from stations.api.limits import (
    ConstraintClear,
    ConstraintList,
    ConstraintOne,
    ProfileClear,
    ProfileOne,
    ProfileUpdate,
    SessionPriority,
    SessionTransfer,
    SessionWish,
    StationDaily,
    StationDynamic,
    StationLimits,
    StationProfiles,
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
    path(
        "stations/<int:station_id>/installed-certificates",
        security.InstalledList.as_view(),
        name="station-installed",
    ),
    path(
        "stations/<int:station_id>/security-profile",
        security.StationProfile.as_view(),
        name="station-profile",
    ),
    path("stations/<int:station_id>/profile-changes", security.ChangeList.as_view(), name="profile-changes"),
    path(
        "stations/<int:station_id>/profile-changes/<int:change_id>/cancel",
        security.ChangeCancel.as_view(),
        name="profile-change-cancel",
    ),
    path(
        "stations/<int:station_id>/password-changes",
        security.PasswordChangeList.as_view(),
        name="password-changes",
    ),
    path(
        "stations/<int:station_id>/certificate-renewal",
        security.Renewal.as_view(),
        name="certificate-renewal",
    ),
    path("security/policy", security.Policy.as_view(), name="security-policy"),
    path("security/authorities", security.AuthorityList.as_view(), name="authorities"),
    path("security/certificates", security.CertificateList.as_view(), name="certificates"),
    path("security/certificates/<int:certificate_id>", security.CertificateOne.as_view(), name="certificate"),
    path(
        "security/certificates/<int:certificate_id>/revoke",
        security.CertificateRevoke.as_view(),
        name="certificate-revoke",
    ),
    path("security/requests", security.SigningList.as_view(), name="signing-requests"),
    path("security/requests/<int:signing_id>", security.SigningOne.as_view(), name="signing-request"),
    path(
        "security/requests/<int:signing_id>/approve",
        security.SigningApprove.as_view(),
        name="signing-approve",
    ),
    path(
        "security/requests/<int:signing_id>/refuse", security.SigningRefuse.as_view(), name="signing-refuse"
    ),
    path(
        "security/requests/<int:signing_id>/certificate",
        security.SigningBring.as_view(),
        name="signing-bring",
    ),
    path("security/roots", security.RootList.as_view(), name="roots"),
    path("security/roots/<int:anchor_id>", security.RootOne.as_view(), name="root"),
    path("security/rollouts", security.RolloutList.as_view(), name="rollouts"),
    path("security/rollouts/<int:rollout_id>", security.RolloutOne.as_view(), name="rollout"),
    path(
        "security/rollouts/<int:rollout_id>/cancel", security.RolloutCancel.as_view(), name="rollout-cancel"
    ),
    path("security/events", security.SecurityEventList.as_view(), name="security-events"),
    path(
        "security/events/<int:security_event_id>/note",
        security.SecurityEventNote.as_view(),
        name="security-event-note",
    ),
    path("security/expiring", security.Expiring.as_view(), name="security-expiring"),
    path("stations/<int:station_id>/limits", StationLimits.as_view(), name="station-limits"),
    path("stations/<int:station_id>/limits/daily", StationDaily.as_view(), name="station-limits-daily"),
    path("stations/<int:station_id>/limits/dynamic", StationDynamic.as_view(), name="station-limits-dynamic"),
    path("stations/<int:station_id>/charging-profiles", StationProfiles.as_view(), name="station-profiles"),
    path("stations/<int:station_id>/der-controls", StationDer.as_view(), name="station-der"),
    path("charging-profiles/<int:profile_id>", ProfileOne.as_view(), name="profile"),
    path("charging-profiles/<int:profile_id>/clear", ProfileClear.as_view(), name="profile-clear"),
    path("charging-profiles/<int:profile_id>/update", ProfileUpdate.as_view(), name="profile-update"),
    path("der-controls/<int:der_id>", DerOne.as_view(), name="der-control"),
    path("der-controls/<int:der_id>/clear", DerClear.as_view(), name="der-control-clear"),
    path("constraints", ConstraintList.as_view(), name="constraints"),
    path("constraints/<int:constraint_id>", ConstraintOne.as_view(), name="constraint"),
    path("constraints/<int:constraint_id>/clear", ConstraintClear.as_view(), name="constraint-clear"),
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
    path("sessions/<int:session_id>/wish", SessionWish.as_view(), name="session-wish"),
    path("sessions/<int:running_id>/priority", SessionPriority.as_view(), name="session-priority"),
    path("sessions/<int:running_id>/energy-transfer", SessionTransfer.as_view(), name="session-transfer"),
    path("sessions/<int:session_id>/readings", SessionReadings.as_view(), name="session-readings"),
    path("sessions/<int:session_id>/events", SessionEvents.as_view(), name="session-events"),
]
