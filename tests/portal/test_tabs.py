"""The tabs of a station: who sees which, and where each page stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from portal.templatetags.tabs import TABS
from tests.portal.conftest import Visitor

Visit = Callable[..., Visitor]


def _tabs(text: str) -> list[str]:
    head = text[text.index('<nav class="tabs"') :]
    return re.findall(r">([^<]+)</a>", head[: head.index("</nav>")])


def _pages(text: str) -> list[str]:
    found = re.search(r'<nav class="chips parts".*?</nav>', text, re.DOTALL)
    return re.findall(r">([^<>]+)</a>", found[0]) if found else []


def test_the_tabs_are_eight(visitor: Visit, make_station: Any, site: Any) -> None:
    station = make_station(site=site, ocpp_version="2.1")
    text = visitor("owner").text(f"stations/{station.pk}/")
    assert _tabs(text) == [
        "Live", "Sessions", "Limits", "Commands", "Configuration", "Drivers", "Health", "Security",
    ]  # fmt: skip
    assert _pages(text) == []


@pytest.mark.parametrize(
    ("version", "role", "pages"),
    [
        ("2.1", "owner", ["Timeline", "Monitors", "Logs and firmware", "Frames"]),
        ("1.6", "owner", ["Timeline", "Logs and firmware", "Frames"]),
        ("1.6", "billing", ["Timeline", "Logs and firmware"]),
    ],
)
def test_pages_stand_where_version_and_role_have_them(
    visitor: Visit, make_station: Any, site: Any, version: str, role: str, pages: list[str]
) -> None:
    station = make_station(site=site, ocpp_version=version)
    assert _pages(visitor(role).text(f"stations/{station.pk}/health/")) == pages


def test_every_page_marks_its_tab_and_itself(visitor: Visit, make_station: Any, site: Any) -> None:
    station = make_station(site=site, ocpp_version="2.1")
    olga = visitor("owner")
    for label, parts in TABS:
        for part in parts:
            path = reverse(part.name, args=[site.tenant.slug, station.pk])
            text = olga.text(path.split(f"/t/{site.tenant.slug}/")[1])
            nav = text[text.index('<nav class="tabs"') :]
            marked = re.findall(
                r'<a[^>]*href="([^"]*)" aria-current="(\w+)">([^<]+)', nav[: nav.index("</nav>")]
            )
            assert [one[2] for one in marked] == [str(label)], part.key
            if len(parts) > 1:
                assert f'href="{path}" aria-current="page"' in text, part.key
