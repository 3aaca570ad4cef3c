"""Keeping workers at work: BullMQ's loop can end by itself, and then a new one has to take its place."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aicd_core.errors import UnavailableError
from aicd_core.queues.adapter import Broker, Process, Worker
from aicd_core.queues.options import HANDLERS_PER_WORKER

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
STEADY = 10.0
"""A worker that ran for so many seconds had found its database or Redis; the pauses begin anew."""

Check: TypeAlias = Callable[[], Awaitable[None]]
"""Says what is wrong with a backend before work begins: UnavailableError is waited out, what else it raises is not."""

log = logging.getLogger(__name__)


class Pauses:
    """Waits between two tries, each twice as long as the one before, with jitter, until stopped."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._next = FIRST_PAUSE

    def reset(self) -> None:
        """The next pause is a short one again."""
        self._next = FIRST_PAUSE

    async def wait(self) -> None:
        """Pauses; returns at once when stopped."""
        seconds = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._next = min(2 * self._next, LONGEST_PAUSE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


class Consumer:
    """Hands a queue's entries to `process`, in as many workers as the concurrency asks for."""

    def __init__(self, broker: Broker, queue: str, process: Process, concurrency: int) -> None:
        self._broker = broker
        self._queue = queue
        self._process = process
        self._shares = shares(concurrency, HANDLERS_PER_WORKER[broker.backend])
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Takes no more entries; `run` returns when those at work have ended."""
        self._stopping.set()

    async def run(self, check: Check) -> None:
        """Works until stopped or cancelled, whatever becomes of the connections.

        Args:
            check: awaited before the first worker starts, again and again while it raises UnavailableError. What
                else it raises ends this call.
        """
        pauses = Pauses(self._stopping)
        while not self._stopping.is_set():
            try:
                await check()
                break
            except UnavailableError as error:
                log.warning("the queue %s waits: %s", self._queue, error.message)
                await pauses.wait()
        async with asyncio.TaskGroup() as group:
            for share in self._shares:
                group.create_task(self._keep(share))

    async def _keep(self, concurrency: int) -> None:
        """One worker after the other: each that ends before it is told to is replaced."""
        pauses = Pauses(self._stopping)
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._serve(Worker(self._broker, self._queue, self._process, concurrency))
            except Exception as error:  # noqa: BLE001 - connections end in many ways, and all are waited out
                log.warning("a worker of the queue %s ended (%s: %s)", self._queue, type(error).__name__, error)
            if time.monotonic() - began > STEADY:
                pauses.reset()
            if not self._stopping.is_set():
                log.warning("a new worker of the queue %s takes the place of one that ended", self._queue)
            await pauses.wait()

    async def _serve(self, worker: Worker) -> None:
        """Runs the worker until it ends, or until stopped and drained; it is closed at the end."""
        worker.on("error", self._tell)
        running = asyncio.create_task(_run(worker))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                _raise_of(running)
            elif worker.running:
                await worker.drain()
            else:
                running.cancel()  # it found nobody yet
        except asyncio.CancelledError:
            # Before close(), for once that has begun, the loop no longer cancels its handlers.
            running.cancel()
            await asyncio.wait({running})
            raise
        finally:
            stopping.cancel()
            await worker.close()
            await asyncio.wait({running})

    def _tell(self, error: object, *_: object) -> None:
        """BullMQ's listener of errors; it must not raise."""
        log.warning("the queue %s: %s: %s", self._queue, type(error).__name__, error)


def _raise_of(running: "asyncio.Task[None]") -> None:
    """Raises what the task raised; a cancelled one (by a handler's doing, not by ours) has nothing to say."""
    if not running.cancelled():
        running.result()


async def _run(worker: Worker) -> None:
    await worker.prepare()
    await worker.run()


def shares(concurrency: int, most: int) -> list[int]:
    """How many handlers each worker has: `most` at the most, as even as can be."""
    workers = -(-concurrency // most)
    return [concurrency // workers + (number < concurrency % workers) for number in range(workers)]
