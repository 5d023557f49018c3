"""What the flags of a session mean, in words for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

# The sentences that `stations.services.holding` stores stand here too, so that they can be translated.
_TEXTS: dict[str, Any] = {
    "bad_timestamp": _("The station's clock was wrong by far at the start or the stop."),
    "clock_ahead": _("The station's clock runs ahead by hours; the time of receipt is used."),
    "connector_unknown": _("The station named a connector that it does not have here."),
    "connector_free": _("Ended here, because the connector was free again."),
    "energy_absurd": _("More energy than could flow in that time."),
    "evse_unknown": _("The station named a connector that it does not have here."),
    "guardian_closed": _("Closed here, because nothing was heard of it any more."),
    "guardian_unsure": _("The stop was never told; when and at which meter value it ended is a guess."),
    "late_stop": _("A stop arrived after the session had been priced, with other figures."),
    "meter_missing": _("The meter value at the start or at the stop is missing."),
    "meter_negative": _("The meter showed a negative value."),
    "meter_rollback": _("The meter showed less than before: it was reset or replaced."),
    "no_energy": _("Ended here, because no energy had flowed for days."),
    "no_identification": _("It charged without identification, which is not allowed here."),
    "no_tariff": _("No tariff was set at the start, so it costs nothing."),
    "no_zone": _("The station told times without a zone; they are taken as UTC."),
    "offline_token": _("It began while the station was offline, with a card that is unknown here."),
    "readings_contradict": _("The power that was measured does not fit the energy."),
    "readings_disagree": _("Single meter values contradict each other; the start and the stop count."),
    "replaced": _("A newer session on the same connector ended it."),
    "reviewed": _("Somebody reviewed it; the audit says who."),
    "seq_gap": _("Messages of this session are missing."),
    "start_missing": _("The start of the session was never told."),
    "station_gone": _("Ended here, because the station had been offline for days."),
    "stops_differ": _("The station told two different meter values for the stop."),
    "times_reversed": _("The stop is earlier than the start."),
    "token_missing": _("The station never said whose card it was, so nobody is billed for it."),
    "token_refused": _("The station charged although the card was refused."),
    "unit_mismatch": _("The meter values differ by a thousand: Wh and kWh seem to be mixed up."),
    "unit_unknown": _("The station told meter values in a unit that nobody knows; they are left out."),
    "value_absurd": _("The station told meter values beyond all measure; they are left out."),
    "zone_unknown": _("The station told local times without saying of which zone."),
}
_REASONS = (
    _("Energy was delivered to a token that is not accepted here."),
    _("The tariff cannot be priced."),
    _("Making the price failed; the error is in the log."),
)


def texts(flags: Iterable[str], *, beside: str = "") -> list[str]:
    """A sentence a flag, without the one that is `beside` it already. An unknown flag speaks for itself."""
    found = [str(_TEXTS.get(flag, flag.replace("_", " "))) for flag in flags]
    return [text for text in dict.fromkeys(found) if text != beside]


def reason(stored: str) -> str:
    """A stored sentence in the reader's language, if it is one of ours; what people wrote stays as it is."""
    return _t(stored) if stored else ""
