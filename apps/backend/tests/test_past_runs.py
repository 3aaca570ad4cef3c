"""Dry runs on past commits that take longer than a request."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from aicd_backend.past_runs import PastRuns
from aicd_cli.past import Judged
from aicd_core.errors import UnavailableError
from aicd_core.ids import new_uuid


async def test_who_asked_for_much_is_told_to_come_back_and_finds_it_there() -> None:
    runs, go_on, org, begun = PastRuns(0.01), asyncio.Event(), new_uuid(), list[int]()

    async def run() -> AsyncIterator[Judged]:
        begun.append(1)
        await go_on.wait()
        return
        yield

    for _ in range(2):  # the second one waits for the first, and is not begun behind it
        with pytest.raises(UnavailableError, match="Try again in a minute"):
            await runs.judge(org, run)
    assert len(begun) == 1
    other = asyncio.create_task(runs.judge(new_uuid(), run))
    with pytest.raises(UnavailableError, match="being fetched still"):
        await other
    assert len(begun) == 2
    go_on.set()
    runs.patience = 60
    assert await runs.judge(org, run) == []
    go_on.clear()
    waiting = asyncio.create_task(runs.judge(org, run))
    while len(begun) < 4:
        await asyncio.sleep(0)
    await runs.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
