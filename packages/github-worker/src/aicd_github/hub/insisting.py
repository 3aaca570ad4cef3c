"""Repeating what may be repeated: as long as it makes sense, and as GitHub asks for."""

import asyncio
from collections.abc import Awaitable, Callable

from aicd_core.orchestrator.retries import Backoff
from aicd_github.hub.api import Answer, UnheardError
from aicd_github.hub.refusals import limited, out_of_reach

PATIENCE = 120.0
"""Seconds that one effect may take with all its repetitions; whoever is to wait longer comes back later."""
_BACKOFF = Backoff(attempts=5, first=0.5, longest=15)
_SERVER_FAULTS = frozenset({500, 502, 503, 504})


async def insist(attempt: Callable[[], Awaitable[Answer]], what: str, patience: float = PATIENCE) -> Answer:
    """The first answer that is neither a fault of the server nor a limit.

    Waits between attempts: as long as a limit asks for, else exponentially longer, by chance down to half as long.

    Raises:
        UnavailableError: `github_rate_limited`: the limit asks for more time than there is; `github_unavailable`.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + patience
    failures = 0
    while True:
        wait, why = None, ""
        try:
            answer = await attempt()
            if answer.wait is None and answer.status not in _SERVER_FAULTS:
                return answer
            wait, why = answer.wait, f"it answers with a fault of its own (status {answer.status})"
        except UnheardError as error:
            why = f"it does not answer ({error})"
        failures += 1
        delay = _BACKOFF.delay(failures) if wait is None else wait + _BACKOFF.delay(1)
        if loop.time() + delay > ends or failures > _BACKOFF.attempts:
            raise out_of_reach(what, why) if wait is None else limited(what, wait)
        await asyncio.sleep(delay)
