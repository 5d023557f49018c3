"""Pages of docs/ that are made from the tables they describe. Tests compare them, so they cannot go stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from cpo import env, ocpp_document
from tenants.models import Role
from tenants.permissions import FLEET_SCOPED, ROLE_PERMISSIONS, SITE_SCOPED, Permission

KINDS = {
    "text": "text",
    "secret": "text, secret",
    "flag": "true or false",
    "count": "whole number",
    "seconds": "seconds",
    "list": "list, separated by commas",
    "url": "address",
}
SETTINGS_HEAD = """# Settings

All are read from the environment of the process. `python3 manage.py up` sets what it needs by itself; a server is given
them by its operator. Production (`VOLTYARD_MODE=production`, the default) refuses to start while one of them is unsafe,
and says which and why.

Made from `cpo/env.py` by `python3 manage.py document_settings`.

"""
ROLES_HEAD = """# Roles

Who may do what at a company. A person has one role at each company they are a member of; services ask for the
permission, so pages, REST and tasks cannot differ. The scopes of an API key are the same permissions.

Made from `tenants/permissions.py` by `python3 manage.py document_roles`.

"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def settings_page() -> str:
    rows = ["| setting | kind | default | meaning |", "|---|---|---|---|"]
    for setting in env.SETTINGS:
        default = f"`{setting.default}`" if setting.default else ""
        rows.append(f"| `{setting.name}` | {KINDS[setting.kind]} | {default} | {_cell(setting.help)} |")
    return SETTINGS_HEAD + "\n".join(rows) + "\n"


def roles_page() -> str:
    roles = list(Role)
    rows = [
        "| permission | scope of a key | " + " | ".join(str(role.label) for role in roles) + " |",
        "|---|---|" + ":-:|" * len(roles),
    ]
    for permission in Permission:
        marks = ["✓" if permission in ROLE_PERMISSIONS[role] else "" for role in roles]
        rows.append(f"| {permission.label} | `{permission.value}` | " + " | ".join(marks) + " |")
    return ROLES_HEAD + "\n".join([*rows, "", *_limits()]) + "\n"


def _limits() -> list[str]:
    """In English whatever the caller's language: the page is one for all."""

    def named(scoped: frozenset[str]) -> str:
        return ", ".join(sorted(str(Role(role).label) for role in scoped))

    return [
        f"{named(SITE_SCOPED)}: only the sites named in the membership; none named, none seen. Any other role can be "
        "limited to sites in the same way.",
        "",
        f"{named(FLEET_SCOPED)}: only the fleets named in the membership, with their drivers, vehicles, tokens and "
        "sessions; none named, none seen.",
        "",
        f"{Role.DRIVER.label}: only their own sessions and tokens.",
        "",
        "Platform staff are no members: they use the admin under `/admin/`, and every change they make stands in the "
        "audit of the company it touches.",
    ]


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "roles.md": roles_page,
    "ocpp.md": ocpp_document.page,
}


def write(name: str) -> Path:
    path: Path = settings.BASE_DIR / "docs" / name
    path.write_text(PAGES[name](), encoding="utf-8")
    return path
