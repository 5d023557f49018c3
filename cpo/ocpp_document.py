"""docs/ocpp.md: every action, its direction, its versions and the use cases it serves, from the versions' tables."""

from __future__ import annotations

from cpo.use_cases import USE_CASES
from stations.models import CommandKind
from stations.ocpp.schemas import actions
from stations.ocpp.version import Version
from stations.ocpp.versions import VERSIONS

HEAD = """# OCPP, action by action

A cell names the clauses of OCPP 1.6 (A.n: the security whitepaper) or the use cases of OCPP 2.x that the action serves
here; "-": the version has no such action. What the station asks is answered, and shows in the portal; what we ask is a
command, sent from the portal or by `POST /api/v1/stations/<id>/commands` with the kind named beside it (`docs/api.md`).

Made from the tables in `stations/ocpp/` by `python3 manage.py document_ocpp`.

"""
ASKS, SENDS, SAYS = "station asks", "station sends", "we ask"


def _rows(version: Version) -> dict[tuple[str, str], tuple[str, str]]:
    """(action, direction) -> (cases, kinds of command) of one version."""
    found = {(action, ASKS): (row.cases, "") for action, row in version.answers.items()}
    found |= {(action, SENDS): (row.cases, "") for action, row in version.sends.items()}
    for kind, say in version.says.items():
        cases, kinds = found.get((say.action, SAYS), ("", ""))
        named = f"{kinds}, `{CommandKind(kind).value}`" if kinds else f"`{CommandKind(kind).value}`"
        found[say.action, SAYS] = (" ".join(sorted({*cases.split(), *say.cases.split()})), named)
    return found


def page() -> str:
    versions = VERSIONS[::-1]
    tables = {version.name: _rows(version) for version in versions}
    lines = [
        "| action | direction | "
        + " | ".join(f"OCPP {version.name}" for version in versions)
        + " | command |",
        "|---|---|" + "---|" * (len(versions) + 1),
    ]
    for action, direction in sorted({key for table in tables.values() for key in table}):
        cells, kinds = [], ""
        for version in versions:
            cases, named = tables[version.name].get((action, direction), ("-", ""))
            cells.append(cases)
            kinds = named or kinds
        lines.append(f"| {action} | {direction} | " + " | ".join(cells) + f" | {kinds} |")
    return HEAD + "\n".join([*lines, *_use_cases(tables), *_missing(versions)]) + "\n"


def _use_cases(tables: dict[str, dict[tuple[str, str], tuple[str, str]]]) -> list[str]:
    served: dict[str, set[str]] = {}
    for version, rows in tables.items():
        for (action, _direction), (cases, _kinds) in rows.items():
            for case in cases.split() if version != "1.6" else ():
                served.setdefault(case, set()).add(action)
    if unknown := served.keys() - USE_CASES.keys():
        raise LookupError(f"No such use cases: {', '.join(sorted(unknown))}.")
    lines = ["", "## Use cases of OCPP 2.0.1 and 2.1", "", "| case | about | served by |", "|---|---|---|"]
    for case, about in USE_CASES.items():
        lines.append(f"| {case} | {about} | {', '.join(sorted(served.get(case, ()))) or 'not yet'} |")
    return lines


def _missing(versions: tuple[Version, ...]) -> list[str]:
    lines = []
    for version in versions:
        spoken = {action for action, _direction in _rows(version)}
        if silent := sorted(actions(version.name) - spoken):
            lines += ["", f"Of OCPP {version.name} not spoken yet: {', '.join(silent)}."]
    return lines
