"""BullMQ's own schema inside Postgres: which one we know, and making sure that it is there."""

from aicd_core.db.database import SystemDatabase
from aicd_core.errors import ConflictError
from aicd_core.queues.repository import read_queue_schema
from aicd_core.queues.values import QueueSchema

QUEUE_SCHEMA = "bullmq"
KNOWN = QueueSchema(
    add_job="p_queue text, p_id text, p_name text, p_data jsonb, p_opts jsonb, p_priority integer, p_delay bigint, "
    "p_timestamp bigint, p_max_attempts integer, p_parent_queue text, p_parent_id text, p_parent_key text, "
    "p_dedup_id text, p_scheduler_id text, p_lifo boolean -> text",
    version=4,
)
"""Of bullmq 3.4.4, which `pyproject.toml` pins: `aicd_wake` calls `add_job`, and that is no public interface."""


async def require_queue_schema(system: SystemDatabase) -> None:
    """Refuses a database whose queue is not the one that this code works with.

    Raises:
        ConflictError: BullMQ's schema is absent, older, newer or changed.
        UnavailableError: Postgres cannot be reached.
    """
    async with system.read() as session:
        found = await read_queue_schema(session)
    if found != KNOWN:
        what = "has none" if found is None else f"is at version {found.version}, with add_job({found.add_job})"
        raise ConflictError(
            f"The queue's schema ({QUEUE_SCHEMA}) must be version {KNOWN.version} in Postgres; this database {what}. "
            "Run `aicd migrate` with this version of aicd; if that does not help, use the version of aicd that "
            "migrated it.",
            code="queue_schema_mismatch",
        )
