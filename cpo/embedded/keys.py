"""Secrets of a checkout: made once at random, kept readable to their owner alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from cpo.embedded.problems import Problem


def fresh() -> dict[str, str]:
    return {
        "secret_key": secrets.token_urlsafe(48),
        "encryption_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "postgres": secrets.token_hex(24),
        "redis": secrets.token_hex(24),
    }


def load(path: Path) -> dict[str, str]:
    """The secrets in the file; made if there is none. One that others may read is closed."""
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump(fresh(), file, indent=1)
        draft.replace(path)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    try:
        kept = json.loads(path.read_text())
        return {name: str(kept[name]) for name in fresh()}
    except (ValueError, KeyError, TypeError):
        raise Problem(
            f"The secrets in {path} cannot be read.",
            "Put the file back from a copy; or remove its whole folder to start anew without the demo data.",
        ) from None
