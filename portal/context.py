from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def page(request: HttpRequest) -> dict[str, Any]:
    """What every page needs: the tenant, who looks, and what they may do."""
    return {"tenant": getattr(request, "tenant", None), "actor": getattr(request, "actor", None)}
