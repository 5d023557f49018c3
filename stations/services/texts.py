"""What a station's display says to a driver, in the driver's language."""

from __future__ import annotations

from functools import lru_cache

from django.utils import translation
from django.utils.translation import gettext_lazy as _

from fleets.models import Reason
from fleets.services.authorization import Judgement
from tenants.models import Tenant

_REFUSALS = {
    Reason.UNKNOWN: _("This card or contract is not known here."),
    Reason.BLOCKED: _("This card or contract is blocked. Please ask who gave it to you."),
    Reason.DRIVER_BLOCKED: _("Your account is blocked. Please ask your operator."),
    Reason.NOT_YET_VALID: _("This card or contract is not valid yet."),
    Reason.EXPIRED: _("This card or contract has expired."),
    Reason.OTHER_SITE: _("This card or contract is not valid at this site."),
    Reason.AUTOCHARGE_OFF: _("Please show a card: cars are not recognised here."),
    Reason.ELSEWHERE: _("This card or contract is charging elsewhere already."),
    Reason.CERTIFICATE: _("Your car's contract certificate was refused. Please show a card."),
    Reason.NO_CERTIFICATE: _("Your car's contract could not be proved. Please show a card."),
}


def said(tenant_id: int, judged: Judgement) -> str:
    """The token's own text; or why it is refused, in the driver's language or the company's."""
    text = _REFUSALS.get(judged.reason)
    if text is None:
        return judged.message
    with translation.override(judged.language or _language(tenant_id)):
        return str(text)


@lru_cache(maxsize=1_000)  # a company's language hardly ever changes; a restart brings the new one
def _language(tenant_id: int) -> str:
    return Tenant.objects.filter(pk=tenant_id).values_list("language", flat=True).first() or "en"
