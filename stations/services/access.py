"""Rules of access: who may charge how at a station. The company's, the site's and the station's, merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from django.db.models import Q

from fleets.models import TokenKind, Verdict
from fleets.services.authorization import Judgement
from stations.models import AccessRule, ListScope, Station
from stations.neutral import TokenShown
from tenants import rows
from tenants.errors import Invalid
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.rows import Ask
from tenants.services import audit, facts


@dataclass(frozen=True, slots=True)
class Rules:
    """What applies where nobody has said anything: nothing is given away, nothing is sent unasked."""

    local_list: bool = False
    list_scope: str = ListScope.ALL.value
    list_group: str = ""
    free_charging: bool = False
    direct_payment: bool = False
    bidirectional: bool = False
    master_group: str = ""
    reservations: bool = False
    reserve_ahead_minutes: int = 60
    reserve_minutes: int = 30
    no_show_limit: int = 3


NAMES = tuple(one.name for one in fields(Rules))
_BOUNDS = {
    "reserve_ahead_minutes": (0, 7 * 24 * 60, "Write 0 to 10080 minutes."),
    "reserve_minutes": (5, 24 * 60, "Write 5 to 1440 minutes."),
    "no_show_limit": (0, 1000, "Write 0 to 1000; 0 sets no limit."),
}


def merged(levels: Iterable[AccessRule]) -> Rules:
    """The rules of rows from the widest to the narrowest: the narrowest that says something counts."""
    rules = Rules()
    for level in levels:
        said = {name: getattr(level, name) for name in NAMES}
        rules = replace(rules, **{name: value for name, value in said.items() if value not in (None, "")})
    return rules


def _levels(found: Iterable[AccessRule], site_id: int | None, station_id: int | None) -> list[AccessRule]:
    by_place = {(row.site_id, row.station_id): row for row in found}
    keys = [(None, None), (site_id, None), (None, station_id)]
    return [by_place[key] for key in dict.fromkeys(keys) if key in by_place]


def of_site(tenant_id: int, site_id: int | None = None) -> Rules:
    """The rules at a site; without one, the company's."""
    found = AccessRule.objects.filter(Q(site_id=site_id) | Q(site=None), tenant_id=tenant_id, station=None)
    return merged(_levels(found, site_id, None))


def of_stations(tenant_id: int, stations: Iterable[Station]) -> dict[int, Rules]:
    """The rules at each station, by its id."""
    listed = list(stations)
    sites = {station.site_id for station in listed}
    found = list(
        AccessRule.objects.filter(
            Q(site=None, station=None) | Q(site_id__in=sites) | Q(station__in=listed), tenant_id=tenant_id
        )
    )
    return {station.pk: merged(_levels(found, station.site_id, station.pk)) for station in listed}


def of_station(station: Station) -> Rules:
    return of_stations(station.tenant_id, [station])[station.pk]


def own_rule(*, tenant_id: int, site: Site | None = None, station: Station | None = None) -> AccessRule:
    """What was said at this very level; an unsaved row where nothing was."""
    found = AccessRule.objects.filter(tenant_id=tenant_id, site=site, station=station).first()
    return found or AccessRule(tenant_id=tenant_id, site=site, station=station)


def change_rule(
    *,
    tenant_id: int,
    actor: Actor,
    site: Site | None = None,
    station: Station | None = None,
    changes: dict[str, Any],
) -> AccessRule:
    """Say something for the company, a site or a station; None or "" leaves it to the level above."""
    site_id = station.site_id if station else site.pk if site else None
    actor.require(Permission.STATION_CONFIGURE, site_id=site_id)
    if site_id is None and actor.site_ids is not None:
        actor.require(Permission.TENANT_EDIT)
    rule = own_rule(tenant_id=tenant_id, site=site, station=station)
    before = {name: getattr(rule, name) for name in changes}
    for name, value in _checked(changes).items():
        setattr(rule, name, value)
    scope, group = merged([rule]).list_scope, rule.list_group
    if scope == ListScope.GROUP and not group:
        raise Invalid(fields={"list_group": "Name the parent group whose tokens go into the list."})
    rule.save()
    changed = audit.changes(before, {name: getattr(rule, name) for name in changes})
    if changed:
        audit.record(
            tenant_id=tenant_id, actor=actor, action="access.edit", subject=station or site, site_id=site_id,
            detail={"changed": changed},
        )  # fmt: skip
        facts.publish(
            tenant_id=tenant_id, kind="access.changed", subject_type="access_rule", subject_id=rule.pk,
            payload={"site": site_id, "station": station.pk if station else None, "changed": sorted(changed)},
        )  # fmt: skip
    return rule


def _checked(changes: dict[str, Any]) -> dict[str, Any]:
    wrong = {name: "There is no such rule." for name in changes if name not in NAMES}
    for name, (least, most, text) in _BOUNDS.items():
        value = changes.get(name)
        if value is not None and not least <= value <= most:
            wrong[name] = text
    for name in ("list_group", "master_group"):
        if len(changes.get(name) or "") > 36 or "\0" in (changes.get(name) or ""):
            wrong[name] = "Write at most 36 characters."
    if (changes.get("list_scope") or ListScope.ALL) not in ListScope.values:
        wrong["list_scope"] = f"Choose one of {', '.join(ListScope.values)}."
    if wrong:
        raise Invalid(fields=wrong)
    texts = ("list_group", "master_group", "list_scope")
    return {name: (value or "").strip() if name in texts else value for name, value in changes.items()}


# --- what the rules mean for a verdict ---

# From the widest level to the narrowest, for each station.
_RULES = """
SELECT s.id, a.free_charging, a.direct_payment, a.master_group
FROM (SELECT (r#>>'{}')::bigint id FROM json_array_elements(%(rows)s::json) r OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT k.id, k.site_id FROM stations_station k WHERE k.tenant_id = %(tenant)s AND k.id = w.id LIMIT 1) s
JOIN stations_accessrule a ON a.tenant_id = %(tenant)s
    AND (a.station_id = s.id OR (a.station_id IS NULL AND (a.site_id = s.site_id OR a.site_id IS NULL)))
ORDER BY s.id, a.station_id IS NOT NULL, a.site_id IS NOT NULL
"""
ANONYMOUS = (TokenKind.NO_AUTHORIZATION, TokenKind.DIRECT_PAYMENT)


def admitted(
    tenant_id: int, shown: Sequence[tuple[int, TokenShown | None, Judgement]], *, starts: Sequence[bool]
) -> list[Judgement]:
    """The judgements, with the rules of the stations brought in: (station id, token shown, judgement).

    A start button (2.x C02) and a payment terminal (2.1) name no token of ours: the rules decide. A master pass ends
    sessions and never starts one (2.x C16.FR.03); `starts` tells which of them would.
    """
    telling = sorted(
        {
            station_id
            for station_id, token, judged in shown
            if judged.group or (token and token.kind in ANONYMOUS)
        }
    )
    if not telling:
        return [judged for _station, _token, judged in shown]
    rules: dict[int, Rules] = dict.fromkeys(telling, Rules())
    for station_id, free, direct, master in rows.alone(tenant_id, _rules(telling)):
        known = rules[station_id]
        rules[station_id] = replace(
            known,
            free_charging=known.free_charging if free is None else free,
            direct_payment=known.direct_payment if direct is None else direct,
            master_group=master or known.master_group,
        )
    return [
        _admit(rules.get(station_id, Rules()), token, judged, start)
        for (station_id, token, judged), start in zip(shown, starts, strict=True)
    ]


_BIDIRECTIONAL = """
SELECT x.id, x.bidirectional FROM (SELECT (r#>>'{}')::bigint id FROM json_array_elements(%(rows)s::json) r OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT s.id, a.bidirectional
    FROM stations_station s JOIN stations_accessrule a ON a.tenant_id = %(tenant)s AND a.bidirectional IS NOT NULL
        AND (a.station_id = s.id OR (a.station_id IS NULL AND (a.site_id = s.site_id OR a.site_id IS NULL)))
    WHERE s.tenant_id = %(tenant)s AND s.id = w.id
    ORDER BY a.station_id IS NOT NULL DESC, a.site_id IS NOT NULL DESC LIMIT 1) x
"""


def bidirectional(station_ids: Iterable[int]) -> rows.Lookup[dict[int, bool]]:
    """Whether cars may give energy back (2.1 Q01), at stations for which somebody said: the narrowest level counts."""
    asked = sorted(set(station_ids))
    found = (yield Ask(_BIDIRECTIONAL, asked)) if asked else []
    return dict(found)


def _rules(station_ids: list[int]) -> rows.Lookup[rows.Rows]:
    return (yield Ask(_RULES, station_ids))


def _admit(rules: Rules, token: TokenShown | None, judged: Judgement, starts: bool) -> Judgement:
    kind = token.kind if token else ""
    if judged.token_id is None and kind in ANONYMOUS:
        allowed = rules.free_charging if kind == TokenKind.NO_AUTHORIZATION else rules.direct_payment
        return Judgement(Verdict.ACCEPTED if allowed else Verdict.INVALID, concurrent=True)
    if judged.group and judged.group == rules.master_group and judged.verdict == Verdict.ACCEPTED:
        return replace(
            judged, verdict=Verdict.INVALID if starts else Verdict.ACCEPTED, master=True, concurrent=True
        )
    return judged
