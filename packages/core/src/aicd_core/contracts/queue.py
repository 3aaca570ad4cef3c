"""Waking workers, and chores by the clock. Neither holds any truth: losing the queue loses no job."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from aicd_core.contracts.values import Value
from aicd_core.ids import JobId, OrgId


class Wake(Value):
    """A hint that a job can go on; `key` is `<job>-<state>-<version>`, so that a double is one."""

    org_id: OrgId
    job_id: JobId
    key: str


WakeHandler: TypeAlias = Callable[[Wake], Awaitable[None]]
"""Works on what a wake hints at. It can be called twice for one wake, even at once: the job's lease decides."""


class Queue(Protocol):
    """Delivers each wake at least once to some worker."""

    async def add(self, wake: Wake, *, delay: float = 0.0) -> None:
        """Queues the wake unless one with the same key waits already, or is being handled.

        Args:
            delay: seconds before it is handed out, at the earliest.

        Raises:
            UnavailableError: the queue cannot be reached. What the wake is about is in Postgres, where the sweeper
                finds it, so nothing is lost.
        """
        ...

    async def run(self, handler: WakeHandler) -> None:
        """Hands wakes to `handler` until cancelled or stopped, or, in the foreground, until none is left.

        A handler that raises, or is cancelled by what it awaits, gets the wake again, a few times. Cancelling this
        call cancels the handlers at work; their wakes come again.
        """
        ...

    async def stop(self) -> None:
        """Takes no more wakes; `run` returns as soon as the handlers at work have ended."""
        ...


class Bell(Protocol):
    """Sends for whoever answers it, in whichever process, without saying what for: that is in Postgres."""

    async def ring(self) -> None:
        """Has `answer` called once more, somewhere; every ring counts.

        Raises:
            UnavailableError: the queue cannot be reached. A sweep finds what this was about.
        """
        ...

    async def run(self, answer: Callable[[], Awaitable[None]]) -> None:
        """Calls `answer` for each ring until cancelled or stopped; raises and repeats as `Queue.run`."""
        ...

    async def stop(self) -> None:
        """Answers no more; `run` returns as soon as the answers at work have ended."""
        ...


@dataclass(frozen=True)
class Chore:
    """Work by the clock: `call` every so many seconds, on one of the machines.

    It may be repeated by a crash or be late by a few seconds. What `call` raises is logged; the next time comes.
    """

    name: str
    every: float
    call: Callable[[], Awaitable[None]]


class Scheduler(Protocol):
    """Runs chores, each on one of the machines that run the same ones."""

    async def run(self, chores: Sequence[Chore]) -> None:
        """Takes part until cancelled or stopped. Chores that are scheduled, and not among these, are given up.

        Raises:
            InvalidInputError: two chores share a name, or one's interval is below a second.
        """
        ...

    async def stop(self) -> None:
        """Takes no more chores; `run` returns as soon as those at work have ended."""
        ...
