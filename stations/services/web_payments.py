"""Ad-hoc payment by a QR code whose last part changes (OCPP 2.1, C25).

The station and we share a secret; the code in the address is an HMAC of the time under it, so that a sticker with a
copied address is worth nothing a minute later. A code is taken once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as random
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.services import tariffs
from fleets.models import Token, TokenKind
from stations import payments
from stations.models import (
    Command,
    CommandKind,
    CommandState,
    LimitOrigin,
    Session,
    SessionCost,
    Station,
    WebPayment,
    WebPaymentAccess,
    WebPaymentState,
)
from stations.services import commands
from tenants import rows, secrets
from tenants.context import current_alias
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission, system
from tenants.services import audit

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
PATIENCE = timedelta(minutes=5)  # to pay; the station is told, and keeps the place
HIGHEST = Decimal(500)
PREFIX = "WEB"  # of the tokens that payments are
COMPONENT = "WebPaymentsCtrlr"
_ACTOR = system("Payment page")


def code(secret: str, *, at: datetime, validity_seconds: int, digits: int) -> str:
    """The changing part: HMAC-SHA256 of the count of intervals since 1970, in base 62, from an offset that the last
    byte names."""
    count = int(at.timestamp()) // validity_seconds
    digest = hmac.new(secret.encode(), count.to_bytes(8, "big"), hashlib.sha256).digest()
    offset = digest[-1] & 0x0F
    return "".join(ALPHABET[digest[(offset + place) % len(digest)] % 62] for place in range(digits))


def is_current(access: WebPaymentAccess, told: str, *, at: datetime) -> bool:
    """Whether the code is that of now, or of the interval before or after: clocks differ and people walk."""
    step = timedelta(seconds=access.validity_seconds)
    known = [
        code(
            access.secret,
            at=at + step * shift,
            validity_seconds=access.validity_seconds,
            digits=access.digits,
        )
        for shift in (-1, 0, 1)
    ]
    return any(hmac.compare_digest(told.encode("utf-8", "replace"), one.encode()) for one in known)


def template(tenant_slug: str) -> str:
    """The address that the station makes its QR code of; what stands in braces it fills in."""
    return f"{settings.PUBLIC_URL}/pay/{tenant_slug}/{{chargingStationId}}/{{evse}}/{{totp}}/"


def install(*, station: Station, tenant_slug: str, actor: Actor) -> WebPaymentAccess:
    """Give a station a new secret and the address of our page; its old codes are void at once."""
    actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    if station.ocpp_version and station.ocpp_version != "2.1":
        raise Conflict("QR codes for payment need OCPP 2.1.", code="version")
    access, _made = WebPaymentAccess.objects.update_or_create(
        tenant_id=station.tenant_id, station=station, defaults={"secret": secrets.new_secret(32)}
    )
    values = (
        ("URLTemplate", template(tenant_slug)),
        ("TOTPVersion", "v1"),
        ("ValidityTime", str(access.validity_seconds)),
        ("Length", str(access.digits)),
        ("SharedSecret", access.secret),
        ("Enabled", "true"),
    )
    for name, value in values:
        commands.request_command(
            tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.WRITE_CONFIGURATION,
            arguments={"component": COMPONENT, "name": name, "value": value}, actor=actor, expires_in_seconds=3600,
        )  # fmt: skip
    audit.record(
        tenant_id=station.tenant_id, actor=actor, action="station.web_payment", subject=station, site_id=station.site_id
    )  # fmt: skip
    return access


def begin(*, station: Station, evse: int, told: str, now: datetime) -> WebPayment:
    """A driver followed the QR code: tell the station (C25), and keep the place while they pay."""
    access = WebPaymentAccess.objects.filter(tenant_id=station.tenant_id, station=station).first()
    if access is None or not is_current(access, told, at=now):
        raise Invalid(
            "This code is no longer valid. Scan the one that the station shows now.", code="code_old"
        )
    uid = f"{PREFIX}{random.token_hex(8).upper()}"
    terms = rows.alone(station.tenant_id, tariffs.snapshot_for([(station.site_id, station.tariff_id)]))[0]
    try:
        with transaction.atomic(using=current_alias()):
            payment = WebPayment.objects.create(
                tenant_id=station.tenant_id, station=station, evse_number=evse, code=told[:12],
                key=secrets.new_secret(43), token_uid=uid, currency=terms["currency"] if terms else "",
                expires_at=now + PATIENCE,
            )  # fmt: skip
    except IntegrityError:
        return _again(station, evse, told)
    commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.WEB_PAYMENT, actor=_ACTOR,
        arguments={"evse": evse, "timeout_seconds": int(PATIENCE.total_seconds())}, urgent=True,
    )  # fmt: skip
    return payment


def _again(station: Station, evse: int, told: str) -> WebPayment:
    """The same code once more: a page loaded anew, a messenger that looked ahead. Not once money is at stake."""
    found = WebPayment.objects.filter(
        tenant_id=station.tenant_id,
        station=station,
        evse_number=evse,
        code=told[:12],
        state=WebPaymentState.OPEN,
    ).first()
    if found is None:
        raise Conflict(
            "This code was used already. Scan the one that the station shows now.", code="code_used"
        )
    return found


def pay(*, payment: WebPayment, amount: Decimal, back: str, now: datetime) -> str:
    """Have the provider set the amount aside, then start the charge. Gives an address to go on at, if there is one."""
    locked = WebPayment.objects.select_for_update().get(tenant_id=payment.tenant_id, pk=payment.pk)
    provider = payments.provider()
    if provider is None:
        raise Conflict("Nobody takes payments here yet.", code="no_provider")
    if locked.state != WebPaymentState.OPEN or now > locked.expires_at:
        raise Conflict("The time to pay is over. Scan the code of the station again.", code="payment_over")
    if not amount.is_finite() or not 0 < amount <= HIGHEST:
        raise Invalid(fields={"amount": f"Choose an amount up to {HIGHEST}."})
    taken = provider.begin(key=locked.key, amount=amount, currency=locked.currency, back=back)
    locked.provider, locked.reference, locked.limit_cost = provider.name, taken.reference[:255], amount
    locked.save(update_fields=["provider", "reference", "limit_cost"])
    if taken.authorized:
        _start(locked, now)
    return taken.address


def _start(payment: WebPayment, now: datetime) -> None:
    Token.objects.create(
        tenant_id=payment.tenant_id, uid=payment.token_uid, kind=TokenKind.DIRECT_PAYMENT,
        visual_number=f"{payment.provider} {payment.reference}"[:64], expires_at=now + timedelta(days=1),
    )  # fmt: skip
    command = commands.request_command(
        tenant_id=payment.tenant_id, station_id=payment.station_id, kind=CommandKind.START, actor=_ACTOR,
        arguments={
            "evse": payment.evse_number, "token_uid": payment.token_uid, "token_kind": TokenKind.DIRECT_PAYMENT,
        },
    )  # fmt: skip
    payment.state, payment.start_command_id = WebPaymentState.AUTHORIZED, command.pk
    payment.save(update_fields=["state", "start_command_id"])


def sweep(*, tenant_id: int, now: datetime) -> int:
    """Bring payments on: started, refused, over; their sessions get the bound that was paid for."""
    done = 0
    waiting = WebPayment.objects.filter(
        tenant_id=tenant_id, state__in=(WebPaymentState.OPEN, WebPaymentState.AUTHORIZED, WebPaymentState.STARTED),
        session=None, created_at__gt=now - timedelta(days=1),
    )  # fmt: skip
    # Held: who pays this moment holds theirs while the provider answers, and is left alone until the next time.
    held = waiting.select_for_update(of=("self",), skip_locked=True)
    for payment in held.order_by("-id")[:5_000]:
        done += _go_on(payment, now)
    return done


def _go_on(payment: WebPayment, now: datetime) -> int:
    before = payment.state
    if payment.state == WebPaymentState.OPEN:
        if now > payment.expires_at:
            payment.state = WebPaymentState.ABANDONED
    else:
        command = Command.objects.filter(
            tenant_id=payment.tenant_id, pk=payment.start_command_id or 0
        ).first()
        if command is not None and command.settled:
            accepted = command.state == CommandState.ACCEPTED
            payment.state = WebPaymentState.STARTED if accepted else WebPaymentState.REFUSED
        payment.session = Session.objects.filter(
            tenant_id=payment.tenant_id, station_id=payment.station_id, token_uid=payment.token_uid
        ).first()
        if payment.session is not None:
            payment.state = WebPaymentState.STARTED
            bind(payment, payment.session.pk, told=False)
    if payment.state == before and payment.session is None:
        return 0
    payment.save(update_fields=["state", "session"])
    return 1


def bind(payment: WebPayment, session_id: int, *, told: bool) -> None:
    """The session may cost what was set aside, and no more."""
    cost, _made = SessionCost.objects.get_or_create(tenant_id=payment.tenant_id, session_id=session_id)
    if cost.limit_origin in ("", LimitOrigin.STATION):
        cost.limit_cost, cost.limit_origin = payment.limit_cost, LimitOrigin.WEB
        cost.limit_told_at = timezone.now() if told else None
        cost.save(update_fields=["limit_cost", "limit_origin", "limit_told_at"])


def of_token(*, tenant_id: int, station_id: int, token_uid: str) -> WebPayment | None:
    """The payment whose charge this token starts."""
    if not token_uid.startswith(PREFIX):
        return None
    return WebPayment.objects.filter(tenant_id=tenant_id, station_id=station_id, token_uid=token_uid).first()


def find(*, tenant_id: int, key: str) -> WebPayment | None:
    return (
        WebPayment.objects.filter(
            tenant_id=tenant_id, key=key, created_at__gt=timezone.now() - timedelta(days=2)
        )
        .select_related("station", "station__site", "session")
        .first()
    )
