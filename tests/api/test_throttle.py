"""A key that asks too often is told to wait; another key is not."""

from collections.abc import Callable
from typing import Any

from tests.people import ApiClient


def test_a_loop_gone_wild_harms_only_itself(api_client: Callable[..., ApiClient], settings: Any) -> None:
    wild, calm = api_client(), api_client()
    settings.API_REQUESTS_PER_MINUTE = 5
    answers = [wild.call("GET", "/me") for _ in range(12)]  # the minute may turn once in between
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["code"] == "too_many" and 1 <= int(refused[0]["Retry-After"]) <= 60
    assert calm.call("GET", "/me").status_code == 200
