"""Tokens: made, changed, blocked, removed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError

from fleets import emaid
from fleets.models import Token, TokenKind, TokenSite
from fleets.services.scopes import require_fleet
from fleets.uid import normal_uid
from tenants.errors import Conflict, Invalid
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

FIELDS = (
    "uid",
    "kind",
    "visual_number",
    "driver",
    "fleet",
    "group",
    "valid_from",
    "expires_at",
    "concurrent",
    "language",
    "priority",
    "message",
)


def create_token(*, tenant_id: int, actor: Actor, sites: Iterable[Site] = (), **values: Any) -> Token:
    """A new token from values named in FIELDS (`driver`, `fleet`: rows); good at all sites unless some are named."""
    token = Token(tenant_id=tenant_id, **_known(values))
    require_fleet(actor, Permission.TOKEN_EDIT, fleet_of(token))
    check(token)
    if Token.objects.filter(tenant_id=tenant_id, uid=token.uid).exists():
        raise Conflict(f"The token {token.uid} exists already.", code="token_exists")
    token.save()
    _limit_to(token, sites)
    audit.record(
        tenant_id=tenant_id, actor=actor, action="token.create", subject=token, detail={"uid": token.uid}
    )
    _tell(token, "token.created")
    return token


def update_token(*, token: Token, actor: Actor, sites: Iterable[Site] | None = None, **values: Any) -> Token:
    """Change the values named in FIELDS, and the sites if they are given (none: good at all sites)."""
    require_fleet(actor, Permission.TOKEN_EDIT, fleet_of(token))
    before = {name: getattr(token, name) for name in FIELDS} | {"sites": _site_names(token)}
    for name, value in _known(values).items():
        setattr(token, name, value)
    require_fleet(actor, Permission.TOKEN_EDIT, fleet_of(token))
    check(token)
    if Token.objects.filter(tenant_id=token.tenant_id, uid=token.uid).exclude(pk=token.pk).exists():
        raise Conflict(f"The token {token.uid} exists already.", code="token_exists")
    token.save()
    if sites is not None:
        _limit_to(token, sites)
    after = {name: getattr(token, name) for name in FIELDS} | {"sites": _site_names(token)}
    changed = audit.changes(before, after)
    if changed:
        audit.record(
            tenant_id=token.tenant_id,
            actor=actor,
            action="token.edit",
            subject=token,
            detail={"changed": changed},
        )
        _tell(token, "token.changed")
    return token


def block_token(*, token: Token, actor: Actor, reason: str = "") -> Token:
    """Refuse the token everywhere from now on. A session that runs goes on."""
    require_fleet(actor, Permission.TOKEN_EDIT, fleet_of(token))
    if not token.blocked:
        token.blocked, token.blocked_reason = True, reason.strip()[:200]
        token.save(update_fields=["blocked", "blocked_reason"])
        audit.record(
            tenant_id=token.tenant_id,
            actor=actor,
            action="token.block",
            subject=token,
            detail={"reason": reason},
        )
        _tell(token, "token.changed")
    return token


def unblock_token(*, token: Token, actor: Actor) -> Token:
    require_fleet(actor, Permission.TOKEN_EDIT, fleet_of(token))
    if token.blocked:
        token.blocked, token.blocked_reason = False, ""
        token.save(update_fields=["blocked", "blocked_reason"])
        audit.record(tenant_id=token.tenant_id, actor=actor, action="token.unblock", subject=token)
        _tell(token, "token.changed")
    return token


def delete_token(*, token: Token, actor: Actor) -> None:
    """Remove a token. Past sessions keep its number as text."""
    require_fleet(actor, Permission.TOKEN_EDIT, fleet_of(token))
    audit.record(tenant_id=token.tenant_id, actor=actor, action="token.delete", subject=token)
    _tell(token, "token.deleted")
    token.delete()


def fleet_of(token: Token) -> int | None:
    """The token's own fleet, else its driver's."""
    if token.fleet_id is not None or token.driver is None:
        return token.fleet_id
    return token.driver.fleet_id


def check(token: Token) -> None:
    """Bring the token to its normal form. Invalid names the fields that cannot be used."""
    token.uid = normal_uid(token.uid)
    problems: dict[str, str] = {}
    if not token.uid:
        problems["uid"] = "Write the token's number as the station reads it."
    try:
        token.clean_fields(exclude=["tenant", "driver", "fleet"])
    except ValidationError as error:
        told = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        problems = told | problems
    if token.kind == TokenKind.EMAID and token.uid and not emaid.canonical(token.uid):
        problems["uid"] = _contract_problem(token.uid)
    if token.valid_from and token.expires_at and token.expires_at <= token.valid_from:
        problems["expires_at"] = "The token expires before it becomes valid."
    if problems:
        raise Invalid(fields=problems)


def _contract_problem(uid: str) -> str:
    """What is wrong with a contract id."""
    plain = uid.replace("-", "").replace("*", "")
    if len(plain) == 15 and plain.isascii() and plain.isalnum() and plain[:2].isalpha():
        right = emaid.check_character(plain[:14])
        return f"The last character of a contract id checks the others; here it should be {right}. Look for a slip."
    return "Write the contract id as the contract has it, such as DE-ABC-C12345678-X."


def _known(values: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise Invalid(fields=dict.fromkeys(unknown, "There is no such field."))
    return values


def _site_names(token: Token) -> list[str]:
    rows = TokenSite.objects.filter(tenant_id=token.tenant_id, token=token)
    return sorted(rows.values_list("site__name", flat=True))


def _limit_to(token: Token, sites: Iterable[Site]) -> None:
    wanted = {site.pk for site in sites}
    rows = TokenSite.objects.filter(tenant_id=token.tenant_id, token=token)
    rows.exclude(site_id__in=wanted).delete()
    present = set(rows.values_list("site_id", flat=True))
    TokenSite.objects.bulk_create(
        TokenSite(tenant_id=token.tenant_id, token=token, site_id=site_id)
        for site_id in sorted(wanted - present)
    )


def _tell(token: Token, kind: str) -> None:
    facts.publish(
        tenant_id=token.tenant_id,
        kind=kind,
        subject_type="token",
        subject_id=token.pk,
        payload={"uid": token.uid, "blocked": token.blocked},
    )
