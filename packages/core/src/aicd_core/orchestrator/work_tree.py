"""A job's work tree, as the worker that has the job uses it."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aicd_core.contracts import Base, Checkout, CodeHost, OutsideFeedback
from aicd_core.errors import AicdError
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.clearing import remove_tree
from aicd_core.orchestrator.progress import Message, Observer


class HeldTree:
    """A context: from when the tree is opened until the end of the block it is this worker's alone.

    A worker that was stopped past its lease may not have noticed yet; and whoever takes the job up next waits until
    the tree is let go of, or is gone.
    """

    def __init__(self, host: CodeHost, observe: Observer) -> None:
        self._host = host
        self._observe = observe
        self._stack = AsyncExitStack()
        self._checkout: Checkout | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def open(self, job: JobView, outside: OutsideFeedback | None = None) -> Checkout:
        """The tree at the job's base commit, or at what a round on feedback starts from; opened once.

        Raises:
            AicdError: as `CodeHost.hold` and `CodeHost.open`.
        """
        if self._checkout is None:
            await self._hold(job)
            start, head = job.base_sha, None
            if outside is not None:
                start, head = outside.start_sha, Base(branch=job.branch, sha=outside.head_sha)
            self._checkout = await self._host.open(job.id, start, head)
        return self._checkout

    async def remove(self, job: JobView) -> None:
        """Removes what there is of it on this machine; trouble is told and raises nothing."""
        if self._checkout is None:
            try:
                await self._hold(job)
            except AicdError as error:
                self._observe(Message(job.id, f"the work tree is left for later: {error}"))
                return
        await remove_tree(self._host, job.id, self._observe)

    async def _hold(self, job: JobView) -> None:
        await self._stack.aclose()  # an attempt before this one may have failed to open it
        await self._stack.enter_async_context(self._host.hold(job.id))
