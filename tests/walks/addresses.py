"""Every address of the project, taken from the resolver: a new one is walked without being asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import URLPattern, URLResolver, get_resolver

from tests.samples import BODIES, FORMS, SAMPLES, World

API = "api/v1/"
PORTAL = "t/<slug:tenant_slug>/"
ADMIN = "admin/"
FORM = "application/x-www-form-urlencoded"
# Addresses that belong to no company. Each was read: it shows nothing of any.
GLOBAL = {
    "": "the way to one's own companies",
    "login/": "",
    "logout/": "",
    "language/": "",
    "health/live": "",
    "health/ready": "",
    r"^crl/(?P<fingerprint>[0-9a-f]{64})\.crl$": "revocation lists are public: serial numbers of certificates",
    "metrics": "figures over all companies, for the operator of the installation: by token or loopback",
    "api/schema/": "",
    "pay/<slug:slug>/<str:identity>/<int:evse>/<str:code>/": "for who stands before the station: its current code",
    "pay/<slug:slug>/p/<str:key>/": "for the driver who pays: a key of 43 random letters",
    "pay/<slug:slug>/r/<str:key>/": "the receipt of a payment at a terminal: a key that nobody guesses",
    "^api/(?P<rest>.*)$": "always 404",
}
TELL = (
    "The walk does not know how to fill <{name}> in {route}. Add it to tests/samples.py: an object of the company to "
    "`World`, made in `build`, and a line to SAMPLES. It is then checked that no other company reaches it."
)


@dataclass(frozen=True)
class Address:
    route: str
    names: tuple[str, ...]
    view: Callable[..., Any]

    @property
    def is_api(self) -> bool:
        return self.route.startswith(API)

    @property
    def is_portal(self) -> bool:
        return self.route.startswith(PORTAL)

    @property
    def objects(self) -> list[str]:
        """The parameters that name an object of the company."""
        return [name for name in self.names if name != "tenant_slug"]

    @property
    def methods(self) -> list[str]:
        cls = getattr(self.view, "cls", None)
        return list(cls.verbs) if self.is_api and cls else ["GET", "POST"]

    def path(self, world: World, **instead: Any) -> str:
        """The address of this world's objects; `instead` replaces some of them."""
        path = self.route
        for name in self.names:
            if name not in SAMPLES and name not in instead:
                raise LookupError(TELL.format(name=name, route=self.route))
            value = instead[name] if name in instead else SAMPLES[name](world)
            start = path.index("<")
            path = f"{path[:start]}{value}{path[path.index('>') + 1 :]}"
        return f"/{path}"

    def body(self, method: str, world: World) -> dict[str, Any]:
        make = BODIES.get((method, self.route.removeprefix(API)))
        return make(world) if make else {}

    def form(self, method: str, world: World) -> str:
        make = FORMS.get(self.route.removeprefix(PORTAL))
        return urlencode(make(world)) if make and method == "POST" else ""


def _walk(patterns: list[Any], prefix: str, names: tuple[str, ...]) -> Iterator[Address]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        found = (*names, *pattern.pattern.converters)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route, found)
        elif isinstance(pattern, URLPattern):
            yield Address(route, found, pattern.callback)


def status(response: Any) -> int:
    """Of a response; 405 where an address that takes forms alone sent its reader to the page of the form."""
    asked, sent = response.wsgi_request, response.headers.get("Location", "")
    above = asked.method == "GET" and len(sent) > 1 and sent != asked.path and asked.path.startswith(sent)
    return 405 if response.status_code == 302 and above else int(response.status_code)


def addresses() -> list[Address]:
    return list(_walk(get_resolver().url_patterns, "", ()))
