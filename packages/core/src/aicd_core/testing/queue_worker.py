"""A worker process of its own, to be killed: `python -m aicd_core.testing.queue_worker ORDERS`, see `Orders`.

It prints `began KEY` and `ended KEY` of every wake, and ends when its standard input does.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from unittest.mock import patch

from pydantic import BaseModel

from aicd_core.contracts import Wake
from aicd_core.db.database import SystemDatabase
from aicd_core.queues import adapter
from aicd_core.queues.open import open_queue
from aicd_core.queues.options import WORKER_OPTIONS


class Orders(BaseModel):
    """What the process is told.

    Args:
        hold: seconds that the first wake is worked on.
        block: whether the event loop is blocked meanwhile.
        options: BullMQ's settings that differ from ours.
    """

    system_url: str
    redis_url: str | None = None
    hold: float = 0.0
    block: bool = False
    options: Mapping[str, int] = {}


@dataclass
class WorkerProcess:
    """A running one, seen from the test."""

    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, orders: Orders) -> "WorkerProcess":
        command = [sys.executable, "-m", __name__, orders.model_dump_json()]
        return cls(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))

    async def says(self) -> str:
        """The next line that it prints; empty when it has ended."""
        assert self.process.stdout is not None
        return (await asyncio.to_thread(self.process.stdout.readline)).rstrip("\n")

    def kill(self) -> None:
        """Kills it, as the kernel would, and waits until it is gone."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


async def work(orders: Orders) -> None:
    """Handles wakes until standard input ends."""
    held = False

    async def handle(wake: Wake) -> None:
        nonlocal held
        print(f"began {wake.key}", flush=True)  # noqa: T201 - this is how the test is told
        if not held and orders.block:
            time.sleep(orders.hold)  # noqa: ASYNC251 - blocking the loop is what is tested
        elif not held:
            await asyncio.sleep(orders.hold)
        held = True
        print(f"ended {wake.key}", flush=True)  # noqa: T201

    system = SystemDatabase.connect(orders.system_url)
    async with open_queue(system, orders.redis_url, concurrency=1) as queue:
        running = asyncio.ensure_future(queue.run(handle))
        await asyncio.to_thread(sys.stdin.read)
        await queue.stop()
        await running
    await system.close()


if __name__ == "__main__":
    given = Orders.model_validate_json(sys.argv[1])
    with patch.object(adapter, "WORKER_OPTIONS", {**WORKER_OPTIONS, **given.options}):
        asyncio.run(work(given))
