"""Holding a job: one worker at a time, lost when its holder is gone (design §4)."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from aicd_core.db.database import Database
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.records import LeaseLostError
from aicd_core.tenancy import Tenant

LEASE_SECONDS = 15.0
HEARTBEAT_SECONDS = 4.0
OWNER_PARTS = 5

ResultT = TypeVar("ResultT")


def _process_start(pid: int) -> str:
    """When a process of this machine started, in clock ticks since boot (proc(5), field 22); '' if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _here() -> str:
    """This boot of this machine, and the process ids as they are seen here: a container counts its own."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"


def new_owner() -> str:
    """A name for one holder that tells, where process ids mean the same, whether its process still lives."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{_here()}/{pid}/{_process_start(pid)}/{new_uuid()}"


def is_gone(owner: str) -> bool:
    """True when the owner is known to have ended; False of any whose process cannot be seen from here."""
    parts = owner.split("/")
    if len(parts) != OWNER_PARTS or parts[1] != _here():
        return False
    return _process_start(int(parts[2])) != parts[3]


class Lease:
    """The right to work on one job, kept alive by a heartbeat while work runs under it."""

    def __init__(self, database: Database, tenant: Tenant, job_id: JobId) -> None:
        self._database = database
        self._tenant = tenant
        self._job_id = job_id
        self._booked = time.monotonic()
        self.owner = new_owner()

    async def claim(self, job: JobView) -> bool:
        """Takes the lease if it is free or its holder is gone; False when somebody else works on the job."""
        dead = job.lease_owner if job.lease_owner and is_gone(job.lease_owner) else None
        async with self._database.write(self._tenant) as session:
            taken = await jobs.claim_lease(session, self._tenant, self._job_id, self.owner, LEASE_SECONDS, dead)
        self._booked = time.monotonic()
        return taken

    async def run(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Runs `work` with the heartbeat beside it.

        Raises:
            LeaseLostError: the heartbeat failed; the work was cancelled and has ended.
        """
        working = asyncio.ensure_future(work())
        beating = asyncio.ensure_future(self._beat())
        try:
            await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
            if beating.done() and not working.done():
                await _end(working)
                beating.result()
            return await working
        finally:
            await _end(working)
            await _end(beating)

    async def release(self) -> None:
        """Gives the lease back and books the time since the last heartbeat."""
        async with self._database.write(self._tenant) as session:
            unbooked = time.monotonic() - self._booked
            await jobs.release_lease(session, self._tenant, self._job_id, self.owner, unbooked)

    async def _beat(self) -> None:
        """Renews the lease in time; a database that is away for less than the lease loses nothing."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._renew()
                renewed = time.monotonic()
            except UnavailableError:
                if time.monotonic() - renewed > LEASE_SECONDS - HEARTBEAT_SECONDS:
                    raise

    async def _renew(self) -> None:
        async with self._database.write(self._tenant) as session:
            unbooked = time.monotonic() - self._booked
            kept = await jobs.renew_lease(session, self._tenant, self._job_id, self.owner, LEASE_SECONDS, unbooked)
        self._booked += unbooked
        if not kept:
            raise LeaseLostError(f"Job {self._job_id} was taken over by another worker, or has ended.")


async def _end(task: asyncio.Future[ResultT]) -> None:
    """Cancels a task and waits until it has ended, also when cancelled meanwhile; raises nothing that the task did."""
    task.cancel()
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if not task.cancelled():
        task.exception()
    if cancelled:
        raise asyncio.CancelledError
