"""Wire words that several versions share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from fleets.models import TokenKind, Verdict
from fleets.uid import VEHICLE_PREFIX
from stations.models import Registration
from stations.neutral import Sample, SampledValue, TokenShown
from tenants.errors import Invalid

REGISTRATION = {
    Registration.ACCEPTED: "Accepted",
    Registration.PENDING: "Pending",
    Registration.REJECTED: "Rejected",
}
VERDICT = {
    Verdict.ACCEPTED: "Accepted",
    Verdict.BLOCKED: "Blocked",
    Verdict.EXPIRED: "Expired",
    Verdict.INVALID: "Invalid",
    Verdict.CONCURRENT_TX: "ConcurrentTx",
}
TOKEN_KIND = {
    "Central": TokenKind.CENTRAL,
    "DirectPayment": TokenKind.DIRECT_PAYMENT,
    "eMAID": TokenKind.EMAID,
    "EVCCID": TokenKind.MAC_ADDRESS,
    "ISO14443": TokenKind.ISO14443,
    "ISO15693": TokenKind.ISO15693,
    "KeyCode": TokenKind.KEY_CODE,
    "Local": TokenKind.LOCAL,
    "MacAddress": TokenKind.MAC_ADDRESS,
    "NoAuthorization": TokenKind.NO_AUTHORIZATION,
    "VIN": TokenKind.VIN,
}
TOKEN_TYPE: dict[str, str] = {
    TokenKind.ISO14443: "ISO14443",
    TokenKind.ISO15693: "ISO15693",
    TokenKind.KEY_CODE: "KeyCode",
    TokenKind.LOCAL: "Local",
    TokenKind.CENTRAL: "Central",
    TokenKind.EMAID: "eMAID",
    TokenKind.MAC_ADDRESS: "MacAddress",
    TokenKind.NO_AUTHORIZATION: "NoAuthorization",
    TokenKind.DIRECT_PAYMENT: "DirectPayment",
    TokenKind.VIN: "Central",  # only 2.1 has a type for it
}
WORD = 50  # characters: no term of the specification is longer, and what words stations use is kept in memory
DEFAULT_MEASURAND = "Energy.Active.Import.Register"


def now() -> datetime:
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """2026-01-31T12:00:00.000Z: three decimals at most, for stations choke on more."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(value: Any) -> Decimal | None:
    """A measured value as Decimal; None where it is no finite number of sane length."""
    try:
        parsed = Decimal(value if type(value) is str else str(value))
    except (InvalidOperation, ValueError):
        return None
    return parsed if parsed.is_finite() and -15 <= parsed.adjusted() <= 15 else None


def samples_16(meter_values: Iterable[dict[str, Any]]) -> tuple[Sample, ...]:
    """1.6 MeterValue[]: values are text; a signed one is no number."""
    return tuple(
        [
            Sample(
                str(entry.get("timestamp", "")),
                tuple([_value_16(value) for value in entry.get("sampledValue", ())]),
            )
            for entry in meter_values
        ]
    )


def _value_16(value: dict[str, Any]) -> SampledValue:
    told, get, signed = value["value"], value.get, value.get("format") == "SignedData"
    return SampledValue(
        get("measurand", DEFAULT_MEASURAND)[:WORD], None if signed else number(told), str(told), get("unit", "")[:WORD],
        get("phase", "")[:WORD], get("location", "")[:WORD], get("context", "")[:WORD], 0, signed,
    )  # fmt: skip


def samples_2x(meter_values: Iterable[dict[str, Any]]) -> tuple[Sample, ...]:
    """2.x MeterValueType[]: values are numbers, with a multiplier to their unit; signed data stand beside them."""
    return tuple(
        Sample(
            str(entry.get("timestamp", "")),
            tuple(
                SampledValue(
                    measurand=value.get("measurand", DEFAULT_MEASURAND)[:WORD],
                    value=number(value["value"]),
                    raw=str((value.get("signedMeterValue") or {}).get("signedMeterData", value["value"])),
                    unit=(value.get("unitOfMeasure") or {}).get("unit", "")[:WORD],
                    phase=value.get("phase", "")[:WORD],
                    location=value.get("location", "")[:WORD],
                    context=value.get("context", "")[:WORD],
                    multiplier=int((value.get("unitOfMeasure") or {}).get("multiplier", 0)),
                    signed="signedMeterValue" in value,
                )
                for value in entry.get("sampledValue", ())
            ),
        )
        for entry in meter_values
    )


def token_2x(told: dict[str, Any] | None, group: str = "") -> TokenShown | None:
    if not told:
        return None
    return TokenShown(
        uid=str(told.get("idToken", "")), kind=TOKEN_KIND.get(told.get("type", ""), ""), group=group
    )


def token_16(tag: Any) -> TokenShown:
    """1.6 tells no type; the tag of a car that is known by its MAC address begins with VID: (Autocharge)."""
    uid = str(tag)
    vehicle = uid.strip().upper().startswith(VEHICLE_PREFIX)
    return TokenShown(uid, TokenKind.MAC_ADDRESS if vehicle else "")


def id_token(uid: str, kind: str = "") -> dict[str, Any]:
    """2.x IdTokenType; a token of no known kind is one of ours."""
    return {"idToken": uid, "type": TOKEN_TYPE.get(kind or TokenKind.CENTRAL, "Central")}


def group_2x(group: str | None) -> dict[str, Any] | None:
    return id_token(group) if group else None


def evse_2x(arguments: dict[str, Any]) -> dict[str, Any] | None:
    """EVSEType of a command's arguments; None where the whole station is meant."""
    if not isinstance(arguments.get("evse"), int):
        return None
    return optional(id=arguments["evse"], connectorId=arguments.get("connector"))


def moment(arguments: dict[str, Any], name: str) -> str:
    """A time of a command's arguments, ISO 8601 with a zone, as the wire has it. Invalid otherwise."""
    try:
        at = datetime.fromisoformat(wanted(arguments, name, str))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid(fields={name: "Write a time with its zone, such as 2026-01-31T12:00:00Z."})
    return stamp(at)


def connector_16(arguments: dict[str, Any]) -> int | None:
    """1.6 connector n is EVSE n: either word names it."""
    evse = arguments.get("evse", arguments.get("connector"))
    return evse if isinstance(evse, int) and not isinstance(evse, bool) else None


def wanted(arguments: dict[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    """An argument of a command that must be there. Invalid otherwise; its sense is for the station to judge."""
    value = arguments.get(name)
    if isinstance(value, bool) and kind is int:
        value = None
    if not isinstance(value, kind):
        raise Invalid(fields={name: f"This command needs `{name}`."})
    return value


def optional(**members: Any) -> dict[str, Any]:
    """The members that are given."""
    return {name: value for name, value in members.items() if value is not None and value != ""}


def whole(value: float) -> int:
    """A number that ought to be an integer of 32 bits: JSON's schema takes 1e30 for one too. Held to those bits."""
    return int(max(-(2**31), min(value, 2**31 - 1)))
