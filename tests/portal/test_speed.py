"""Pages ask the database as often for many rows as for few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tenants.models import Site
from tests.portal.conftest import Visitor

Make = Callable[..., Any]


def _queries(member: Visitor, page: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        member.text(page)
    return len(asked)


@pytest.mark.parametrize(
    "page", ["", "map.json", "sites/", "stations/", "sessions/", "tokens/", "drivers/", "tariffs/"]
)
def test_the_number_of_queries_does_not_grow_with_the_rows(
    page: str, visitor: Callable[..., Visitor], site: Site, make_site: Make, make_station: Make, make_session: Make,
    make_token: Make, make_driver: Make, make_tariff: Make,
) -> None:  # fmt: skip
    def one_more_of_each() -> None:
        make_session(make_station(site=site, evses=2, online=True), driver=make_driver())
        make_token(driver=make_driver())
        make_tariff()
        make_site()

    one_more_of_each()
    member = visitor()
    member.text(page)  # the first request fills caches
    few = _queries(member, page)
    for _round in range(4):
        one_more_of_each()
    assert _queries(member, page) <= few
