"""The German catalogue is complete and can be compiled."""

from __future__ import annotations

import re

import pytest
from babel.messages.pofile import read_po
from django.utils import translation

from portal import catalogues

pytestmark = pytest.mark.nodb


def _german() -> object:
    with catalogues.catalogue("de").open("rb") as file:
        return read_po(file, locale="de")


def test_every_text_is_in_the_catalogue() -> None:
    known = {message.id for message in _german() if message.id}  # type: ignore[attr-defined]
    missing = [message.id for message in catalogues.extract() if message.id and message.id not in known]
    assert not missing, f"Run `manage.py translations` and translate: {missing[:5]}"


def test_every_text_is_translated_with_its_placeholders() -> None:
    for message in _german():  # type: ignore[attr-defined]
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        for text in texts:
            assert text, f"not translated: {ids[0]}"
            allowed = set(re.findall(r"%\(\w+\)s|{\w+}", " ".join(ids)))
            assert set(re.findall(r"%\(\w+\)s|{\w+}", text)) <= allowed, text


def test_a_page_speaks_german() -> None:
    catalogues.compile_stale()
    with translation.override("de"):
        assert translation.gettext("Stations") == "Stationen"
