"""What if the limit had been another? Rows that a worker takes: it replays what cars really asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from energy import day_figures, demand, prices, queries
from energy import replay as replays
from energy.grid import BadTree, Floats
from energy.models import GridConnection, WhatIf, WhatIfState
from energy.policy import HOLD, NEED, Policies
from energy.queries import SiteTree
from energy.replay import Car, Outcome, Steps
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

log = logging.getLogger("voltyard.whatif")
LONGEST = timedelta(days=31)
MOST_KEPT, MOST_OPEN = 50, 5  # of a site
STEP_S = 300.0
DEAD = timedelta(minutes=2)  # a worker that says nothing for so long is gone
SAY_S = 0.5  # between two words of progress
FULL = 0.995  # of what it needed: the meter's last per mille is no matter


@dataclass(frozen=True)
class Settings:
    """None: as it is. `node`: whose limit; None: the root."""

    node: int | None = None
    limit_a: float | None = None
    peak_kw: float | None = None
    share: str = NEED

    @classmethod
    def of(cls, told: dict[str, Any]) -> Settings:
        return cls(**{name: told[name] for name in ("node", "limit_a", "peak_kw", "share") if name in told})


@dataclass(frozen=True)
class Side:
    """One column. W, Wh, hours; None: not known. `site_w`: means of quarters of an hour, cars and the rest together."""

    given_wh: float
    not_full: int | None
    peak_w: float | None
    cost: float | None
    peak_cost: float | None
    bound_h: float | None
    site_w: list[float | None] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """`begin` in seconds since 1970; `known`: how much of the time was recorded, 0 to 1."""

    begin: float
    sessions: int
    need_wh: float
    known: float
    really: Side
    as_it_is: Side
    what_if: Side
    rows: list[list[float]] = field(default_factory=list)  # session, need, given as it is, given what if; Wh

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ask(
    *, connection: GridConnection, actor: Actor, begins_at: datetime, ends_at: datetime, settings: Settings
) -> WhatIf:
    """A row that a worker takes within seconds. Invalid, Conflict."""
    actor.require(Permission.LIMIT_SET, site_id=connection.site_id)
    tenant_id = connection.tenant_id
    now = timezone.now()
    wrong: dict[str, str] = {}
    begins_at = demand.quarter(begins_at)
    if begins_at >= now:
        wrong["begins_at"] = _("Choose a time that is past.")
    ends_at = min(ends_at, now)
    if not wrong and ends_at - begins_at < timedelta(hours=1):
        wrong["ends_at"] = _("Choose an hour at least.")
    if ends_at - begins_at > LONGEST:
        wrong["ends_at"] = _("Choose at most %(days)s days.") % {"days": LONGEST.days}
    if settings.share not in replays.SHARES:
        wrong["share"] = _("Choose one of the ways.")
    nodes = connection.nodes.filter(tenant_id=tenant_id)
    if settings.node is not None and not nodes.filter(pk=settings.node).exists():
        wrong["node"] = _("This is no part of the site's tree.")
    if settings.node is not None and settings.limit_a is None:
        wrong["limit_a"] = _("Say how much it may carry.")
    for name, value, most in (("limit_a", settings.limit_a, 10_000), ("peak_kw", settings.peak_kw, 100_000)):
        if value is not None and not 0 <= value <= most:
            wrong[name] = _("A number from 0 to %(most)s.") % {"most": most}
    if wrong:
        raise Invalid(fields=wrong)
    mine = WhatIf.objects.filter(tenant_id=tenant_id, connection=connection)
    if mine.filter(state__in=[WhatIfState.QUEUED, WhatIfState.RUNNING]).count() >= MOST_OPEN:
        raise Conflict(_("%(count)s are under way already. Wait for one of them.") % {"count": MOST_OPEN})
    kept = mine.order_by("-id").values_list("pk", flat=True)[: MOST_KEPT - 1]
    mine.exclude(pk__in=list(kept)).delete()  # the oldest make room
    row = WhatIf.objects.create(
        tenant_id=tenant_id, connection=connection, begins_at=begins_at, ends_at=ends_at, settings=asdict(settings),
        label=actor.label[:120],
    )  # fmt: skip
    audit.record(
        tenant_id=tenant_id, actor=actor, action="whatif.create", subject=row, site_id=connection.site_id,
        detail=asdict(settings),
    )  # fmt: skip
    return row


def delete(*, row: WhatIf, actor: Actor) -> None:
    actor.require(Permission.LIMIT_SET, site_id=row.connection.site_id)
    audit.record(
        tenant_id=row.tenant_id,
        actor=actor,
        action="whatif.delete",
        subject=row,
        site_id=row.connection.site_id,
    )
    row.delete()


# --- the worker


def run_due(*, tenant_id: int) -> int:
    """Run what waits, and what a worker that is gone has left. Opens its own transactions, so that progress is seen."""
    done = 0
    while (row := _claim(tenant_id)) is not None:
        try:
            with tenant_scope(tenant_id):
                tree = queries.tree_of(tenant_id, row.connection.site_id)
                if tree is None:
                    raise BadTree({"tree": "There is none."})
                given = Given.of(tree, row)
            _finish(row, result=compute(given, Settings.of(row.settings), _Teller(row)).as_json())
        except BadTree:
            _finish(row, error="The tree of this site is not whole.")
        except Gone:
            continue
        except Exception:
            log.exception("a what-if failed", extra={"what_if": row.pk, "tenant": tenant_id})
            _finish(row, error="It could not be reckoned. The log says why.")
        done += 1
    return done


def _claim(tenant_id: int) -> WhatIf | None:
    now = timezone.now()
    with tenant_scope(tenant_id):
        free = Q(state=WhatIfState.QUEUED) | Q(state=WhatIfState.RUNNING, seen_at__lt=now - DEAD)
        row = (
            WhatIf.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(free, tenant_id=tenant_id)
            .select_related("connection__site")
            .order_by("id")
            .first()
        )
        if row is not None:
            row.state, row.seen_at, row.progress = WhatIfState.RUNNING, now, 0.0
            row.save(update_fields=["state", "seen_at", "progress"])
        return row


class Gone(Exception):
    """Somebody deleted it meanwhile."""


class _Teller:
    """Writes progress down now and then."""

    def __init__(self, row: WhatIf) -> None:
        self.row, self.said = row, time.monotonic()

    def __call__(self, share: float) -> None:
        if time.monotonic() - self.said < SAY_S:
            return
        self.said = time.monotonic()
        with tenant_scope(self.row.tenant_id):
            mine = WhatIf.objects.filter(tenant_id=self.row.tenant_id, pk=self.row.pk)
            if not mine.update(progress=share, seen_at=timezone.now()):
                raise Gone


def _finish(row: WhatIf, *, result: dict[str, Any] | None = None, error: str = "") -> None:
    state = WhatIfState.FAILED if error else WhatIfState.DONE
    with tenant_scope(row.tenant_id):
        WhatIf.objects.filter(tenant_id=row.tenant_id, pk=row.pk).update(
            state=state, result=result or {}, error=error, progress=1.0, done_at=timezone.now()
        )


# --- the reckoning


@dataclass(frozen=True)
class Given:
    """All that is read for it."""

    tree: SiteTree
    steps: Steps
    minutes: demand.Minutes
    cars: Sequence[Car]

    @classmethod
    def of(cls, tree: SiteTree, row: WhatIf) -> Given:
        tree.grid  # noqa: B018 - BadTree
        seconds = (row.ends_at - row.begins_at).total_seconds()
        steps = Steps(row.begins_at.timestamp(), STEP_S, int(np.ceil(seconds / STEP_S)))
        cars = demand.cars_of(tree, row.begins_at, row.ends_at)
        return cls(tree, steps, demand.minutes_of(tree, steps), cars)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.tree.connection.site.time_zone)

    @property
    def base_w(self) -> Floats:
        """Of all that is no car. Where no minute tells it: the most that the building is said to take."""
        supply = self.tree.supply
        most = self.tree.connection.building_most_a * supply.volts * len(supply.lines)
        return np.where(np.isfinite(self.minutes.net_w), self.minutes.net_w, most)


def compute(given: Given, settings: Settings, progress: replays.Progress | None = None) -> Result:
    """Two replays by the same rules: under the tree as it is, and as it is asked. Their difference is what the change
    does; what really was stands beside them."""
    tell = progress or (lambda share: None)
    as_it_is = _replay(
        given,
        _changed(given.tree, Settings()),
        Policies.of_row(given.tree.connection.policy).share,
        lambda share: tell(share / 2),
    )
    changed = _changed(given.tree, settings)
    what_if = _replay(given, changed, settings.share, lambda share: tell(0.5 + share / 2))
    need = float(sum(car.need_wh for car in given.cars))
    known = np.isfinite(given.minutes.cars_w)
    site_w = day_figures.Day(given.tree, datetime.now(UTC), given.steps, given.minutes).site_w
    # Compared over the same time: where nothing was recorded, there is no reality to compare with.
    really = _side(given, site_w, np.where(known, given.minutes.cars_w, np.nan), given_wh=need)
    return Result(
        begin=given.steps.begin, sessions=len(given.cars), need_wh=need, known=given.minutes.known, really=really,
        as_it_is=_side_of(given, as_it_is), what_if=_side_of(given, what_if),
        rows=[
            [car.session_id, round(car.need_wh), round(float(before)), round(float(after))]
            for car, before, after in zip(given.cars, as_it_is.given_wh, what_if.given_wh, strict=True)
        ],
    )  # fmt: skip


def _changed(tree: SiteTree, settings: Settings) -> SiteTree:
    """The same tree under other limits: those of the policy, and those that are asked. Windows of a lower limit hold as
    before."""
    told = Policies.of_row(tree.connection.policy)
    held_kw = told.peak_limit_kw if told.peak_mode == HOLD else None
    peak_kw = settings.peak_kw if settings.peak_kw is not None else held_kw
    root = str(tree.root.pk) if tree.root else ""
    place = str(settings.node) if settings.node is not None else root
    count = len(tree.supply.lines)
    pure = []
    for node in tree.pure:
        if node.key == place and settings.limit_a is not None:
            node = replace(node, limit_a=(settings.limit_a,) * count)
        if node.key == root and peak_kw is not None:
            node = replace(node, limit_w=min(node.limit_w or np.inf, peak_kw * 1000))
        pure.append(node)
    return replace(tree, pure=tuple(pure))


def _replay(given: Given, tree: SiteTree, share: str, progress: replays.Progress) -> Outcome:
    lines = len(tree.supply.lines)
    one = tree.rows_of(None, [1.0 / (lines * tree.supply.volts)] * lines, 1.0)  # of each W of the building
    base_w = np.maximum(given.base_w, 0.0)
    told = Policies.of_row(tree.connection.policy)
    left = 1.0 - told.reserve_percent / 100

    def limits(step: int) -> Floats:
        at = given.steps.start(step)
        whole = tree.limits_at(datetime.fromtimestamp(at, given.zone)) if tree.windows else tree.grid.limits
        return np.asarray(whole * left - one * base_w[step])

    return replays.replay(
        tree.grid, given.cars, given.steps, limits=limits, share=share, turn_s=told.turn_minutes * 60,
        progress=progress,
    )  # fmt: skip


def _side_of(given: Given, outcome: Outcome) -> Side:
    need = np.array([car.need_wh for car in given.cars])
    not_full = int(np.sum(outcome.given_wh < FULL * need)) if len(need) else 0
    site_w = outcome.cars_w + given.base_w
    side = _side(given, site_w, outcome.cars_w, given_wh=float(outcome.given_wh.sum()))
    return replace(side, not_full=not_full, bound_h=round(outcome.bound_s / 3600, 2))


def _side(given: Given, site_w: Floats, cars_w: Floats, *, given_wh: float) -> Side:
    peak = day_figures.highest_quarter(site_w)
    told = prices.of_policy(given.tree.connection.policy)
    cost = None
    if told is not None and np.isfinite(cars_w).any():
        price = day_figures.price_of_steps(told, given.steps, given.zone)
        cost = round(float(np.nansum(cars_w * price)) * STEP_S / 3_600_000, 2)
    peak_cost = round(told.per_kw * peak / 1000, 2) if told and told.per_kw and peak is not None else None
    values: list[float | None] = [
        None if not np.isfinite(one) else round(float(one)) for one in day_figures.quarters(site_w)
    ]
    return Side(given_wh, None, peak, cost, peak_cost, None, values)
