"""Which processes of the role `energy` are there, those without any site too. Known to Redis, for a while.

It decides on fairness alone: who owns a site stands in the database (energy.services.ownership).
"""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.db import connections
from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger("voltyard.energy")


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


def _redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def _key() -> str:
    """Of this database's processes: others may share the Redis."""
    return f"voltyard.energy.{connections['default'].settings_dict['NAME']}"
