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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, connections
from redis import Redis
from redis.exceptions import RedisError

from energy.feeds.runner import Feeds
from energy.services import orders, ownership, pictures, programmes
from energy.services.checks import Checks
from energy.services.loops import LOOK_S, Loop
from energy.services.ownership import LostSite, Steered
from energy.services.programmes import Slow
from energy.services.signal import CHANNEL
from stations import live
from tenants.context import tenant_scope

log = logging.getLogger("voltyard.energy")

CLAIM_S = 3.0
MOVED_S = 2.0  # by which the wall clock may drift from the steady one between two steps
THREADS = 4
SHOW_S = 1.0  # pictures are not made more often
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


class Runner:
    def __init__(self) -> None:
        self.owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.sites: dict[int, Running] = {}  # by site
        self.turn = threading.Condition()
        self.stopping = threading.Event()
        self.feeds = Feeds(self.owner)
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
        free = [one for one in found if one.site_id not in self.sites and one.is_free]
        others = Counter(one.owner for one in found if one.owner != self.owner and not one.is_free)
        fair = -(-len(found) // (len(others) + 1))
        for one in free[: max(0, fair - len(self.sites)) or (len(free) if not others else 0)]:
            with tenant_scope(one.tenant_id):
                token = ownership.claim(
                    tenant_id=one.tenant_id, connection_id=one.connection_id, owner=self.owner
                )
            if token is not None:
                self.add(one, token)
        self.feeds.keep([(one.steered.tenant_id, one.loop.connection_id) for one in self.sites.values()])

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
        by_tenant: dict[int, list[Running]] = {}
        for running in list(self.sites.values()):
            by_tenant.setdefault(running.steered.tenant_id, []).append(running)
        for tenant_id, mine in by_tenant.items():
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
        for running in list(self.sites.values()):
            try:
                with tenant_scope(running.steered.tenant_id):
                    ownership.release(
                        tenant_id=running.steered.tenant_id, connection_id=running.loop.connection_id,
                        token=running.loop.token,
                    )  # fmt: skip
            except Exception:
                log.exception("a site was not given up; its lease ends by itself")

    # --- whose turn it is ---

    def _work(self) -> None:
        while not self.stopping.is_set():
            running = self._next()
            if running is None:
                continue
            try:
                self.step(running, running.taken)
            except LostSite:
                self._drop(running)
            except Exception:
                log.exception("the loop of a site failed", extra={"site": running.steered.site_id})
                connections.close_all()
                running.due, running.wants = time.time() + 1.0, LOOK
            finally:
                with self.turn:
                    running.busy = False
                    self.turn.notify()

    def _next(self) -> Running | None:
        """The site that has waited longest, held; None after a while without any."""
        with self.turn:
            now = time.time()
            # Due so much later was reckoned by a clock that has been set back since.
            ready = [
                one
                for one in self.sites.values()
                if not one.busy and (one.wants or not now < one.due <= now + 2 * LOOK_S)
            ]
            if ready:
                chosen = min(ready, key=lambda one: (not one.wants, one.due))
                chosen.busy, chosen.taken, chosen.wants = True, chosen.wants, ""
                return chosen
            soonest = min([one.due for one in self.sites.values() if not one.busy], default=now + 1.0)
            self.turn.wait(min(1.0, max(0.005, soonest - now)))
            return None

    def step(self, running: Running, wants: str = LOOK) -> None:
        """Look, decide, send."""
        loop, tenant_id = running.loop, running.steered.tenant_id
        self._note_clock(running)
        late = loop.clock() >= loop.looked_at + LOOK_S
        with tenant_scope(tenant_id):
            if wants == GLANCE and not late:
                loop.glance()
            else:
                loop.look()
                running.checks.hear(loop)
        programme = running.slow.take(loop)
        self._send(running)
        self._tell(running)
        if programme is not None:
            with tenant_scope(tenant_id):
                programmes.keep(loop=loop, programme=programme)
        if running.slow.is_due(loop):
            running.slow.begin(loop, self.solving, lambda: self.want(loop.site_id, GLANCE))
        running.due = loop.due()

    def _note_clock(self, running: Running) -> None:
        """The clock of a machine is set now and then, and jumps when it slept."""
        wall_s = time.time() - time.monotonic()
        moved_s, running.wall_s = wall_s - running.wall_s, wall_s
        if abs(moved_s) < MOVED_S:
            return
        log.warning("the clock was set", extra={"site": running.steered.site_id, "seconds": round(moved_s)})
        running.loop.clock_moved(moved_s)
        running.shown_at, running.defaults_at, running.slow.made_at = 0.0, 0.0, 0.0
        running.checks, running.tally = Checks(), pictures.Tally()

    def _send(self, running: Running) -> None:
        loop = running.loop
        wanted = loop.tick()
        if not wanted or loop.tree is None:
            return
        try:
            with tenant_scope(loop.tenant_id):
                told = orders.send(tree=loop.tree, token=loop.token, wanted=wanted)
        except LostSite:
            raise
        except Exception:
            # Whether they were committed is not known: they may go out, and nobody will hear of their answers.
            for one in wanted:
                if loop.control is not None:
                    loop.control.unanswered(one.number, loop.clock())
            raise
        loop.sent(told)

    def _tell(self, running: Running) -> None:
        loop, now = running.loop, running.loop.clock()
        minute = running.tally.add(loop)
        owes = loop.owes_defaults or now - running.defaults_at >= DEFAULTS_S
        if minute is None and now - running.shown_at < SHOW_S and not owes:
            return
        with tenant_scope(loop.tenant_id):
            if minute is not None:
                pictures.keep_minute(minute)
            if now - running.shown_at >= SHOW_S:
                running.checks.ask(loop)
                pictures.show(loop=loop, owner=self.owner)
                running.shown_at = now
        if owes and loop.tree is not None:
            running.defaults_at, loop.owes_defaults = now, False
            with tenant_scope(loop.tenant_id):
                orders.send_defaults(
                    tree=loop.tree, token=loop.token, amps=loop.wanted_defaults(), delay_s=loop.policy.delay_s
                )

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
                    if event["kind"] in ("station", "connector", "session", "command"):
                        self.want(int(event["site_id"]), LOOK)


def _listener() -> psycopg.Connection[Any]:
    """A session of our own: what listens must not travel through a pool."""
    parameters = connections["default"].get_connection_params()
    for ours in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(ours, None)
    parameters |= {"application_name": "voltyard-energy-listener"}
    return psycopg.connect(**parameters, autocommit=True)


def run() -> None:
    Runner().run()
