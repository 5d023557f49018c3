"""Promises that every template keeps."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from portal.assets import FILES, PACKAGES
from portal.templatetags.voltyard import ICONS, span
from portal.vocabulary import _TABLE

pytestmark = pytest.mark.nodb
TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
STATIC = Path(settings.BASE_DIR) / "portal" / "static" / "portal"


# A mail has no policy, and its readers' programs know no style sheet.
PAGES = [path for path in TEMPLATES if path.parent.name != "mail"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_template_needs_what_the_policy_forbids(path: Path) -> None:
    """The Content-Security-Policy admits neither inline style nor inline script nor handlers."""
    text = path.read_text()
    assert not re.search(r"<[^>]+\sstyle=", text)
    assert not re.search(r"<[^>]+\s(on[a-z]+|hx-on[a-z:-]*)=", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert "<style" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_icon_exists(path: Path) -> None:
    for name in re.findall(r'{% icon "([a-z0-9-]+)"', path.read_text()):
        assert (ICONS / "outline" / f"{name}.svg").exists(), name


def test_every_state_has_an_icon_and_a_colour() -> None:
    css = (STATIC / "tokens.css").read_text()
    for look in _TABLE.values():
        assert (ICONS / "outline" / f"{look.icon}.svg").exists(), look.icon
        assert f'"{look.tone}"' in css or look.tone.startswith("suspended"), look.tone


def test_every_class_has_a_style_or_a_script() -> None:
    """A class that nothing knows is a page that nobody has looked at."""
    sheets = [*STATIC.glob("*.css"), PACKAGES / "@tabler" / "core" / "dist" / "css" / "tabler.min.css"]
    known = set(re.findall(r"\.([A-Za-z][\w-]*)", " ".join(path.read_text() for path in sheets)))
    scripts = " ".join(path.read_text() for path in STATIC.glob("*.js"))
    known |= set(re.findall(r"[.\"']([A-Za-z][\w-]*)", scripts))
    unknown = set()
    for path in PAGES:
        text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", " ", path.read_text(), flags=re.DOTALL)
        for names in re.findall(r'class="([^"]*)"', text):
            unknown |= {(path.name, name) for name in names.split() if name not in known}
    assert not unknown


def test_every_served_package_file_exists() -> None:
    assert not [source for source in FILES.values() if not (PACKAGES / source).exists()]


def test_texts_that_people_read_are_marked_for_translation() -> None:
    """Words between tags that stand outside {% translate %}: none, but for names and units."""
    allowed = {
        "Voltyard",
        "kWh",
        "OCPP",
        "Deutsch",
        "Esc",
        "English",
        "curl",
        "uid",
        "CSV",
        "PDF",
        "EUR",
        "SHA",
    }
    for path in TEMPLATES:
        text = re.sub(
            r"{%\s*blocktranslate.*?endblocktranslate\s*%}|{%.*?%}|{{.*?}}|{#.*?#}",
            " ",
            path.read_text(),
            flags=re.DOTALL,
        )
        text = re.sub(r"<(pre|kbd|code)\b.*?</\1>|<meta[^>]*>", " ", text, flags=re.DOTALL)
        for chunk in re.findall(r">([^<]+)<", text):
            words = [word for word in re.findall(r"[A-Za-z]{3,}", chunk) if word not in allowed]
            assert not words, f"{path.name}: {words}"


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (timedelta(milliseconds=40), "40 ms"),
        (timedelta(seconds=90), "1 min"),
        (timedelta(minutes=45, milliseconds=-3), "45 min"),
        (timedelta(hours=47, minutes=5), "47 h 05 min"),
        (timedelta(hours=61), "2 days 13 h"),
    ],
)
def test_a_length_is_said_as_exactly_as_it_matters(length: timedelta, told: str) -> None:
    assert span(length).replace("\u00a0", " ") == told
