"""Work by the clock: sweeping up what was committed and never queued, and letting go of what is old."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from aicd_core.contracts import Chore
from aicd_core.db.database import SystemDatabase
from aicd_core.deliveries import repository as deliveries
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.log import repository as log
from aicd_core.jobs.machine import TERMINAL
from aicd_core.journal import repository as journal
from aicd_core.orchestrator.outside.looking import look_at_pull_requests
from aicd_core.orchestrator.owners import is_gone
from aicd_core.orchestrator.ports import Parts
from aicd_core.telemetry.metrics import LEASES_FREED

SWEEP_SECONDS = 5.0
UNANSWERED_SECONDS = 30.0
"""A worker was sent for, and nobody came for so long: one is sent again."""
SWEEP_MOST = 200
"""Wakes of one sweep. Each brings a worker that takes jobs until none is ready: few are enough for many jobs."""
RETENTION_SECONDS = 3600.0
RETENTION_MOST = 1000

_log = logging.getLogger(__name__)


def chores_of(parts: Parts, sweep_deliveries: Callable[[], Awaitable[None]]) -> tuple[Chore, ...]:
    """Every chore, each to be done on one of the machines."""
    return (
        Chore("sweep", SWEEP_SECONDS, lambda: sweep(parts)),
        Chore("pull-requests", SWEEP_SECONDS, lambda: look_at_pull_requests(parts)),
        Chore("deliveries", SWEEP_SECONDS, sweep_deliveries),
        Chore("retention", RETENTION_SECONDS, lambda: let_go(parts)),
    )


async def sweep(parts: Parts) -> None:
    """Sends for workers to jobs that wait for one, and have waited too long for the one that was sent for."""
    wake = parts.dispatch.in_statement
    for due in await leases.mark_due(parts.system.courier(), UNANSWERED_SECONDS, SWEEP_MOST, wake=wake):
        await parts.dispatch.send(due.org_id, due.job_id, due.key)


async def let_go(parts: Parts) -> None:
    """Removes handled deliveries (AICD_DELIVERY_DAYS), and journals and logs of ended jobs (AICD_JOURNAL_DAYS)."""
    await _let_go_of_deliveries(parts)
    await _let_go_of_journals(parts)
    await _let_go_of_logs(parts)


async def _let_go_of_deliveries(parts: Parts) -> None:
    before = datetime.now(UTC) - timedelta(days=parts.settings.delivery_days)
    removed = RETENTION_MOST
    while removed == RETENTION_MOST:
        async with parts.system.write() as session:
            removed = await deliveries.delete_handled(session, before, RETENTION_MOST)
    _log.info("retention: deliveries handled before %s are gone", before.date())


async def _let_go_of_journals(parts: Parts) -> None:
    """Removes texts and checkpoints of ended jobs; what was called when, its hashes and its cost stay."""
    before = datetime.now(UTC) - timedelta(days=parts.settings.journal_days)
    removed = 1
    while removed:
        async with parts.system.write() as session:
            removed = await journal.delete_ended(session, sorted(TERMINAL), before, RETENTION_MOST)
    _log.info("retention: journals of jobs that ended before %s are gone", before.date())


async def _let_go_of_logs(parts: Parts) -> None:
    before = datetime.now(UTC) - timedelta(days=parts.settings.journal_days)
    removed = RETENTION_MOST
    while removed == RETENTION_MOST:
        async with parts.system.write() as session:
            removed = await log.delete_lines(session, before, RETENTION_MOST)
    _log.info("retention: logs of jobs that ended before %s are gone", before.date())


async def free_dead_leases(system: SystemDatabase) -> None:
    """Takes leases away from processes of this machine that are gone, so that nobody waits until they run out."""
    dead = [owner for owner in await leases.list_owners(system.courier()) if is_gone(owner)]
    if dead:
        freed = await leases.free_leases(system.courier(), dead)
        LEASES_FREED.inc(freed)
        _log.warning("%d job(s) of dead workers are free again", freed)
