"""Who is there: processes of the role `energy`, those without any site too, and people who look at a site. Known to
Redis, for a while.

It decides on fairness and on how often pictures are made alone: who owns a site stands in the database
(energy.services.ownership).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from django.conf import settings
from django.db import connections
from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger("voltyard.energy")

WATCHED_S = 30  # open pages ask again with each picture


def of_others(owner: str, seconds: float) -> set[str]:
    """Say that this process is there. All that said so within so many seconds; none where Redis is away."""
    now = time.time()
    try:
        with _redis() as redis, redis.pipeline() as pipe:
            pipe.zadd(_key(), {owner: now})
            pipe.zremrangebyscore(_key(), "-inf", now - seconds)
            pipe.zrange(_key(), 0, -1)
            found = pipe.execute()[-1]
    except (RedisError, OSError, ValueError) as error:
        log.info("others are not known", extra={"error": str(error)[:200]})
        return set()
    return {one.decode() for one in found} - {owner}


def leave(owner: str) -> None:
    """It ends: its part is for others at once."""
    try:
        with _redis() as redis:
            redis.zrem(_key(), owner)
    except (RedisError, OSError, ValueError):
        log.info("its part is free a little later")


def look(site_id: int) -> None:
    """Somebody has the site's page open."""
    try:
        with _redis() as redis:
            redis.set(_watched(site_id), 1, ex=WATCHED_S)
    except (RedisError, OSError, ValueError):
        log.info("its pictures are made less often")


def watched(site_ids: Sequence[int]) -> set[int]:
    """Of these sites those that somebody looks at; all where Redis is away."""
    try:
        with _redis() as redis:
            found = redis.mget([_watched(site_id) for site_id in site_ids]) if site_ids else []
    except (RedisError, OSError, ValueError):
        return set(site_ids)
    return {site_id for site_id, one in zip(site_ids, found, strict=True) if one is not None}


def _watched(site_id: int) -> str:
    return f"{_key()}.watched.{site_id}"


def _redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def _key() -> str:
    """Of this database's processes: others may share the Redis."""
    return f"voltyard.energy.{connections['default'].settings_dict['NAME']}"
