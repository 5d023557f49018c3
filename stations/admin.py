"""Admin of the chargers: to look into trouble."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from stations.models import (
    AccessRule,
    Alert,
    Authority,
    Authorization,
    BatterySlot,
    BatterySwap,
    Campaign,
    CertificateInstallation,
    ChargingProfile,
    Command,
    CommandBatch,
    CompositeTold,
    ConfigurationRun,
    ConfigurationTemplate,
    Connection,
    Connector,
    Contract,
    ContractCheck,
    CustomerQuery,
    DerControl,
    DesiredSetting,
    DeviceReport,
    DisplayMessage,
    DisplayNotice,
    Evse,
    Exclusion,
    FileTicket,
    FirmwareImage,
    FirmwarePublication,
    FirmwareUpdate,
    Frame,
    HealthPolicy,
    InstalledCertificate,
    Issue,
    IssueEvent,
    IssuerCertificate,
    IssueRule,
    JournalCursor,
    JournalHead,
    LocalList,
    LogFile,
    LogRequest,
    Monitor,
    NetworkProfile,
    OrphanMessage,
    PasswordChange,
    PlugAndCharge,
    PortMonth,
    PowerConstraint,
    PrepaidAccount,
    PrepaidEntry,
    ProfileChange,
    QuarantinedStation,
    Reading,
    Reservation,
    RevocationCheck,
    Rollout,
    RolloutStep,
    SecurityEvent,
    SecurityPolicy,
    SeenVehicle,
    Session,
    SessionCost,
    SessionEvent,
    SessionPower,
    Settlement,
    SigningRequest,
    Station,
    StationCertificate,
    StationDrift,
    StationEvent,
    StationTariff,
    StatusEntry,
    Stream,
    StreamValue,
    TrustAnchor,
    UptimeReport,
    Variable,
    VariableChange,
    VatCheck,
    VendorProfile,
    WebPayment,
    WebPaymentAccess,
)
from stations.models.journal import GatewayProcess
from stations.services.commands import masked
from tenants.staff import Bulk, Viewed


@admin.register(Station)
class StationAdmin(Viewed):
    editable = ("strict", "allow_unauthenticated", "registration", "heartbeat_seconds")
    readonly_fields = ["lists"]
    list_display = ["identity", "name", "tenant", "site", "online", "ocpp_version", "model", "last_seen_at"]
    list_filter = ["online", "ocpp_version", "registration", "vendor", "tenant"]
    search_fields = ["identity", "name", "serial_number", "model"]

    @admin.display(description=_("Lists of this station"))
    def lists(self, station: Station) -> Any:
        names = ("frame", "reading", "command", "session", "stationevent", "connection", "variable")
        links = [
            (f"{reverse(f'admin:stations_{name}_changelist')}?{Bulk.station_lookup}={station.pk}", name)
            for name in names
        ]
        return format_html_join(" · ", '<a href="{}">{}</a>', links)


@admin.register(Evse)
class EvseAdmin(Viewed):
    list_display = ["evse_id", "number", "station", "tenant"]
    list_filter = ["tenant"]
    search_fields = ["evse_id", "station__identity"]
    ordering = ["-id"]


@admin.register(Connector)
class ConnectorAdmin(Viewed):
    list_display = ["id", "number", "evse", "tenant", "standard", "status", "error_code", "power_w"]
    list_filter = ["status", "power_type", "tenant"]
    search_fields = ["evse__evse_id", "evse__station__identity", "error_code"]
    ordering = ["-id"]


@admin.register(Connection)
class ConnectionAdmin(Viewed):
    list_display = ["station", "tenant", "epoch", "ocpp_version", "opened_at", "closed_at", "close_reason"]
    list_filter = ["ocpp_version", "tenant"]
    search_fields = ["station__identity", "remote_address"]


@admin.register(QuarantinedStation)
class QuarantinedStationAdmin(Viewed):
    list_display = ["identity", "tenant", "attempts", "remote_address", "last_seen_at", "dismissed_at"]
    list_filter = ["tenant"]
    search_fields = ["identity", "remote_address"]


@admin.register(Variable)
class VariableAdmin(Viewed):
    exclude = ["value"]
    readonly_fields = ["shown_value"]
    list_display = ["name", "component", "station", "tenant", "shown_value", "mutability", "read_at"]
    list_filter = ["mutability", "tenant"]
    search_fields = ["name", "component", "station__identity"]

    @admin.display(description=_("Value"))
    def shown_value(self, variable: Variable) -> Any:
        return masked({"name": variable.name, "value": variable.value})["value"]


@admin.register(CommandBatch)
class CommandBatchAdmin(Viewed):
    list_display = ["id", "order", "tenant", "started_by", "created_at"]
    list_filter = ["order", "tenant"]
    search_fields = ["started_by", "=id"]


@admin.register(Command)
class CommandAdmin(Viewed):
    exclude = ["arguments"]
    readonly_fields = ["shown_arguments"]
    list_display = ["id", "kind", "station", "tenant", "state", "origin_label", "answer", "created_at"]
    list_filter = ["state", "kind", "tenant"]
    search_fields = ["station__identity", "origin_label", "=message_id"]

    @admin.display(description=_("Arguments"))
    def shown_arguments(self, command: Command) -> Any:
        return masked(command.arguments)


@admin.register(Session)
class SessionAdmin(Viewed):
    list_display = [
        "id",
        "tenant",
        "station",
        "evse",
        "state",
        "token_uid",
        "started_at",
        "energy_wh",
        "flags",
    ]
    list_filter = ["state", "verdict", "tenant"]
    search_fields = ["=transaction_id", "=token_uid", "station__identity"]
    ordering = ["-id"]


@admin.register(SessionEvent)
class SessionEventAdmin(Viewed):
    list_display = ["id", "session", "tenant", "kind", "trigger", "seq_no", "occurred_at", "offline"]
    list_filter = ["kind", "offline", "tenant"]
    search_fields = ["=session__transaction_id"]
    ordering = ["-id"]


@admin.register(Authorization)
class AuthorizationAdmin(Viewed):
    list_display = ["at", "tenant", "station", "token_uid", "kind", "verdict", "reason"]
    list_filter = ["verdict", "reason", "tenant"]
    search_fields = ["=token_uid", "station__identity"]
    ordering = ["-id"]


@admin.register(AccessRule)
class AccessRuleAdmin(Viewed):
    list_display = ["id", "tenant", "site", "station", "local_list", "free_charging", "reservations"]
    list_filter = ["local_list", "reservations", "tenant"]
    search_fields = ["site__name", "station__identity"]


@admin.register(LocalList)
class LocalListAdmin(Viewed):
    list_display = ["station", "tenant", "state", "version", "told_version", "size", "synced_at", "due_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["station__identity"]


@admin.register(Reservation)
class ReservationAdmin(Viewed):
    list_display = ["id", "tenant", "station", "evse", "token_uid", "state", "starts_at", "expires_at"]
    list_filter = ["state", "by_driver", "tenant"]
    search_fields = ["=token_uid", "station__identity"]
    ordering = ["-id"]


@admin.register(OrphanMessage)
class OrphanMessageAdmin(Viewed):
    list_display = ["id", "station", "tenant", "action", "transaction_id", "received_at", "resolved_at"]
    list_filter = ["action", ("resolved_at", admin.EmptyFieldListFilter), "tenant"]
    search_fields = ["=transaction_id", "station__identity"]


@admin.register(StationEvent)
class StationEventAdmin(Viewed):
    list_display = ["occurred_at", "tenant", "station", "kind", "severity", "text"]
    list_filter = ["severity", "kind", "tenant"]
    search_fields = ["text", "station__identity"]


@admin.register(Frame)
class FrameAdmin(Bulk):
    list_display = ["id", "received_at", "station", "outbound", "message_type", "action", "message_id"]
    list_filter = ["outbound", "message_type"]
    search_fields = ["=message_id", "=action"]
    ordering = ["-id"]


@admin.register(Reading)
class ReadingAdmin(Bulk):
    list_display = ["sampled_at", "station", "evse_number", "session_id", "energy_wh", "power_w", "flags"]
    list_filter = ["context"]
    search_fields = ["=session_id"]
    ordering = ["-sampled_at"]


@admin.register(ChargingProfile)
class ChargingProfileAdmin(Viewed):
    list_display = [
        "id",
        "number",
        "station",
        "tenant",
        "purpose",
        "evse_number",
        "state",
        "label",
        "created_at",
    ]
    list_filter = ["state", "purpose", "source", "tenant"]
    search_fields = ["station__identity", "=transaction_id"]


@admin.register(PowerConstraint)
class PowerConstraintAdmin(Viewed):
    list_display = [
        "id",
        "site",
        "station",
        "tenant",
        "source",
        "told_by",
        "starts_at",
        "ends_at",
        "cleared_at",
    ]
    list_filter = ["source", "told_by", "tenant"]
    search_fields = ["reference", "station__identity"]


@admin.register(CompositeTold)
class CompositeToldAdmin(Viewed):
    list_display = ["station", "tenant", "evse_number", "unit", "told_at"]
    list_filter = ["tenant"]
    search_fields = ["station__identity"]


@admin.register(SessionPower)
class SessionPowerAdmin(Viewed):
    list_display = ["id", "session", "station", "tenant", "energy_wh", "departure_at", "needs_at", "priority"]
    list_filter = ["priority", "tenant"]
    search_fields = ["station__identity", "=session__transaction_id"]


@admin.register(DerControl)
class DerControlAdmin(Viewed):
    list_display = [
        "control_id",
        "kind",
        "station",
        "tenant",
        "state",
        "is_default",
        "priority",
        "created_at",
    ]
    list_filter = ["state", "kind", "tenant"]
    search_fields = ["station__identity", "control_id"]


class GatewayRows(Viewed):
    list_filter = ["tenant"]
    search_fields = ["gateway"]


@admin.register(JournalHead)
class JournalHeadAdmin(GatewayRows):
    list_display = ["gateway", "tenant", "last_id"]


@admin.register(JournalCursor)
class JournalCursorAdmin(GatewayRows):
    list_display = ["gateway", "tenant", "applied_id"]


@admin.register(GatewayProcess)
class GatewayProcessAdmin(Viewed):
    list_display = ["name", "started_at", "alive_at"]
    list_filter = ["alive_at"]
    search_fields = ["name"]


@admin.register(LogRequest)
class LogRequestAdmin(Viewed):
    list_display = ["id", "kind", "station", "tenant", "protocol", "state", "station_word", "created_at"]
    list_filter = ["state", "kind", "protocol", "tenant"]
    search_fields = ["station__identity", "origin_label"]


@admin.register(LogFile)
class LogFileAdmin(Viewed):
    list_display = ["name", "station", "tenant", "size_bytes", "content_type", "protocol", "received_at"]
    list_filter = ["kind", "content_type", "tenant"]
    search_fields = ["station__identity", "name", "=sha256"]


@admin.register(FileTicket)
class FileTicketAdmin(Viewed):
    exclude = ["token_hash"]
    list_display = [
        "id",
        "purpose",
        "station",
        "tenant",
        "files_moved",
        "bytes_moved",
        "last_address",
        "expires_at",
    ]
    list_filter = ["purpose", "tenant"]
    search_fields = ["station__identity", "last_address"]


@admin.register(FirmwareImage)
class FirmwareImageAdmin(Viewed):
    list_display = ["version", "vendor", "tenant", "size_bytes", "signed_by", "created_by", "created_at"]
    list_filter = ["vendor", "tenant"]
    search_fields = ["version", "vendor", "=sha256"]


@admin.register(Campaign)
class CampaignAdmin(Viewed):
    list_display = ["name", "image", "tenant", "state", "wave", "waves", "created_by", "created_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["name", "image__version"]


@admin.register(FirmwareUpdate)
class FirmwareUpdateAdmin(Viewed):
    list_display = [
        "id",
        "station",
        "image",
        "tenant",
        "state",
        "blocked_by",
        "reason",
        "attempts",
        "changed_at",
    ]
    list_filter = ["state", "blocked_by", "tenant"]
    search_fields = ["station__identity", "image__version", "reason"]


@admin.register(FirmwarePublication)
class FirmwarePublicationAdmin(Viewed):
    list_display = ["id", "station", "image", "tenant", "state", "station_word", "created_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["station__identity", "image__version"]


@admin.register(DisplayNotice)
class DisplayNoticeAdmin(Viewed):
    list_display = ["id", "tenant", "text", "priority", "state", "written_by", "created_at", "withdrawn_at"]
    list_filter = ["priority", "tenant"]
    search_fields = ["written_by"]


@admin.register(DisplayMessage)
class DisplayMessageAdmin(Viewed):
    list_display = ["id", "tenant", "station", "number", "text", "standing", "detail", "told_at"]
    list_filter = ["standing", "tenant"]
    search_fields = ["station__identity", "detail"]


@admin.register(SessionCost)
class SessionCostAdmin(Viewed):
    list_display = [
        "session",
        "tenant",
        "shown",
        "final",
        "station_total",
        "difference",
        "limit_cost",
        "limit_origin",
    ]
    list_filter = ["limit_origin", "tenant"]
    search_fields = ["=session__id"]
    ordering = ["-id"]


@admin.register(StationTariff)
class StationTariffAdmin(Viewed):
    list_display = ["station", "tenant", "tariff", "wire_id", "standing", "detail", "changed_at"]
    list_filter = ["standing", "tenant"]
    search_fields = ["station__identity", "wire_id"]
    ordering = ["-id"]


@admin.register(PrepaidAccount)
class PrepaidAccountAdmin(Viewed):
    list_display = ["token", "tenant", "currency", "created_at", "closed_at"]
    list_filter = ["tenant"]
    search_fields = ["token__uid"]


@admin.register(PrepaidEntry)
class PrepaidEntryAdmin(Viewed):
    list_display = ["account", "tenant", "kind", "amount", "session", "label", "at"]
    list_select_related = ["account__token", "tenant", "session"]
    list_filter = ["kind", "tenant"]
    search_fields = ["account__token__uid", "label"]


@admin.register(Settlement)
class SettlementAdmin(Viewed):
    list_display = ["psp_ref", "tenant", "station", "session", "status", "amount", "flags", "settled_at"]
    list_filter = ["status", "tenant"]
    search_fields = ["psp_ref", "station__identity", "receipt_id"]


@admin.register(VatCheck)
class VatCheckAdmin(Viewed):
    list_display = ["number", "tenant", "station", "accepted", "reason", "at"]
    list_filter = ["accepted", "tenant"]
    search_fields = ["number", "station__identity"]


@admin.register(WebPaymentAccess)
class WebPaymentAccessAdmin(Viewed):
    exclude = ["secret"]
    list_display = ["station", "tenant", "digits", "validity_seconds", "created_at"]
    list_filter = ["tenant"]
    search_fields = ["station__identity"]
    ordering = ["-id"]


@admin.register(StatusEntry)
class StatusEntryAdmin(Viewed):
    list_display = ["at", "tenant", "station", "evse_number", "connector_number", "status", "error_code"]
    list_filter = ["status", "tenant"]
    search_fields = ["station__identity", "error_code"]
    ordering = ["-id"]


@admin.register(HealthPolicy)
class HealthPolicyAdmin(Viewed):
    list_display = ["tenant", "recovery_on", "mails"]
    list_filter = ["recovery_on"]
    search_fields = ["tenant__slug"]


@admin.register(IssueRule)
class IssueRuleAdmin(Viewed):
    list_display = ["name", "tenant", "signal", "threshold", "severity", "active", "position"]
    list_filter = ["signal", "active", "tenant"]
    search_fields = ["name"]


@admin.register(Issue)
class IssueAdmin(Viewed):
    list_display = ["id", "tenant", "signal", "station", "severity", "state", "opened_at", "resolution"]
    list_filter = ["state", "severity", "signal", "tenant"]
    search_fields = ["station__identity"]
    ordering = ["-id"]


@admin.register(WebPayment)
class WebPaymentAdmin(Viewed):
    exclude = ["key", "code"]
    list_display = [
        "id",
        "tenant",
        "station",
        "evse_number",
        "state",
        "provider",
        "reference",
        "limit_cost",
        "session",
    ]
    list_filter = ["state", "tenant"]
    search_fields = ["reference", "station__identity"]


@admin.register(BatterySlot)
class BatterySlotAdmin(Viewed):
    list_display = [
        "station",
        "tenant",
        "evse_number",
        "present",
        "serial_number",
        "soc_percent",
        "changed_at",
    ]
    list_filter = ["present", "tenant"]
    search_fields = ["serial_number", "station__identity"]
    ordering = ["-id"]


@admin.register(BatterySwap)
class BatterySwapAdmin(Viewed):
    list_display = ["id", "tenant", "station", "request_id", "token_uid", "state", "began_at", "out_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["token_uid", "station__identity"]


@admin.register(IssueEvent)
class IssueEventAdmin(Viewed):
    list_display = ["at", "tenant", "issue_id", "kind", "actor_label", "text"]
    list_filter = ["kind", "tenant"]
    search_fields = ["text"]
    ordering = ["-id"]


@admin.register(Exclusion)
class ExclusionAdmin(Viewed):
    list_display = [
        "category",
        "tenant",
        "site",
        "station",
        "starts_at",
        "ends_at",
        "entered_by",
        "withdrawn_at",
    ]
    list_filter = ["category", "tenant"]
    search_fields = ["evidence", "reference", "station__identity"]


@admin.register(PortMonth)
class PortMonthAdmin(Viewed):
    list_display = ["month", "tenant", "station", "evse", "period_s", "outage_s", "excluded_s", "final"]
    list_filter = ["final", "tenant"]
    search_fields = ["station__identity"]
    ordering = ["-id"]


@admin.register(UptimeReport)
class UptimeReportAdmin(Viewed):
    exclude = ["pdf", "csv"]
    list_display = ["month", "tenant", "scheme", "site", "percent", "ports", "below", "made_by"]
    list_filter = ["scheme", "tenant"]
    search_fields = ["made_by"]


@admin.register(TrustAnchor)
class TrustAnchorAdmin(Viewed):
    exclude = ["issuer_name_hash", "issuer_key_hash"]  # of certificates, not of secrets; nobody reads them
    list_display = ["name", "use", "tenant", "subject", "not_after", "origin", "archived_at"]
    list_filter = ["use", "origin", "tenant"]
    search_fields = ["name", "subject", "=fingerprint", "=serial"]


@admin.register(InstalledCertificate)
class InstalledCertificateAdmin(Viewed):
    exclude = ["issuer_name_hash", "issuer_key_hash"]
    list_display = ["station", "tenant", "use", "anchor", "serial", "installed_at", "told_at"]
    list_filter = ["use", "tenant"]
    search_fields = ["station__identity", "=serial"]


@admin.register(SecurityPolicy)
class SecurityPolicyAdmin(Viewed):
    list_display = ["tenant", "approval", "certificate_days", "renew_days", "transition_minutes"]
    list_filter = ["approval"]
    search_fields = ["organisation"]


@admin.register(Authority)
class AuthorityAdmin(Viewed):
    exclude = ["key"]
    list_display = ["name", "tenant", "kind", "use", "active", "not_after"]
    list_filter = ["kind", "use", "active", "tenant"]
    search_fields = ["name", "subject", "=fingerprint"]


@admin.register(StationCertificate)
class StationCertificateAdmin(Viewed):
    list_display = [
        "station",
        "tenant",
        "use",
        "serial",
        "authority",
        "not_after",
        "last_used_at",
        "revoked_at",
    ]
    list_filter = ["use", ("revoked_at", admin.EmptyFieldListFilter), "tenant"]
    search_fields = ["station__identity", "=serial", "=fingerprint"]


@admin.register(SigningRequest)
class SigningRequestAdmin(Viewed):
    list_display = ["id", "station", "tenant", "use", "state", "detail", "received_at"]
    list_filter = ["state", "use", "tenant"]
    search_fields = ["station__identity", "common_name"]


@admin.register(Rollout)
class RolloutAdmin(Viewed):
    list_display = ["id", "anchor", "tenant", "remove", "state", "started_by", "created_at"]
    list_filter = ["state", "remove", "tenant"]
    search_fields = ["anchor__name"]


@admin.register(RolloutStep)
class RolloutStepAdmin(Viewed):
    list_display = ["rollout", "station", "tenant", "state", "detail", "ended_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["station__identity"]


@admin.register(ProfileChange)
class ProfileChangeAdmin(Viewed):
    list_display = ["station", "tenant", "from_profile", "to_profile", "state", "detail", "deadline"]
    list_filter = ["state", "to_profile", "tenant"]
    search_fields = ["station__identity"]


@admin.register(PasswordChange)
class PasswordChangeAdmin(Viewed):
    exclude = ["secret"]
    list_display = ["station", "tenant", "state", "detail", "started_by", "created_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["station__identity"]


@admin.register(SecurityEvent)
class SecurityEventAdmin(Viewed):
    list_display = [
        "occurred_at",
        "station",
        "tenant",
        "type",
        "severity",
        "source",
        "count",
        "acknowledged_by",
    ]
    list_filter = ["severity", "source", "tenant"]
    search_fields = ["type", "station__identity"]


@admin.register(PlugAndCharge)
class PlugAndChargeAdmin(Viewed):
    exclude = ["client_secret"]
    list_display = [
        "tenant",
        "provider",
        "base_url",
        "unchecked",
        "bare",
        "provider_called_at",
        "provider_error",
    ]
    list_filter = ["provider", "tenant"]
    search_fields = ["base_url"]


@admin.register(IssuerCertificate)
class IssuerCertificateAdmin(Viewed):
    list_display = ["subject", "tenant", "not_after", "seen_at"]
    list_filter = ["tenant"]
    search_fields = ["subject", "=fingerprint"]


@admin.register(RevocationCheck)
class RevocationCheckAdmin(Viewed):
    exclude = ["response"]
    list_display = ["serial", "tenant", "source", "status", "responder", "checked_at", "good_until"]
    list_filter = ["source", "status", "tenant"]
    search_fields = ["=serial", "responder"]


@admin.register(Contract)
class ContractAdmin(Viewed):
    list_display = ["emaid", "tenant", "issuer", "status", "not_after", "last_seen_at"]
    list_filter = ["status", "tenant"]
    search_fields = ["=emaid", "issuer"]


@admin.register(ContractCheck)
class ContractCheckAdmin(Viewed):
    list_display = ["at", "tenant", "station", "emaid", "status", "verdict", "reason", "flagged"]
    list_filter = ["status", "verdict", "flagged", "tenant"]
    search_fields = ["=emaid", "station__identity"]


@admin.register(CertificateInstallation)
class CertificateInstallationAdmin(Viewed):
    list_display = ["at", "tenant", "station", "schema", "update", "accepted", "detail", "took_ms"]
    list_filter = ["accepted", "tenant"]
    search_fields = ["station__identity"]


@admin.register(SeenVehicle)
class SeenVehicleAdmin(Viewed):
    list_display = ["uid", "kind", "tenant", "station", "times", "last_seen_at", "dismissed_at"]
    list_filter = ["kind", "tenant"]
    search_fields = ["=uid"]


@admin.register(VariableChange)
class VariableChangeAdmin(Viewed):
    list_display = ["id", "name", "component", "station", "tenant", "state", "origin_label", "asked_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["name", "component", "station__identity"]


@admin.register(ConfigurationRun)
class ConfigurationRunAdmin(Viewed):
    list_display = ["id", "label", "tenant", "stations", "origin_label", "created_at"]
    list_filter = ["tenant"]
    search_fields = ["label", "origin_label"]


@admin.register(DeviceReport)
class DeviceReportAdmin(Viewed):
    list_display = ["id", "station", "tenant", "kind", "state", "items", "created_at", "last_at"]
    list_filter = ["state", "kind", "tenant"]
    search_fields = ["station__identity"]


@admin.register(Monitor)
class MonitorAdmin(Viewed):
    list_display = ["id", "component", "name", "station", "tenant", "kind", "value", "severity", "state"]
    list_filter = ["state", "kind", "base", "tenant"]
    search_fields = ["component", "name", "station__identity"]


@admin.register(Alert)
class AlertAdmin(Viewed):
    list_display = ["id", "component", "name", "station", "tenant", "severity", "opened_at", "cleared_at"]
    list_filter = ["severity", ("cleared_at", admin.EmptyFieldListFilter), "tenant"]
    search_fields = ["component", "name", "station__identity"]


@admin.register(Stream)
class StreamAdmin(Viewed):
    list_display = ["number", "station", "tenant", "opened_at", "closed_at", "received"]
    list_filter = ["tenant"]
    search_fields = ["station__identity"]
    ordering = ["-id"]


@admin.register(StreamValue)
class StreamValueAdmin(Viewed):
    list_display = ["id", "stream", "tenant", "at", "value"]
    list_filter = ["tenant"]
    search_fields = ["=stream__id"]
    ordering = ["-id"]


@admin.register(CustomerQuery)
class CustomerQueryAdmin(Viewed):
    """What was told is the company's own: nobody of the platform reads it."""

    exclude = ["told"]
    list_display = ["id", "station", "tenant", "state", "report", "clear", "origin_label", "created_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["station__identity"]


@admin.register(NetworkProfile)
class NetworkProfileAdmin(Viewed):
    list_display = ["slot", "url", "station", "tenant", "state", "asked_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["url", "station__identity"]
    ordering = ["-id"]


@admin.register(ConfigurationTemplate)
class ConfigurationTemplateAdmin(Viewed):
    list_display = ["name", "tenant", "vendor", "model", "priority", "mode", "enabled"]
    list_filter = ["mode", "enabled", "tenant"]
    search_fields = ["name", "vendor", "model"]


@admin.register(StationDrift)
class StationDriftAdmin(Viewed):
    list_display = ["station", "tenant", "state", "wanted", "drifted", "checked_at", "due_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["station__identity"]
    ordering = ["-id"]


@admin.register(DesiredSetting)
class DesiredSettingAdmin(Viewed):
    list_display = ["name", "component", "station", "tenant", "template", "state", "attempts"]
    list_filter = ["state", "tenant"]
    search_fields = ["name", "station__identity"]
    ordering = ["-id"]


@admin.register(VendorProfile)
class VendorProfileAdmin(Viewed):
    list_display = ["name", "tenant", "vendor", "model", "enabled", "updated_at"]
    list_filter = ["enabled", "tenant"]
    search_fields = ["name", "vendor", "model"]
