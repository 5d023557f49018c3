"""Pages of docs/ say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from cpo import documents, env

pytestmark = pytest.mark.nodb
DOCS = Path(settings.BASE_DIR) / "docs"


@pytest.mark.parametrize("name", documents.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    with translation.override("en"):
        made = documents.PAGES[name]()
    command = f"python3 manage.py document_{name.removesuffix('.md')}"
    assert (DOCS / name).read_text(encoding="utf-8") == made, f"Run {command} and commit the page."


def test_no_setting_is_read_past_the_table() -> None:
    """Everything an installation may set is in cpo/env.py, and therefore on the page."""
    known = {setting.name for setting in env.SETTINGS}
    for path in Path(settings.BASE_DIR).glob("cpo/*.py"):
        read = set(re.findall(r"env\.read\(\"([A-Z_]+)\"", path.read_text(encoding="utf-8")))
        assert read <= known, path
    assert all(setting.help.endswith(".") for setting in env.SETTINGS)
