"""SQL of the queue: adding a wake inside of a transaction, and whether BullMQ's schema is the one we know."""

from sqlalchemy import Uuid, bindparam, text

from aicd_core.contracts import Wake
from aicd_core.db.sessions import SystemReadSession, SystemSession
from aicd_core.queues.values import QueueSchema

_WAKE = text("SELECT public.aicd_wake(:org, :job, :key, :delay)").bindparams(
    bindparam("org", type_=Uuid()), bindparam("job", type_=Uuid())
)
_SCHEMA = text(
    "SELECT pg_get_function_arguments(p.oid) || ' -> ' || pg_get_function_result(p.oid), "
    "(SELECT max(version) FROM bullmq.migration) "
    "FROM pg_proc p WHERE p.pronamespace = 'bullmq'::regnamespace AND p.proname = 'add_job'"
)


async def add_wake(session: SystemSession, wake: Wake, delay_ms: int) -> None:
    """Queues a wake when the transaction commits, unless one with its key waits; not at all if it is rolled back."""
    await session.execute(_WAKE, {"org": wake.org_id, "job": wake.job_id, "key": wake.key, "delay": delay_ms})


async def read_queue_schema(session: SystemReadSession) -> QueueSchema | None:
    """BullMQ's schema; None where it is absent, or `add_job` is there more than once."""
    present = (await session.execute(text("SELECT to_regclass('bullmq.migration')"))).scalar_one()
    rows = (await session.execute(_SCHEMA)).all() if present else []
    return QueueSchema(*rows[0]) if len(rows) == 1 else None
