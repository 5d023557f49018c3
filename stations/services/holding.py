"""What is never billed unseen, and the sentence a reviewer reads."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from fleets.models import Verdict

# Flags that hold a session, the gravest first. English here: the text is stored; pages translate it.
# Not among them: "token_missing". Nobody is billed for such a session, so that nobody can be billed wrongly; many
# stations are free to all by their own setting, and each of their sessions would wait for a person.
HOLDING: dict[str, str] = {
    "meter_negative": "The meter showed a negative value.",
    "unit_mismatch": "The meter values differ by a thousand: Wh and kWh seem to be mixed up.",
    "meter_rollback": "The meter showed less than before: it was reset or replaced.",
    "energy_absurd": "More energy than could flow in that time.",
    "stops_differ": "The station told two different meter values for the stop.",
    "meter_missing": "The meter value at the start or at the stop is missing.",
    "start_missing": "The start of the session was never told.",
    "bad_timestamp": "The station's clock was wrong by far at the start or the stop.",
    "zone_unknown": "The station told local times without saying of which zone.",
    "times_reversed": "The stop is earlier than the start.",
    "guardian_unsure": "The stop was never told; when and at which meter value it ended is a guess.",
    "readings_contradict": "The power that was measured does not fit the energy.",
    "late_stop": "A stop arrived after the session had been priced, with other figures.",
}
REFUSED_TOKEN = "Energy was delivered to a token that is not accepted here."
NOBODY = "It charged without identification, which is not allowed here."
NOTICEABLE_WH = Decimal(100)  # below it a refused token got nothing worth a review


def reason(flags: Iterable[str], *, verdict: str, energy_wh: Decimal) -> str:
    """Why a session that is over must be looked at; empty: nothing speaks against billing it."""
    present = set(flags)
    for flag, text in HOLDING.items():
        if flag in present:
            return text
    if verdict != Verdict.ACCEPTED and energy_wh > NOTICEABLE_WH:
        return NOBODY if "no_identification" in present else REFUSED_TOKEN
    return ""
