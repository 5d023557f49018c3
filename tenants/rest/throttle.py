"""A bound on requests per key, so that a loop gone wild harms only itself. Counted in each process apart: cheap, and
exact enough for that."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

WINDOW_S = 60.0
_counted: dict[str, int] = {}
_window = [0.0]
_lock = Lock()


class KeyThrottle(BaseThrottle):
    """At most API_REQUESTS_PER_MINUTE by one key in one minute of the clock; 0: no bound."""

    def allow_request(self, request: Request, view: Any) -> bool:
        most = settings.API_REQUESTS_PER_MINUTE
        actor: Any = request.user
        if not most or actor is None:
            return True
        with _lock:
            window = time.monotonic() // WINDOW_S
            if window != _window[0]:
                _window[0] = window
                _counted.clear()
            key = f"{actor.kind}:{actor.id}"
            _counted[key] = _counted.get(key, 0) + 1
            return _counted[key] <= most

    def wait(self) -> float:
        return WINDOW_S - time.monotonic() % WINDOW_S
