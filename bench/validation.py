"""What a schema check costs: the `ocpp` package's validator against jsonschema_rs on the same schema files.

Run as `python -m bench.validation`. CPU microseconds per frame, parsing not included.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import ocpp
import ocpp.messages
from ocpp.messages import Call

from bench.gateway.mix import STEPS, Script

SCHEMAS = Path(ocpp.__file__).parent / "v16" / "schemas"
ROUNDS = 200


def calls() -> list[Call]:
    """The twenty calls of the mix."""
    script = Script(1, "BENCH0001")
    frames = [json.loads(script.next()[1]) for _ in STEPS]
    return [Call(frame[1], frame[2], frame[3]) for frame in frames]


def compiled() -> dict[str, Any]:
    return {
        path.stem: jsonschema_rs.validator_for(json.loads(path.read_text("utf-8-sig")), validate_formats=True)
        for path in SCHEMAS.glob("*.json")
    }


async def microseconds(frames: list[Call], check: Callable[[Call], Awaitable[None]]) -> float:
    for frame in frames:  # schemas are read and compiled at first use
        await check(frame)
    begun = time.process_time()
    for _ in range(ROUNDS):
        for frame in frames:
            await check(frame)
    return (time.process_time() - begun) / ROUNDS / len(frames) * 1e6


async def by_package(frame: Call) -> None:
    await ocpp.messages.validate_payload(frame, "1.6")


async def main() -> None:
    validators = compiled()

    async def by_rust(frame: Call) -> None:
        validators[frame.action].validate(frame.payload)

    frames = calls()
    ocpp.messages.ASYNC_VALIDATION = True
    hopping = await microseconds(frames, by_package)
    ocpp.messages.ASYNC_VALIDATION = False
    plain = await microseconds(frames, by_package)
    rust = await microseconds(frames, by_rust)
    print(f"ocpp package, each in a thread as it comes   {hopping:8.1f} us a frame")
    print(f"ocpp package, in the event loop              {plain:8.1f} us a frame")
    print(f"jsonschema_rs, schemas compiled once         {rust:8.1f} us a frame")
    print(f"{len(validators)} schemas of 1.6 compiled; the package costs {plain / rust:.0f} times as much")


if __name__ == "__main__":
    asyncio.run(main())
