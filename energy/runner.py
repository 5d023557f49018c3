"""The role `energy`: claims sites, and runs the loop of each. Any number of processes share the sites among them."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, connections
from redis import Redis
from redis.exceptions import RedisError

from energy.feeds.runner import Feeds
from energy.ledger import NEVER
from energy.models import SiteMinute
from energy.queries import SiteTree
from energy.services import orders, ownership, pictures, presence, programmes
from energy.services.checks import Checks
from energy.services.loops import LOOK_S, Loop, glance, look
from energy.services.ownership import Steered
from energy.services.programmes import Slow
from energy.services.signal import CHANNEL
from stations import live
from stations.services import commands
from tenants.context import tenant_scope

log = logging.getLogger("voltyard.energy")

CLAIM_S = 3.0
PRESENT_S = 3 * CLAIM_S  # since it was last heard of, a process is there
MOST_MOVED = 20  # sites at once, to a process that came later
MOVED_S = 2.0  # by which the wall clock may drift from the steady one between two steps
THREADS = 4
SHOW_S, UNWATCHED_S = 1.0, 5.0  # pictures are not made more often: while somebody looks, and else
TOGETHER = 50  # sites in one step
MOST_LATE_S = 3 * LOOK_S  # then a look goes before all glances
DEFAULTS_S = 30.0
LOOK, GLANCE = "look", "glance"


@dataclass
class Running:
    """A site of ours."""

    steered: Steered
    loop: Loop
    wants: str = LOOK  # what somebody told: look | glance | ""
    taken: str = LOOK  # what of it the step under way answers
    wall_s: float = field(
        default_factory=lambda: time.time() - time.monotonic()
    )  # of the clock, when it was looked at
    busy: bool = False
    due: float = 0.0
    shown_at: float = 0.0
    defaults_at: float = 0.0
    tally: pictures.Tally = field(default_factory=pictures.Tally)
    checks: Checks = field(default_factory=Checks)
    slow: Slow = field(default_factory=Slow)
    watched: bool = True  # somebody has its page open
    alone: bool = False  # its last step failed: the next one is of no other site

    def answers(self, now: float) -> str:
        """What its next step does: what somebody asked for, or what is due."""
        return self.wants or (LOOK if now >= self.loop.looked_at + LOOK_S else GLANCE)


class Runner:
    def __init__(self) -> None:
        self.owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.sites: dict[int, Running] = {}  # by site
        self.turn = threading.Condition()
        self.stopping = threading.Event()
        self.feeds = Feeds(self.owner)
        self.free_since: dict[int, float] = {}  # by site
        # Programmes take up to some seconds, and one is solved at a time: no loop waits for them.
        self.solving = ThreadPoolExecutor(1, thread_name_prefix="programmes")

    # --- the process ---

    def run(self) -> None:
        """Steer until SIGTERM or SIGINT; then give the sites up, for others to take over at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_signal: self.stopping.set())
        threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in [("listen", self._listen), ("hear", self._hear), ("feeds", self._feed)]
            + [(f"loop-{number}", self._work) for number in range(THREADS)]
        ]
        for thread in threads:
            thread.start()
        log.info("steering", extra={"owner": self.owner})
        while not self.stopping.is_set():
            try:
                self.share()
            except Exception:
                log.exception("sites were not claimed")
                connection.close()
            self.stopping.wait(CLAIM_S)
        with self.turn:
            self.turn.notify_all()
        for thread in threads[3:]:
            thread.join(5)
        self.solving.shutdown(wait=False, cancel_futures=True)
        self._release_all()

    def share(self) -> None:
        """Renew what is ours, and take what is free: no more than our part of all sites, if others are there."""
        found = ownership.steered()
        self._renew(found)
        now = time.monotonic()
        free = [one for one in found if one.site_id not in self.sites and one.is_free]
        self.free_since = {one.site_id: self.free_since.get(one.site_id, now) for one in free}
        owned = Counter(one.owner for one in found if not one.is_free)
        others = (set(owned) | presence.of_others(self.owner, PRESENT_S)) - {self.owner}
        fair = -(-len(found) // (len(others) + 1))
        if len(self.sites) > fair and any(owned[other] < fair for other in others):
            self._move(len(self.sites) - fair)
        left = max(0, fair - len(self.sites)) if others else len(free)
        # Who is present and takes nothing leaves no site alone for long.
        for one in free[:left] + [
            one for one in free[left:] if now - self.free_since[one.site_id] > PRESENT_S
        ]:
            with tenant_scope(one.tenant_id):
                token = ownership.claim(
                    tenant_id=one.tenant_id, connection_id=one.connection_id, owner=self.owner
                )
            if token is not None:
                self.add(one, token)
        watched = presence.watched(list(self.sites))
        for running in list(self.sites.values()):
            running.watched = running.steered.site_id in watched
        self.feeds.keep([(one.steered.tenant_id, one.loop.connection_id) for one in self.sites.values()])

    def _move(self, count: int) -> None:
        """Give some sites up to a process that has less than its part. Their stations notice nothing."""
        moved = list(self.sites.values())[: min(count, MOST_MOVED)]
        for running in moved:
            self._drop(running)
        self._release(moved)

    def add(self, one: Steered, token: int) -> Running:
        loop = Loop(one.tenant_id, one.connection_id, one.site_id, token, time.time)
        running = Running(one, loop)
        with self.turn:
            self.sites[one.site_id] = running
            self.turn.notify()
        log.info("site taken", extra={"site": one.site_id, "token": token})
        return running

    def _renew(self, found: list[Steered]) -> None:
        wanted = {one.site_id for one in found}
        for tenant_id, mine in _by_tenant(list(self.sites.values())).items():
            with tenant_scope(tenant_id):
                kept = ownership.renew(
                    tenant_id=tenant_id,
                    tokens=[(one.loop.connection_id, one.loop.token) for one in mine],
                )
            for one in mine:
                if one.loop.connection_id not in kept or one.steered.site_id not in wanted:
                    self._drop(one)

    def _drop(self, running: Running) -> None:
        with self.turn:
            if self.sites.get(running.steered.site_id) is running:  # it may be ours again, by a newer token
                del self.sites[running.steered.site_id]
        log.warning("site given up", extra={"site": running.steered.site_id})

    def _release_all(self) -> None:
        presence.leave(self.owner)
        self._release(list(self.sites.values()))

    def _release(self, mine: Sequence[Running]) -> None:
        try:
            for tenant_id, own in _by_tenant(mine).items():
                tokens = [(one.loop.connection_id, one.loop.token) for one in own]
                with tenant_scope(tenant_id):
                    ownership.release(tenant_id=tenant_id, tokens=tokens)
        except Exception:  # without a database not for each of them once more: who ends is waited for
            log.exception("sites were not given up; their leases end by themselves")

    # --- whose turn it is ---

    def _work(self) -> None:
        while not self.stopping.is_set():
            mine = self._next()
            if not mine:
                continue
            try:
                self.step(*mine, wants=mine[0].taken)
            except Exception:
                log.exception("the loop failed", extra={"sites": [one.steered.site_id for one in mine]})
                connections.close_all()
                for one in mine:
                    _again(one)
            finally:
                with self.turn:
                    for one in mine:
                        one.busy = False
                    self.turn.notify()

    def _next(self) -> list[Running]:
        """Whose turn it is, held: the site that has waited longest, and all of its tenant that wait for the same. None
        after a while without any."""
        with self.turn:
            now = time.time()
            # What is told while a tenant's sites are glanced at is answered together by the next glance.
            glancing = {
                one.steered.tenant_id for one in self.sites.values() if one.busy and one.taken == GLANCE
            }
            looks: list[Running] = []
            glances: list[Running] = []
            for one in self.sites.values():
                # Due so much later was reckoned by a clock that has been set back since.
                if one.busy or not (one.wants or not now < one.due <= now + 2 * LOOK_S):
                    continue
                if one.answers(now) == LOOK:
                    looks.append(one)
                elif one.steered.tenant_id not in glancing:
                    glances.append(one)
            late = [one for one in looks if now > one.loop.looked_at + MOST_LATE_S]
            mine = _together(late or glances or looks)
            for one in mine:
                one.busy, one.taken, one.wants = True, one.answers(now), ""
            if not mine:
                soonest = min([one.due for one in self.sites.values() if not one.busy], default=now + 1.0)
                self.turn.wait(min(1.0, max(0.005, soonest - now)))
            return mine

    def step(self, *mine: Running, wants: str = LOOK) -> None:
        """Look, decide, send: at sites of one tenant."""
        tenant_id = mine[0].steered.tenant_id
        for one in mine:
            one.alone = False
        steady = [one for one in mine if not self._note_clock(one) or wants == LOOK]
        loops = [one.loop for one in steady]
        with tenant_scope(tenant_id):
            if wants == LOOK:
                look(loops)
                for one in steady:
                    one.checks.hear(one.loop)
            elif loops:
                glance(loops)
        planned = [(one.loop, found) for one in steady if (found := one.slow.take(one.loop)) is not None]
        self._send(steady)
        self._tell(steady)
        for loop, programme in planned:
            with tenant_scope(tenant_id):
                programmes.keep(loop=loop, programme=programme)
        for one in steady:
            if one.slow.is_due(one.loop):
                one.slow.begin(one.loop, self.solving, partial(self.want, one.loop.site_id, GLANCE))
            if not one.alone:
                one.due = one.loop.due()

    def _note_clock(self, running: Running) -> bool:
        """Whether the clock was set: that of a machine is now and then, and jumps when it slept. Then a glance is not
        enough."""
        wall_s = time.time() - time.monotonic()
        moved_s, running.wall_s = wall_s - running.wall_s, wall_s
        if abs(moved_s) < MOVED_S:
            return False
        log.warning("the clock was set", extra={"site": running.steered.site_id, "seconds": round(moved_s)})
        running.loop.clock_moved(moved_s)
        running.shown_at, running.defaults_at, running.slow.made_at = 0.0, 0.0, 0.0
        running.checks, running.tally, running.wants = Checks(), pictures.Tally(), LOOK
        return True

    def _send(self, mine: Sequence[Running]) -> None:
        going: list[tuple[Running, orders.Outgoing]] = []
        for running in mine:
            loop = running.loop
            with _apart(running, mine):
                wanted = loop.tick()
                if wanted and loop.tree is not None:
                    going.append((running, orders.Outgoing(loop.tree, loop.token, wanted)))
        if not going:
            return
        tenant_id = mine[0].steered.tenant_id
        try:
            with tenant_scope(tenant_id):
                told = orders.send(tenant_id=tenant_id, sites=[outgoing for _running, outgoing in going])
        except Exception:
            # Whether they were committed is not known: they may go out, and nobody will hear of their answers.
            for running, outgoing in going:
                for one in outgoing.wanted:
                    if running.loop.control is not None:
                        running.loop.control.unanswered(one.number, running.loop.clock())
            raise
        for running, _outgoing in going:
            if (sent := told.get(running.loop.connection_id)) is None:
                self._drop(running)
            else:
                running.loop.sent(sent)

    def _tell(self, mine: Sequence[Running]) -> None:
        minutes: list[SiteMinute] = []
        shown: list[Running] = []
        owing: list[tuple[Running, SiteTree]] = []
        for running in mine:
            loop, now = running.loop, running.loop.clock()
            with _apart(running, mine):
                if (minute := running.tally.add(loop)) is not None:
                    minutes.append(minute)
                if now - running.shown_at >= (SHOW_S if running.watched else UNWATCHED_S):
                    shown.append(running)
                if loop.tree is not None and (loop.owes_defaults or now - running.defaults_at >= DEFAULTS_S):
                    owing.append((running, loop.tree))
        if not (minutes or shown or owing):
            return
        with tenant_scope(mine[0].steered.tenant_id):
            for minute in minutes:
                pictures.keep_minute(minute)
            for running in shown:
                running.checks.ask(running.loop)
            pictures.show(loops=[running.loop for running in shown], owner=self.owner)
            for running in shown:
                running.shown_at = running.loop.clock()
        if owing:
            self._send_defaults(owing)

    def _send_defaults(self, owing: Sequence[tuple[Running, SiteTree]]) -> None:
        wanted = []
        for running, tree in owing:
            loop = running.loop
            running.defaults_at, loop.owes_defaults = loop.clock(), False
            wanted.append(orders.Defaults(tree, loop.token, loop.wanted_defaults(), loop.policy.delay_s))
        tenant_id = owing[0][0].steered.tenant_id
        with tenant_scope(tenant_id):
            held = orders.send_defaults(tenant_id=tenant_id, sites=wanted)
        for running, _tree in owing:
            if running.loop.connection_id not in held:
                self._drop(running)

    # --- who tells ---

    def _feed(self) -> None:
        """The meters that are asked, or subscribed to, from here."""
        while not self.stopping.is_set():
            try:
                self.feeds.run(self.stopping)
            except Exception:
                log.exception("the feeds of meters ended, beginning again")
                self.stopping.wait(1.0)

    def want(self, site_id: int, what: str) -> None:
        with self.turn:
            running = self.sites.get(site_id)
            if running is not None:
                running.wants = LOOK if LOOK in (what, running.wants) else what
                self.turn.notify()

    def _listen(self) -> None:
        """PostgreSQL's NOTIFY: a reading of a meter, another tree or policy."""
        while not self.stopping.is_set():
            try:
                with _listener() as listener:
                    listener.execute(f"LISTEN {CHANNEL}")
                    while not self.stopping.is_set():
                        for notice in listener.notifies(timeout=1.0):
                            _tenant, _colon, site = notice.payload.partition(":")
                            self.want(int(site), GLANCE)
            except Exception as error:
                log.warning("listening ended", extra={"error": f"{type(error).__name__}: {error}"[:200]})
                self.stopping.wait(1.0)

    def _hear(self) -> None:
        """What open pages are told too: stations, sessions, commands. Without Redis the looks go on by themselves."""
        newest: dict[int, Any] = {}
        while not self.stopping.is_set():
            tenants = {one.steered.tenant_id for one in list(self.sites.values())}
            if not tenants:
                self.stopping.wait(0.5)
                continue
            try:
                with Redis.from_url(settings.REDIS_URL, socket_timeout=10) as redis:
                    self._hear_of(redis, tenants, newest)
            except (RedisError, OSError, ValueError) as error:
                log.warning("hearing ended", extra={"error": f"{type(error).__name__}: {error}"[:200]})
                self.stopping.wait(1.0)

    def _hear_of(self, redis: Any, tenants: set[int], newest: dict[int, Any]) -> None:
        streams = {
            live.stream(tenant_id): newest.setdefault(tenant_id, f"{int(time.time() * 1000)}-0")
            for tenant_id in tenants
        }
        of_stream = {live.stream(tenant_id): tenant_id for tenant_id in tenants}
        for name, entries in redis.xread(streams, block=1000) or []:
            tenant_id = of_stream[name.decode()]
            for entry, fields in entries:
                newest[tenant_id] = entry
                for event in live.read(fields):
                    if what := _asks(event):
                        self.want(int(event["site_id"]), what)


def _asks(event: live.Event) -> str:
    """What must be done about an event; empty: nothing."""
    if event["kind"] == "command":
        return GLANCE if event["data"].get("state") not in commands.OPEN else ""
    return LOOK if event["kind"] in ("station", "connector", "session") else ""


def _by_tenant(mine: Iterable[Running]) -> dict[int, list[Running]]:
    found: dict[int, list[Running]] = {}
    for one in mine:
        found.setdefault(one.steered.tenant_id, []).append(one)
    return found


def _together(waiting: Sequence[Running]) -> list[Running]:
    """Who has waited longest, and those of its tenant that may share the statements."""
    if not waiting:
        return []
    first = min(waiting, key=lambda one: one.due)
    if first.alone:
        return [first]
    same = [one for one in waiting if one.steered.tenant_id == first.steered.tenant_id and not one.alone]
    return same[:TOGETHER]


def _again(one: Running) -> None:
    """After a failure: by itself, so that what is wrong with one site harms no other."""
    one.due, one.wants, one.alone = time.time() + 1.0, "", True
    one.loop.looked_at = -NEVER


@contextmanager
def _apart(running: Running, mine: Sequence[Running]) -> Iterator[None]:
    """What goes wrong at one site of many harms no other."""
    try:
        yield
    except Exception:
        if len(mine) == 1:
            raise
        log.exception("the loop of a site failed", extra={"site": running.steered.site_id})
        _again(running)


def _listener() -> psycopg.Connection[Any]:
    """A session of our own: what listens must not travel through a pool."""
    parameters = connections["default"].get_connection_params()
    for ours in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(ours, None)
    parameters |= {"application_name": "voltyard-energy-listener"}
    return psycopg.connect(**parameters, autocommit=True)


def run() -> None:
    Runner().run()
