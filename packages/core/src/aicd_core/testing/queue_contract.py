"""What every `Queue` has to do, as tests: a test class of an adapter inherits them and has the fixture `opened`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from aicd_core.contracts import Queue, Wake, WakeHandler
from aicd_core.ids import JobId, OrgId, new_uuid

PATIENCE = 60.0
"""Seconds after which a test gives up waiting; no claim about speed."""

Opened: TypeAlias = Callable[[int], AbstractAsyncContextManager[Queue]]
"""Opens another process's end, as it were, of the test's queue, with that many handlers at once."""


def new_wake(state: str = "queued") -> Wake:
    """A wake for a job of its own."""
    job_id = JobId(new_uuid())
    return Wake(org_id=OrgId(new_uuid()), job_id=job_id, key=f"{job_id}-{state}-1")


async def until(happened: Callable[[], bool]) -> None:
    """Waits for something.

    Raises:
        TimeoutError: it did not happen.
    """
    async with asyncio.timeout(PATIENCE):
        while not happened():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(queue: Queue, handler: WakeHandler) -> AsyncIterator["asyncio.Task[None]"]:
    """The queue at work; stopped and ended at the end of the block."""
    task = asyncio.ensure_future(queue.run(handler))
    try:
        yield task
    finally:
        await queue.stop()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(task, return_exceptions=True)


class QueueBasics:
    """Also of the queue in memory."""

    async def test_a_wake_arrives_as_it_was_added(self, opened: Opened) -> None:
        wake, seen = new_wake(), list[Wake]()
        async with opened(2) as queue:
            await queue.add(wake)
            async with running(queue, _into(seen)):
                await until(lambda: bool(seen))
        assert seen == [wake]

    async def test_a_double_is_one(self, opened: Opened) -> None:
        wake, last, seen = new_wake(), new_wake(), list[Wake]()
        async with opened(1) as queue:
            for each in (wake, wake, last):
                await queue.add(each)
            async with running(queue, _into(seen)):
                await until(lambda: last in seen)
        assert seen == [wake, last]

    async def test_a_stopped_queue_ends_when_the_handler_at_work_has_ended(self, opened: Opened) -> None:
        began, go_on = asyncio.Event(), asyncio.Event()
        ended = list[Wake]()

        async def handle(wake: Wake) -> None:
            began.set()
            await go_on.wait()
            ended.append(wake)

        async with opened(1) as queue:
            for wake in (new_wake(), new_wake()):
                await queue.add(wake)
            run = asyncio.ensure_future(queue.run(handle))
            async with asyncio.timeout(PATIENCE):
                await began.wait()
                await queue.stop()
                await asyncio.sleep(0.2)
                assert not run.done()
                go_on.set()
                await run
        assert len(ended) == 1


class QueueContract(QueueBasics):
    """Of a queue that many processes share."""

    async def test_a_wake_that_was_not_begun_waits_for_the_next_process(self, opened: Opened) -> None:
        wakes, seen = [new_wake(), new_wake()], list[Wake]()
        async with opened(1) as adding:
            for wake in wakes:
                await adding.add(wake)
        for expected in (1, 2):
            async with opened(1) as queue:
                stopping = _stop_after_one(queue, seen)
                async with running(queue, stopping) as run:
                    await until(run.done)
            assert len(seen) == expected
        assert seen == wakes

    async def test_after_it_was_handled_the_same_wake_can_be_added_again(self, opened: Opened) -> None:
        wake, seen = new_wake(), list[Wake]()
        async with opened(1) as queue, running(queue, _into(seen)):
            await queue.add(wake)
            await until(lambda: len(seen) == 1)
            await self.until_forgotten(queue, wake, seen)

    async def test_a_handler_that_fails_gets_the_wake_again(self, opened: Opened) -> None:
        # The text holds what Postgres cannot store.
        seen = list[Wake]()
        async with opened(1) as queue, running(queue, _failing(seen, ValueError("a\x00b"), times=1)):
            await queue.add(new_wake())
            await until(lambda: len(seen) == 2)
        assert seen[0] == seen[1]

    async def test_a_wake_that_failed_for_good_can_be_added_again(self, opened: Opened) -> None:
        wake, seen = new_wake(), list[Wake]()
        async with opened(1) as queue, running(queue, _failing(seen, ValueError("no"), times=3)):
            await queue.add(wake)
            await until(lambda: len(seen) == 3)
            await self.until_forgotten(queue, wake, seen)

    async def test_a_handler_that_is_cancelled_from_within_gets_the_wake_again(self, opened: Opened) -> None:
        seen = list[Wake]()
        async with opened(1) as queue, running(queue, _failing(seen, asyncio.CancelledError(), times=1)):
            await queue.add(new_wake())
            await until(lambda: len(seen) == 2)
        assert seen[0] == seen[1]

    async def test_a_delayed_wake_is_never_early_and_overtaken_by_others(self, opened: Opened) -> None:
        clock = asyncio.get_running_loop().time
        late, prompt, seen = new_wake(), new_wake(), list[tuple[Wake, float]]()

        async def handle(wake: Wake) -> None:
            seen.append((wake, clock()))

        async with opened(1) as queue, running(queue, handle):
            added = clock()
            await queue.add(late, delay=1.0)
            await queue.add(prompt)
            await until(lambda: len(seen) == 2)
        assert [wake for wake, _ in seen] == [prompt, late]
        assert seen[1][1] - added >= 0.99  # delays are whole milliseconds, by another clock

    async def test_as_many_handlers_are_at_work_as_was_said_and_never_more(self, opened: Opened) -> None:
        at_work, most, done = 0, 0, 0
        full = asyncio.Event()

        async def handle(_: Wake) -> None:
            nonlocal at_work, most, done
            at_work += 1
            most = max(most, at_work)
            if at_work == 14:
                full.set()
            await full.wait()
            await asyncio.sleep(0.05)
            at_work -= 1
            done += 1

        async with opened(14) as queue, running(queue, handle):
            for _ in range(40):
                await queue.add(new_wake())
            await until(lambda: done == 40)
        assert most == 14

    async def test_cancelled_it_ends_its_handlers_and_their_wake_comes_again(self, opened: Opened) -> None:
        wake, seen, ended = new_wake(), list[Wake](), list[Wake]()

        async def stuck(wake: Wake) -> None:
            seen.append(wake)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(wake)

        async with opened(1) as queue:
            await queue.add(wake)
            async with running(queue, stuck) as run:
                await until(lambda: bool(seen))
                run.cancel()
                await until(run.done)
                assert run.cancelled()
                assert ended == [wake]
        again = list[Wake]()
        async with opened(1) as queue, running(queue, _into(again)):
            await until(lambda: bool(again))
        assert again == [wake]

    async def until_forgotten(self, queue: Queue, wake: Wake, seen: list[Wake]) -> None:
        """Adds the wake until it is handled once more: until the queue has booked its end, it is a double."""
        before = len(seen)
        async with asyncio.timeout(PATIENCE):
            while len(seen) == before:
                await queue.add(wake)
                await asyncio.sleep(0.05)


def _into(seen: list[Wake]) -> WakeHandler:
    async def handle(wake: Wake) -> None:
        seen.append(wake)

    return handle


def _failing(seen: list[Wake], error: BaseException, *, times: int) -> WakeHandler:
    async def handle(wake: Wake) -> None:
        seen.append(wake)
        if len(seen) <= times:
            raise error

    return handle


def _stop_after_one(queue: Queue, seen: list[Wake]) -> WakeHandler:
    async def handle(wake: Wake) -> None:
        seen.append(wake)
        await queue.stop()

    return handle
