"""`manage.py simulate`: virtual charging stations that connect to a gateway over the socket."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

VERSIONS = ("1.6", "2.0.1", "2.1")


class Command(BaseCommand):
    help = "Simulate charging stations: they connect by OCPP, cars come, charge and leave."
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        # Django's own --version gives way to the version of OCPP.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--url", help="address without the identity, such as ws://127.0.0.1:9000/ocpp/acme"
        )
        parser.add_argument("--stations", type=int, default=1, help="how many")
        parser.add_argument("--identity-prefix", default="SIM", help="identities are SIM-1, SIM-2, ...")
        parser.add_argument("--identity", help="identity of the only station")
        parser.add_argument("--password", help="HTTP Basic password of every station")
        parser.add_argument(
            "--version", dest="ocpp", default="1.6", help="1.6, 2.0.1, 2.1, or several: 2.1,1.6"
        )
        parser.add_argument("--kind", choices=("ac", "dc"), default="ac")
        parser.add_argument("--connectors", type=int, default=1)
        parser.add_argument("--max-power", type=float, help="kW per connector; 22 for AC and 150 for DC")
        parser.add_argument("--token", action="append", default=[], help="RFID of a driver; may be repeated")
        parser.add_argument(
            "--demo",
            metavar="FILE",
            nargs="?",
            const=str(Path(settings.DATA_DIR) / "demo.json"),
            help="stations from a JSON file instead of --url; without FILE those of `manage.py demo`",
        )
        parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second")
        parser.add_argument(
            "--since",
            type=float,
            default=0.0,
            metavar="HOURS",
            help="begin so long ago and catch up at --speed, so that energy and timestamps agree",
        )
        parser.add_argument("--seed", type=int, help="the same seed gives the same stations and cars")
        parser.add_argument(
            "--sample", type=int, default=15, help="seconds between meter readings of a session"
        )
        parser.add_argument("--ramp", type=float, help="seconds over which the stations connect")
        parser.add_argument("--for", dest="for_seconds", type=float, help="stop after so many seconds")
        parser.add_argument("--idle", action="store_true", help="no cars come; heartbeats and commands only")
        parser.add_argument(
            "--faults", action="store_true", help="a connector breaks now and then, a station flaps"
        )
        parser.add_argument(
            "--break",
            dest="breaks_with",
            default="",
            metavar="ERROR",
            help="connector 1 breaks with this error of OCPP 1.6, such as GroundFailure, until a hard reset",
        )
        parser.add_argument(
            "--history", action="store_true", help="some stations bring a running charge along"
        )
        parser.add_argument("--quirk", action="append", default=[], help="a bad habit, such as repeat_stop=5")
        parser.add_argument("--clock-offset", type=float, default=0.0, metavar="HOURS", help="wrong clocks")
        parser.add_argument(
            "--keep-trying", action="store_true", help="go on when nobody could connect at first"
        )
        parser.add_argument(
            "--came-before",
            action="store_true",
            help="the stations were on all the time: they come back without a boot",
        )
        parser.add_argument(
            "--leave-open", action="store_true", help="do not end running sessions when stopping"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from simulator.quirks import read_quirks
        from simulator.run import Options, Plan, read_buildings, read_plans, run

        demo = options["demo"]
        if demo:
            try:
                plans, buildings = read_plans(demo), read_buildings(demo)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise CommandError(f"Cannot read stations from {demo}: {error}.") from error
        else:
            plans, buildings = [Plan(**row) for row in self._rows(options)], []
        try:
            quirks = read_quirks(options["quirk"])
        except ValueError as error:
            raise CommandError(f"{error}.") from error
        code = run(
            Options(
                plans=plans,
                buildings=buildings,
                speed=options["speed"],
                since_hours=options["since"],
                seed=options["seed"],
                ramp_seconds=options["ramp"],
                keep_trying=options["keep_trying"] or bool(demo),
                finish=not options["leave_open"],
                idle=options["idle"],
                history=options["history"] or bool(demo),
                faults=options["faults"] or bool(demo),
                quiet_return=bool(demo),
                came_before=options["came_before"],
                breaks_with=options["breaks_with"],
                quirks=quirks,
                clock_offset_hours=options["clock_offset"],
                sample_seconds=options["sample"],
                for_seconds=options["for_seconds"],
            )
        )
        if code:
            raise SystemExit(code)

    def _rows(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        if not options["url"]:
            raise CommandError("Say where to connect: --url ws://HOST:PORT/ocpp/TENANT, or --demo FILE.")
        versions = [version.strip() for version in options["ocpp"].split(",")]
        unknown = [version for version in versions if version not in VERSIONS]
        if unknown:
            raise CommandError(f"There is no OCPP {unknown[0]} here; choose from {', '.join(VERSIONS)}.")
        if options["stations"] < 1 or options["speed"] <= 0:
            raise CommandError("--stations must be at least 1 and --speed more than 0.")
        prefix, only = options["identity_prefix"], options["identity"]
        names = [only] if only else [f"{prefix}-{number}" for number in range(1, options["stations"] + 1)]
        power_kw = options["max_power"]
        tokens = options["token"] or _demo_tokens(options["url"]) or ["04A2B31C5E6F80"]
        return [
            {
                "url": options["url"],
                "identity": name,
                "password": options["password"],
                "version": "|".join(versions),
                "kind": options["kind"],
                "connectors": options["connectors"],
                "tokens": tokens,
                "max_power_w": power_kw * 1000 if power_kw else None,
            }
            for name in names
        ]


def _demo_tokens(url: str) -> list[str]:
    """Cards that the demo's tenant at this address knows, if there is a demo."""
    from simulator.run import read_plans

    try:
        plans = read_plans(str(Path(settings.DATA_DIR) / "demo.json"))
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return next((plan.tokens for plan in plans if plan.url.rstrip("/") == url.rstrip("/")), [])
