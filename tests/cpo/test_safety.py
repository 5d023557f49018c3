"""What would be dangerous in front of customers is refused at the start, in sentences and without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.nodb
SAFE = {
    "VOLTYARD_MODE": "production",
    "SECRET_KEY": "k" * 50,
    "ENCRYPTION_KEYS": "dm9sdHlhcmQtdGVzdC1vbmx5LWtleS0zMi1ieXRlcyE=",
    "ALLOWED_HOSTS": "cpo.example",
    "PUBLIC_URL": "https://cpo.example",
    "GATEWAY_URL": "wss://ocpp.example",
    "DATABASE_URL": "postgresql://owner:pw@127.0.0.1:1/none",
    "REDIS_URL": "redis://:pw@127.0.0.1:1/0",
}
UNSAFE = [
    ("DEBUG", "true"),
    ("SECRET_KEY", "short"),
    ("SECRET_KEY", ""),
    ("ENCRYPTION_KEYS", ""),
    ("ALLOWED_HOSTS", "*"),
    ("PUBLIC_URL", "http://cpo.example"),
    ("GATEWAY_URL", "ws://ocpp.example"),
    ("DATABASE_URL", ""),
    ("REDIS_URL", ""),
]


def _start(changed: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` as an operator's server starts it: nothing of this test's environment but the path."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *(command or ("check",))],
        env={**kept, **SAFE, **changed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_safe_settings_are_accepted() -> None:
    done = _start({})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "value"), UNSAFE)
def test_an_unsafe_setting_is_refused_by_name(name: str, value: str) -> None:
    done = _start({name: value})
    told = done.stdout + done.stderr
    assert done.returncode == 1
    assert name in told and "refuses to run in production" in told
    assert "Traceback" not in told


def test_all_unsafe_settings_are_told_at_once() -> None:
    told = _start(dict(UNSAFE)).stderr
    assert all(name in told for name in dict(UNSAFE))


def test_an_unreadable_setting_is_told_in_a_sentence() -> None:
    for name, value in (("DEBUG", "perhaps"), ("FRAME_RETENTION_DAYS", "many"), ("VOLTYARD_MODE", "prod")):
        done = _start({name: value})
        told = done.stdout + done.stderr
        assert done.returncode == 1 and name in told and "Traceback" not in told, told


def test_a_secret_is_not_told() -> None:
    done = _start({"SECRET_KEY": "hunter2"})
    assert "hunter2" not in done.stdout + done.stderr
