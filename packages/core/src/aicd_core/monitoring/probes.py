"""What core itself knows to tell; other parts bring probes of their own, such as billing's lag."""

from aicd_core.db.sessions import SystemReadSession
from aicd_core.jobs.machine import AT_WORK, TERMINAL, JobState
from aicd_core.monitoring.repository import count_open_jobs, count_waiting_deliveries
from aicd_core.monitoring.values import Figure, Probe, Reading

JOBS = Figure("aicd_jobs", "Jobs that have not ended, by state.", ("state",))
QUEUE_JOBS = Figure("aicd_queue_jobs", "Jobs that could be worked on now and have no worker, by state.", ("state",))
QUEUE_OLDEST = Figure("aicd_queue_oldest_seconds", "For how long the first of them has waited.")
DELIVERIES_WAITING = Figure("aicd_deliveries_waiting", "Webhooks that are stored and not handled yet.")
DELIVERIES_OLDEST = Figure("aicd_deliveries_oldest_seconds", "How long ago the oldest of them came in.")


async def _read_jobs(session: SystemReadSession) -> Reading:
    found = {one.state: one for one in await count_open_jobs(session)}
    states = [state.value for state in JobState if state not in TERMINAL]
    at_work = [state for state in states if state in AT_WORK]
    return {
        JOBS: {(state,): found[state].jobs if state in found else 0 for state in states},
        QUEUE_JOBS: {(state,): found[state].ready if state in found else 0 for state in at_work},
        QUEUE_OLDEST: {(): max((one.oldest for one in found.values()), default=0.0)},
    }


async def _read_deliveries(session: SystemReadSession) -> Reading:
    waiting = await count_waiting_deliveries(session)
    return {DELIVERIES_WAITING: {(): waiting.deliveries}, DELIVERIES_OLDEST: {(): waiting.oldest}}


PROBES = (
    Probe((JOBS, QUEUE_JOBS, QUEUE_OLDEST), _read_jobs),
    Probe((DELIVERIES_WAITING, DELIVERIES_OLDEST), _read_deliveries),
)
