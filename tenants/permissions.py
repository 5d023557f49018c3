"""The one table of who may do what, and the Actor that carries it to the verbs."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from tenants.errors import Forbidden
from tenants.models import Role


class Permission(models.TextChoices):
    SITE_VIEW = "site.view", _("See sites")
    SITE_EDIT = "site.edit", _("Create and change sites")
    STATION_VIEW = "station.view", _("See stations and their live state")
    STATION_EDIT = "station.edit", _("Connect, change and remove stations")
    STATION_COMMAND = "station.command", _("Send commands to stations")
    STATION_CONFIGURE = "station.configure", _("Change a station's configuration")
    LIMIT_SET = "limit.set", _("Set limits from outside, such as the grid operator's")
    METER_SEND = "meter.send", _("Send readings of a site's meters")
    FRAME_VIEW = "frame.view", _("Read OCPP frames")
    SESSION_VIEW = "session.view", _("See charging sessions")
    SESSION_REVIEW = "session.review", _("Review sessions that are held")
    TOKEN_VIEW = "token.view", _("See tokens")
    TOKEN_EDIT = "token.edit", _("Create, change and block tokens")
    DRIVER_VIEW = "driver.view", _("See drivers and fleets")
    DRIVER_EDIT = "driver.edit", _("Create and change drivers and fleets")
    TARIFF_VIEW = "tariff.view", _("See tariffs")
    TARIFF_EDIT = "tariff.edit", _("Create and change tariffs")
    MONEY_VIEW = "money.view", _("See prices and revenue")
    MEMBER_VIEW = "member.view", _("See members and roles")
    MEMBER_EDIT = "member.edit", _("Invite members and change roles")
    KEY_EDIT = "key.edit", _("Create and revoke API keys and webhooks")
    AUDIT_VIEW = "audit.view", _("Read the audit")
    TENANT_EDIT = "tenant.edit", _("Change the company's settings")
    OWN_VIEW = "own.view", _("See one's own sessions and tokens")


_P = Permission
_SEE = {
    _P.SITE_VIEW,
    _P.STATION_VIEW,
    _P.SESSION_VIEW,
    _P.TOKEN_VIEW,
    _P.DRIVER_VIEW,
    _P.TARIFF_VIEW,
    _P.OWN_VIEW,
}
_OPERATE = _SEE | {
    _P.SITE_EDIT,
    _P.STATION_EDIT,
    _P.STATION_COMMAND,
    _P.STATION_CONFIGURE,
    _P.LIMIT_SET,
    _P.METER_SEND,
    _P.FRAME_VIEW,
    _P.SESSION_REVIEW,
    _P.TOKEN_EDIT,
    _P.DRIVER_EDIT,
    _P.MONEY_VIEW,
    _P.MEMBER_VIEW,
    _P.AUDIT_VIEW,
}
ROLE_PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.OPERATOR: frozenset(_OPERATE),
    Role.TECHNICIAN: frozenset(
        {
            _P.SITE_VIEW,
            _P.STATION_VIEW,
            _P.STATION_EDIT,
            _P.STATION_COMMAND,
            _P.STATION_CONFIGURE,
            _P.FRAME_VIEW,
            _P.SESSION_VIEW,
            _P.OWN_VIEW,
        }
    ),
    Role.BILLING: frozenset(_SEE | {_P.TARIFF_EDIT, _P.MONEY_VIEW, _P.SESSION_REVIEW, _P.AUDIT_VIEW}),
    Role.AUDITOR: frozenset(_SEE | {_P.FRAME_VIEW, _P.MONEY_VIEW, _P.MEMBER_VIEW, _P.AUDIT_VIEW}),
    Role.FACILITY_MANAGER: frozenset(
        {
            _P.SITE_VIEW,
            _P.STATION_VIEW,
            _P.STATION_COMMAND,
            _P.LIMIT_SET,
            _P.METER_SEND,
            _P.SESSION_VIEW,
            _P.TARIFF_VIEW,
            _P.MONEY_VIEW,
            _P.OWN_VIEW,
        }
    ),
    Role.FLEET_MANAGER: frozenset(
        {
            _P.SESSION_VIEW,
            _P.TOKEN_VIEW,
            _P.TOKEN_EDIT,
            _P.DRIVER_VIEW,
            _P.DRIVER_EDIT,
            _P.MONEY_VIEW,
            _P.OWN_VIEW,
        }
    ),
    Role.DRIVER: frozenset({_P.OWN_VIEW}),
}
SITE_SCOPED = frozenset({Role.FACILITY_MANAGER})  # see nothing beyond their rows of MembershipSite
FLEET_SCOPED = frozenset({Role.FLEET_MANAGER})  # see nothing beyond their rows of fleets.FleetScope


@dataclass(frozen=True)
class Actor:
    """Who asks. `site_ids` / `fleet_ids` None means all of the tenant's; a set narrows to those."""

    kind: str  # user | key | task | partner | station | staff
    id: str
    label: str
    permissions: frozenset[Permission]
    role: str = ""
    site_ids: frozenset[int] | None = None
    fleet_ids: frozenset[int] | None = None
    driver_ids: frozenset[int] | None = None
    user_id: int | None = None

    def may(self, permission: Permission, *, site_id: int | None = None) -> bool:
        if permission not in self.permissions:
            return False
        return site_id is None or self.site_ids is None or site_id in self.site_ids

    def require(self, permission: Permission, *, site_id: int | None = None) -> None:
        """Forbidden unless the actor may do this (at this site)."""
        if not self.may(permission, site_id=site_id):
            raise Forbidden(f"{self.label} may not {permission.label[0].lower()}{permission.label[1:]}.")


def system(label: str) -> Actor:
    """The product itself, acting by a task or a rule."""
    return Actor(kind="task", id=label, label=label, permissions=frozenset(Permission))


# Who acted where it was nobody: kept in English, said in the reader's language.
SYSTEM = (
    gettext_noop("After the restart"),
    gettext_noop("Certificate authority"),
    gettext_noop("Demo set-up"),
    gettext_noop("Firmware"),
    gettext_noop("Firmware version"),
    gettext_noop("Grid controls"),
    gettext_noop("Limit of the session"),
    gettext_noop("Load management"),
    gettext_noop("Local lists"),
    gettext_noop("Logs"),
    gettext_noop("Master pass"),
    gettext_noop("Monthly reports"),
    gettext_noop("Password change"),
    gettext_noop("Payment page"),
    gettext_noop("Read back"),
    gettext_noop("Recovery"),
    gettext_noop("Renewal of certificates"),
    gettext_noop("Reservations"),
    gettext_noop("Rollout of certificates"),
    gettext_noop("Running cost"),
    gettext_noop("Security profile"),
    gettext_noop("Security profile, back"),
    gettext_noop("Summer time"),
    gettext_noop("Tariffs on stations"),
    gettext_noop("Templates"),
    gettext_noop("The car's wish"),
)


def named(label: str) -> str:
    """Who acted, in words: a person's name as it is."""
    return gettext(label) if label in SYSTEM else label
