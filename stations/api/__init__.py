"""REST of the chargers: stations, commands, configuration, frames, events, quarantine, orphans, sessions."""

from django.urls import path

from stations.api.commands import CommandCancel, CommandList, CommandOne, StationCommands
from stations.api.events import ConnectionList, EventList
from stations.api.firmware import (
    CampaignList,
    CampaignOne,
    CampaignPreview,
    CampaignRetry,
    ImageContent,
    ImageFile,
    ImageList,
    ImageOne,
    ImageSignature,
    PublicationList,
    PublicationOne,
    StationUpdates,
    UpdateList,
    UpdateOne,
)
from stations.api.frames import FrameExport, FrameList
from stations.api.logs import (
    LogFileContent,
    LogFileList,
    LogFileOne,
    LogList,
    LogOne,
    StationLogs,
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
    path("commands", CommandList.as_view(), name="commands"),
    path("commands/<int:command_id>", CommandOne.as_view(), name="command"),
    path("commands/<int:command_id>/cancel", CommandCancel.as_view(), name="command-cancel"),
    path("stations/<int:station_id>/logs", StationLogs.as_view(), name="station-logs"),
    path("logs", LogList.as_view(), name="logs"),
    path("logs/<int:log_id>", LogOne.as_view(), name="log"),
    path("log-files", LogFileList.as_view(), name="log-files"),
    path("log-files/<int:log_file_id>", LogFileOne.as_view(), name="log-file"),
    path("log-files/<int:log_file_id>/content", LogFileContent.as_view(), name="log-file-content"),
    path("firmware", ImageList.as_view(), name="firmware-images"),
    path("firmware/<int:image_id>", ImageOne.as_view(), name="firmware-image"),
    path("firmware/<int:new_image_id>/file", ImageFile.as_view(), name="firmware-file"),
    path("firmware/<int:image_id>/signature", ImageSignature.as_view(), name="firmware-signature"),
    path("firmware/<int:image_id>/content", ImageContent.as_view(), name="firmware-content"),
    path("stations/<int:station_id>/updates", StationUpdates.as_view(), name="station-updates"),
    path("updates", UpdateList.as_view(), name="updates"),
    path("updates/<int:update_id>", UpdateOne.as_view(), name="update"),
    path("campaigns", CampaignList.as_view(), name="campaigns"),
    path("campaigns/preview", CampaignPreview.as_view(), name="campaign-preview"),
    path("campaigns/<int:campaign_id>", CampaignOne.as_view(), name="campaign"),
    path("campaigns/<int:campaign_id>/retry", CampaignRetry.as_view(), name="campaign-retry"),
    path("publications", PublicationList.as_view(), name="publications"),
    path("publications/<int:publication_id>", PublicationOne.as_view(), name="publication"),
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
