"""What `up` says when all is running: addresses, logins, how to connect a charger of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cpo.embedded.places import Places
from cpo.embedded.terminal import Progress

OPEN = (
    "Everybody on this network can reach it: the traffic is not encrypted, and the passwords, which only this terminal "
    "shows, are all that keeps strangers out."
)


def lines(
    where: Places,
    addresses: Mapping[str, str],
    seconds: float,
    progress: Progress,
    *,
    also: Sequence[str] = (),
    is_open: bool = False,
) -> Iterator[str]:
    """The lines, from the summary that `manage.py demo` wrote to demo.json. `also`: further addresses of the portal."""
    bold = progress.bold
    demo = _demo(where)
    yield ""
    yield bold(f"Voltyard is running ({seconds:.0f} s)")
    yield f"  Portal    {bold(addresses['web'])}"
    if also:
        yield f"            also {', '.join(also)}"
    yield f"  API       {addresses['web']}/api/v1/  (OpenAPI: {addresses['web']}/api/schema/)"
    yield f"  Stations  {addresses['gateway']}/ocpp/<tenant>/<station identity>"
    if demo.get("api_key"):
        yield f"  API key   {demo['api_key']}"
    yield from _logins(demo.get("logins", []), bold)
    yield from _charger(demo.get("charger"), addresses, bold)
    if is_open:
        yield ""
        yield f"  {OPEN}"
    yield ""
    yield f"  Logs are in {where.logs}. Ctrl-C stops everything and keeps the data."


def _logins(logins: list[dict[str, Any]], bold: Any) -> Iterator[str]:
    if not logins:
        return
    yield ""
    yield bold("Sign in as")
    rows = [(str(one.get("email", "")), str(one.get("password", "")), _who(one)) for one in logins]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for email, password, who in rows:
        yield f"  {email:<{widths[0]}}  {password:<{widths[1]}}  {who}".rstrip()


def _who(login: Mapping[str, Any]) -> str:
    return ", ".join(str(login[name]).replace("_", " ") for name in ("role", "tenant") if login.get(name))


def _charger(charger: Mapping[str, Any] | None, addresses: Mapping[str, str], bold: Any) -> Iterator[str]:
    if not charger:
        return
    yield ""
    yield bold("Connect a charger of your own (OCPP 1.6J, 2.0.1 or 2.1)")
    yield f"  URL       {addresses['gateway']}{charger.get('url_path', '')}"
    yield f"  Identity  {charger.get('identity', '')}"
    yield f"  Password  {charger.get('password', '')}  (HTTP Basic, security profile 1)"
    if charger.get("card"):
        yield f"  Card      {charger['card']}  (an RFID that it accepts)"


def _demo(where: Places) -> dict[str, Any]:
    try:
        found = json.loads((where.data / "demo.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
