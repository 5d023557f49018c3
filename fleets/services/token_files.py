"""Tokens from and to CSV files: all rows or none, with a report that names each row that is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from fleets.models import Driver, Fleet, Token, TokenKind, TokenSite
from fleets.services.scopes import require_fleet
from fleets.services.tokens import check, fleet_of
from fleets.uid import normal_uid
from tenants.errors import Forbidden, Invalid
from tenants.models import Site, Tenant
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

COLUMNS = (
    "uid",
    "kind",
    "visual_number",
    "driver",
    "fleet",
    "group",
    "valid_from",
    "expires_at",
    "blocked",
    "concurrent",
    "sites",
)
MOST_ROWS = 20_000
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_T = TypeVar("_T")
_TRUE, _FALSE = {"yes", "true", "1", "x", "ja"}, {"", "no", "false", "0", "nein"}


@dataclass(frozen=True, slots=True)
class RowError:
    """`row` counts as a spreadsheet does: the header is row 1."""

    row: int
    column: str
    text: str


@dataclass(slots=True)
class ImportReport:
    created: int = 0
    updated: int = 0
    errors: list[RowError] = field(default_factory=list)


class _Wrong(Exception):
    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column, self.text = column, text


class _Names:
    """Drivers, fleets and sites of the tenant by what people call them. Ambiguous names map to None."""

    def __init__(self, tenant_id: int) -> None:
        self.drivers: dict[str, Driver | None] = {}
        for driver in Driver.objects.filter(tenant_id=tenant_id):
            for name in {driver.name.casefold(), driver.email.casefold()} - {""}:
                self.drivers[name] = None if name in self.drivers else driver
        self.fleets = {one.name.casefold(): one for one in Fleet.objects.filter(tenant_id=tenant_id)}
        self.sites = {
            one.name.casefold(): one for one in Site.objects.filter(tenant_id=tenant_id, archived_at=None)
        }
        self.zone = ZoneInfo(Tenant.objects.get(pk=tenant_id).time_zone)


def import_tokens(*, tenant_id: int, actor: Actor, text: str) -> ImportReport:
    """Create the tokens of a CSV file, and change those whose UID exists. With any error nothing is stored.

    The first row names columns out of COLUMNS, in any order; `uid` is needed. Drivers are named by e-mail or name,
    sites separated by |. A date alone counts from its midnight (valid_from) or to its end (expires_at).
    """
    actor.require(Permission.TOKEN_EDIT)
    rows = _rows(text)
    names = _Names(tenant_id)
    known = {token.uid: token for token in Token.objects.filter(tenant_id=tenant_id).select_related("driver")}
    report, parsed, seen = ImportReport(), [], dict[str, int]()
    for number, row in rows:
        try:
            token, sites = _token(tenant_id, actor, row, names, known)
            if token.uid in seen:
                raise _Wrong("uid", f"The token {token.uid} stands in row {seen[token.uid]} already.")
            seen[token.uid] = number
            parsed.append((token, sites))
        except _Wrong as wrong:
            report.errors.append(RowError(number, wrong.column, wrong.text))
        except Invalid as invalid:
            report.errors += [RowError(number, name, why) for name, why in invalid.fields.items()]
        except Forbidden as refused:
            report.errors.append(RowError(number, "fleet", refused.detail))
    if not report.errors:
        _store(tenant_id, actor, parsed, report)
    return report


def export_tokens(*, tenant_id: int, tokens: Iterable[Token]) -> str:
    """The tokens as CSV that `import_tokens` takes. Text that a spreadsheet would run as a formula is quoted."""
    limited: dict[int, list[str]] = {}
    links = TokenSite.objects.filter(tenant_id=tenant_id).values_list("token_id", "site__name")
    for token_id, site in links.order_by("site__name"):
        limited.setdefault(token_id, []).append(site)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for token in tokens:
        writer.writerow([_neutral(cell) for cell in _cells(token, limited.get(token.pk, []))])
    return out.getvalue()


def _rows(text: str) -> list[tuple[int, dict[str, str]]]:
    """(row as a spreadsheet counts, its cells by column), without empty rows."""
    lines = text.removeprefix("\ufeff").replace("\0", "")
    first = lines.split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        rows = [(number, row) for number, row in enumerate(reader, start=2) if any(map(str.strip, row))]
    except csv.Error as error:
        raise Invalid(fields={"file": f"Line {reader.line_num} cannot be read as CSV: {error}."}) from None
    unknown = [name for name in columns if name not in COLUMNS]
    if "uid" not in columns:
        raise Invalid(fields={"file": "The first row must name the columns, among them uid."})
    if unknown:
        raise Invalid(fields={"file": f"There is no column {unknown[0]!r}. Known: {', '.join(COLUMNS)}."})
    if len(rows) > MOST_ROWS:
        raise Invalid(fields={"file": f"The file has {len(rows)} rows; import at most {MOST_ROWS} at once."})
    filled = ((number, row + [""] * (len(columns) - len(row))) for number, row in rows)
    return [(number, dict(zip(columns, map(_plain, row), strict=False))) for number, row in filled]


def _token(
    tenant_id: int, actor: Actor, row: dict[str, str], names: _Names, known: dict[str, Token]
) -> tuple[Token, list[Site] | None]:
    """The token that a row describes (an existing one changed), and its sites if the file has that column."""
    uid = normal_uid(row["uid"])
    token = known.get(uid) or Token(tenant_id=tenant_id, uid=uid)
    if token.pk:
        require_fleet(actor, Permission.TOKEN_EDIT, fleet_of(token))
    for name in ("visual_number", "group"):
        if name in row:
            setattr(token, name, row[name])
    if row.get("kind"):
        if row["kind"].lower() not in TokenKind.values:
            raise _Wrong(
                "kind", f"{row['kind']!r} is no kind of token. Known: {', '.join(TokenKind.values)}."
            )
        token.kind = row["kind"].lower()
    if "driver" in row:
        token.driver = _named(names.drivers, row["driver"], "driver")
    if "fleet" in row:
        token.fleet = _named(names.fleets, row["fleet"], "fleet")
    if "valid_from" in row:
        token.valid_from = _moment(row["valid_from"], "valid_from", names.zone)
    if "expires_at" in row:
        token.expires_at = _moment(row["expires_at"], "expires_at", names.zone, end_of_day=True)
    for name in ("blocked", "concurrent"):
        if name in row:
            setattr(token, name, _flag(row[name], name))
    require_fleet(actor, Permission.TOKEN_EDIT, fleet_of(token))
    check(token)
    return token, _sites(row["sites"], names) if "sites" in row else None


def _named(known: Mapping[str, _T | None], name: str, column: str) -> _T | None:
    if not name:
        return None
    found = known.get(name.casefold())
    if found is None:
        many = name.casefold() in known
        raise _Wrong(
            column,
            f"There are several called {name}: write the e-mail."
            if many
            else f"There is no {column} called {name}.",
        )
    return found


def _sites(text: str, names: _Names) -> list[Site]:
    found = [_named(names.sites, part.strip(), "site") for part in text.split("|")]
    return [site for site in found if site is not None]


def _moment(text: str, column: str, zone: ZoneInfo, *, end_of_day: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        if len(text) == len("2027-01-31"):
            day = date.fromisoformat(text) + timedelta(days=1 if end_of_day else 0)
            return datetime.combine(day, time(), zone).astimezone(UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Wrong(column, f"{text!r} is no date. Write 2027-01-31 or 2027-01-31T12:00.") from None


def _flag(text: str, column: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise _Wrong(column, f"{text!r} is neither yes nor no.")
    return word in _TRUE


def _store(
    tenant_id: int, actor: Actor, parsed: list[tuple[Token, list[Site] | None]], report: ImportReport
) -> None:
    new = [token for token, _sites_of in parsed if token.pk is None]
    old = [token for token, _sites_of in parsed if token.pk is not None]
    columns = [name for name in COLUMNS if name not in ("uid", "sites")]
    Token.objects.bulk_create(new, batch_size=1000)
    Token.objects.bulk_update(old, columns, batch_size=500)
    named = [(token, sites) for token, sites in parsed if sites is not None]
    TokenSite.objects.filter(tenant_id=tenant_id, token__in=[token.pk for token, _sites_of in named]).delete()
    TokenSite.objects.bulk_create(
        TokenSite(tenant_id=tenant_id, token=token, site=site)
        for token, sites in named
        for site in dict.fromkeys(sites)
    )
    report.created, report.updated = len(new), len(old)
    detail = {"created": report.created, "updated": report.updated}
    audit.record(tenant_id=tenant_id, actor=actor, action="token.import", detail=detail)
    facts.publish(
        tenant_id=tenant_id,
        kind="token.imported",
        subject_type="tenant",
        subject_id=tenant_id,
        payload=detail,
    )


def _cells(token: Token, sites: list[str]) -> list[str]:
    driver = token.driver
    return [
        token.uid,
        token.kind,
        token.visual_number,
        (driver.email or driver.name) if driver else "",
        token.fleet.name if token.fleet else "",
        token.group,
        token.valid_from.isoformat() if token.valid_from else "",
        token.expires_at.isoformat() if token.expires_at else "",
        "yes" if token.blocked else "no",
        "yes" if token.concurrent else "no",
        "|".join(sites),
    ]


def _neutral(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _plain(cell: str) -> str:
    """What `_neutral` made, undone; white space around goes."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA_STARTS) else cell
