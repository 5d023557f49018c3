"""What each role of `manage.py serve` runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Options:
    """Where to listen, and how many processes a worker has."""

    host: str = "127.0.0.1"
    port: int | None = None
    concurrency: int = 2


def web(options: Options) -> None:
    """Pages, REST and live updates, under Daphne. SIGTERM ends it, five seconds later at most."""
    from daphne.cli import CommandLineInterface
    from twisted.internet import reactor

    def give_up() -> None:
        # The thread of a request under way may wait for the event loop, which ends, and the interpreter for it.
        last = threading.Timer(5, os._exit, [0])
        last.daemon = True
        last.start()

    reactor.addSystemEventTrigger("before", "shutdown", give_up)  # type: ignore[arg-type]
    listen = ["--bind", options.host, "--port", str(options.port or 8000)]
    CommandLineInterface().run([*listen, "--no-server-name", "--verbosity", "0", "cpo.asgi:application"])


def gateway(options: Options) -> None:
    """The OCPP listener. SIGTERM drains its sockets."""
    from cpo.gateway import run

    run(options.host, options.port or 9000)


def ftp(options: Options) -> None:
    """Files of old stations by FTP, and by FTPS on the port after. SIGTERM ends it."""
    from stations.doors.ftp import run

    run(options.host, options.port or 2121)


def energy(options: Options) -> None:
    """Load management: the loops of the sites that this process owns. SIGTERM gives them up to others."""
    from energy.runner import run

    run()


def worker(options: Options) -> None:
    """Celery tasks. SIGTERM lets the running ones finish."""
    from cpo.celery import app

    app.worker_main(
        [
            "worker",
            "--loglevel=INFO",
            f"--concurrency={options.concurrency}",
            f"--hostname=worker-{os.getpid()}@%h",
            "--without-gossip",
            "--without-mingle",
        ]
    )


def beat(options: Options) -> None:
    """The clock of the tasks. Of any number, one leads; the others wait to take over."""
    from cpo.celery import app
    from cpo.leader import lead

    with lead("beat"):
        # Its memory of last runs may die with it: every task of the schedule is safe to run twice.
        app.Beat(loglevel="INFO", scheduler_cls="celery.beat:Scheduler").run()


ROLES: Mapping[str, Callable[[Options], None]] = MappingProxyType(
    {"web": web, "gateway": gateway, "energy": energy, "worker": worker, "beat": beat, "ftp": ftp}
)
