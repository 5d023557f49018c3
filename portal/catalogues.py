"""Message catalogues without system tools: extracted and merged by Babel, compiled by Babel.

`manage.py translations` extracts and merges; the compiled files are made when a process starts and finds them missing
or older than their source, so nothing compiled is committed and no set-up step can be forgotten.
"""

from __future__ import annotations

import ast
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

APPS = ("cpo", "portal", "roaming", "energy", "stations", "billing", "fleets", "tenants")
KEYWORDS = DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "gettext_noop": None,
    "_t": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
}
DOMAIN = "django"
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_TEXT = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_CALL = re.compile(
    rf"\b(n?p?gettext|_)\(\s*u?({_TEXT})(?:\s*,\s*u?({_TEXT}))?(?:\s*,\s*u?({_TEXT}))?", re.DOTALL
)

Message = tuple[str, int, str | tuple[str, str], str | None]  # file, line, text or (one, many), context


def catalogue(language: str) -> Path:
    return Path(settings.BASE_DIR) / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def extract() -> Catalog:
    """Every translatable text of the code and the templates."""
    found = Catalog(project="Voltyard", charset="utf-8", fuzzy=False)
    for file, line, text, context in sorted(
        (*_from_python(), *_from_templates()), key=lambda message: message[:2]
    ):
        flags = ("python-format",) if _has_placeholder(text) else ()
        # Line numbers would change the catalogue with every edit of a file; the file is enough to find a text.
        found.add(text, locations=[(file, 0)], flags=flags, context=context)
        del line
    return found


def _has_placeholder(text: str | tuple[str, str]) -> bool:
    return "%(" in (text if isinstance(text, str) else "".join(text))


def _from_python() -> Iterator[Message]:
    base = Path(settings.BASE_DIR)
    for app in APPS:
        rows = extract_from_dir(base / app, [("**.py", "python")], keywords=KEYWORDS)
        for name, line, text, _comments, context in rows:
            yield f"{app}/{name}", line, text if isinstance(text, str) else (text[0], text[1]), context


def _from_templates() -> Iterator[Message]:
    base = Path(settings.BASE_DIR)
    for path in sorted((base / "templates").rglob("*.html")):
        source = templatize(path.read_text(encoding="utf-8"))
        for match in _CALL.finditer(source):
            name, *texts = match.groups()
            plain = [ast.literal_eval(text) for text in texts if text is not None]
            context = plain.pop(0) if "p" in name else None
            text = (plain[0], plain[1]) if name.startswith("n") else plain[0]
            yield str(path.relative_to(base)), source.count("\n", 0, match.start()), text, context


def update(language: str) -> tuple[int, int]:
    """Merge what is extracted into the language's catalogue. Gives (texts, of these untranslated)."""
    path = catalogue(language)
    template = extract()
    if path.exists():
        with path.open("rb") as file:
            merged = read_po(file, locale=language, domain=DOMAIN)
        merged.update(template, no_fuzzy_matching=True)
        merged.obsolete.clear()
    else:
        merged = Catalog(locale=language, project="Voltyard", charset="utf-8", fuzzy=False)
        merged.update(template)
    # A date of each run would make every run a change.
    merged.creation_date = merged.revision_date = _EPOCH
    merged.header_comment = "# Texts of Voltyard; collected and compiled by `manage.py translations`."
    merged.last_translator = merged.language_team = "Voltyard"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(
            file,
            merged,
            width=110,
            sort_by_file=True,
            include_lineno=False,
            ignore_obsolete=True,
            omit_header=False,
        )
    texts = [message for message in merged if message.id]
    return len(texts), sum(1 for message in texts if not all(_strings(message.string)))


def _strings(text: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text or ("",))


def compile_stale() -> list[Path]:
    """Compile each catalogue whose compiled file is missing or older. Gives the files written."""
    written = []
    for path in sorted((Path(settings.BASE_DIR) / "locale").glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        target = path.with_suffix(".mo")
        if not target.exists() or target.stat().st_mtime < path.stat().st_mtime:
            _compile(path, target)
            written.append(target)
    return written


def _compile(path: Path, target: Path) -> None:
    """By way of a file of its own: several processes may start at once."""
    with path.open("rb") as file:
        found = read_po(file, locale=path.parent.parent.name, domain=DOMAIN)
    handle, name = tempfile.mkstemp(dir=target.parent, suffix=".mo.part")
    with os.fdopen(handle, "wb") as out:
        write_mo(out, found)
    os.chmod(name, 0o644)
    os.replace(name, target)
