"""What flags of payments and prices mean, in words for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy as _

from stations.models import SessionCost
from stations.services import costs

_SETTLEMENT: dict[str, Any] = {
    "session_unknown": _("No session is known here that it could belong to."),
    "amount_absurd": _("The amount told is beyond all measure."),
    "amount_differs": _("The amount is not the price of the session."),
    "paid_twice": _("The session was paid more than once."),
    "not_paid": _("The session has a price, but was not paid."),
    "no_price": _("Something was paid, but the session has no price."),
}
_REACHED: dict[str, Any] = {
    "cost": _("The money was used up."),
    "energy": _("The energy was used up."),
    "time": _("The time was over."),
    "soc": _("The battery was full enough."),
}


def settlement_flags(flags: Iterable[str]) -> list[str]:
    return [str(_SETTLEMENT.get(flag, flag)) for flag in flags]


def reached(cost: SessionCost) -> str:
    return str(_REACHED.get(cost.limit_reached, ""))


def differs(cost: SessionCost) -> bool:
    return costs.differs(cost)
