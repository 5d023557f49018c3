"""Members: who of all users may do what at a tenant."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from tenants.errors import Conflict, Invalid
from tenants.models import Membership, MembershipSite, Role, Site, User
from tenants.permissions import Actor, Permission
from tenants.services import audit


def add_member(
    *,
    tenant_id: int,
    actor: Actor,
    email: str,
    role: str,
    name: str = "",
    password: str = "",
    sites: Iterable[Site] = (),
) -> Membership:
    """Give a person a role here. A person unknown so far becomes a user with the password given."""
    actor.require(Permission.MEMBER_EDIT)
    if role not in Role.values:
        raise Invalid(fields={"role": f"Choose one of {', '.join(Role.values)}."})
    user = _user(email.strip().lower(), name, password)
    if Membership.objects.filter(tenant_id=tenant_id, user=user).exists():
        raise Conflict(f"{user} is a member already. Change the role there.", code="member_exists")
    member = Membership.objects.create(tenant_id=tenant_id, user=user, role=role)
    _limit_to(member, sites)
    audit.record(tenant_id=tenant_id, actor=actor, action="member.add", subject=member, detail={"role": role})
    return member


def change_member(
    *, member: Membership, actor: Actor, role: str, active: bool = True, sites: Iterable[Site] = ()
) -> Membership:
    """Another role, other sites, or access taken away. The last owner stays one."""
    actor.require(Permission.MEMBER_EDIT)
    if role not in Role.values:
        raise Invalid(fields={"role": f"Choose one of {', '.join(Role.values)}."})
    if member.role == Role.OWNER and member.active and (role != Role.OWNER or not active):
        _keep_an_owner(member)
    before = {"role": member.role, "active": member.active}
    member.role, member.active = role, active
    member.save(update_fields=["role", "active"])
    _limit_to(member, sites)
    changed = audit.changes(before, {"role": role, "active": active})
    audit.record(
        tenant_id=member.tenant_id,
        actor=actor,
        action="member.edit",
        subject=member,
        detail={"changed": changed},
    )
    return member


def remove_member(*, member: Membership, actor: Actor) -> None:
    """Take a person's access to this company away for good. The user stays, and so does what they did in the audit."""
    actor.require(Permission.MEMBER_EDIT)
    if member.role == Role.OWNER and member.active:
        _keep_an_owner(member)
    audit.record(tenant_id=member.tenant_id, actor=actor, action="member.remove", subject=member)
    member.delete()


def _user(email: str, name: str, password: str) -> User:
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid(fields={"email": "Write an e-mail address such as anna@example.com."}) from None
    user = User.objects.filter(email=email).first()
    if user is not None:
        return user
    try:
        validate_password(password)
    except ValidationError as error:
        raise Invalid(fields={"password": " ".join(error.messages)}) from None
    return User.objects.create_user(email=email, password=password, name=name)


def _limit_to(member: Membership, sites: Iterable[Site]) -> None:
    wanted = {site.pk for site in sites}
    rows = MembershipSite.objects.filter(tenant_id=member.tenant_id, membership=member)
    rows.exclude(site_id__in=wanted).delete()
    present = set(rows.values_list("site_id", flat=True))
    MembershipSite.objects.bulk_create(
        MembershipSite(tenant_id=member.tenant_id, membership=member, site_id=site_id)
        for site_id in sorted(wanted - present)
    )


def _keep_an_owner(member: Membership) -> None:
    """Conflict if nobody else is an active owner. Locks the rows: two owners must not remove each other at once."""
    owners = Membership.objects.filter(tenant_id=member.tenant_id, role=Role.OWNER, active=True)
    rows = list(owners.select_for_update(of=("self",)).select_related("user").order_by("pk"))
    if not any(one.pk != member.pk and one.user.is_active for one in rows):
        raise Conflict(
            f"{member.user} is the last owner. Make somebody else an owner first.", code="last_owner"
        )
