"""The queue inside Postgres: BullMQ's own schema, the function that adds a wake, and who may use what (as data).

Workers (`aicd_system`) read and write BullMQ's tables through its functions and own nothing. The application has no
access to them, since wakes name other tenants' jobs; `aicd_wake` lets it add one for its own tenant, and no more.
"""

import hashlib
import json
from collections.abc import Iterator

from aicd_core.migrations.roles import APP, OWNER, SYSTEM
from aicd_core.queues.options import ENTRY_OPTIONS, JOBS, WAKE
from aicd_core.queues.schema import KNOWN, QUEUE_SCHEMA

QUEUE_TABLES = (
    *("job", "job_log", "job_dependency", "event", "metrics", "rate_limit", "dedup", "dedup_next", "scheduler"),
    "meta",
)
"""BullMQ's tables of queues; those of its relay, which we do not use, are nobody's but the owner's."""

WAKE_SIGNATURE = "public.aicd_wake(org uuid, job uuid, key text, delay_ms bigint)"

_OPTIONS = json.dumps(dict(ENTRY_OPTIONS))

WAKE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {WAKE_SIGNATURE} RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $wake$
BEGIN
    -- The caller is the session's user: inside of this function, the current one is its owner.
    IF NOT pg_has_role(session_user, '{SYSTEM}', 'MEMBER')
       AND org IS DISTINCT FROM NULLIF(current_setting('aicd.org_id', true), '')::uuid THEN
        RAISE EXCEPTION 'a wake for organization %, and the transaction is not that organization''s', org
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM {QUEUE_SCHEMA}.add_job(
        '{JOBS}', key, '{WAKE}', jsonb_build_object('org_id', org, 'job_id', job, 'key', key),
        '{_OPTIONS}'::jsonb || jsonb_build_object('jobId', key, 'delay', delay_ms),
        0, delay_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, {ENTRY_OPTIONS["attempts"]},
        NULL, NULL, NULL, NULL, NULL, false);
END $wake$
"""

OPEN_DATABASE = f"""
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {OWNER}', current_database()); END $$
"""
"""BullMQ makes its schema itself, as whoever shall own it."""

BECOME_OWNER = f"SET ROLE {OWNER}"

DROP_QUEUE = (
    f"DROP FUNCTION IF EXISTS {WAKE_SIGNATURE}",
    f"DROP SCHEMA IF EXISTS {QUEUE_SCHEMA} CASCADE",
)


def _statements() -> Iterator[str]:
    """Statements that make the function, and give each role exactly what it may do with the queue."""
    yield WAKE_FUNCTION
    yield f"ALTER FUNCTION {WAKE_SIGNATURE} OWNER TO {OWNER}"
    yield f"REVOKE ALL ON FUNCTION {WAKE_SIGNATURE} FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION {WAKE_SIGNATURE} TO {APP}, {SYSTEM}"
    everything = ("TABLES", "SEQUENCES", "FUNCTIONS")
    yield f"REVOKE ALL ON SCHEMA {QUEUE_SCHEMA} FROM PUBLIC, {APP}, {SYSTEM}"
    yield from (
        f"REVOKE ALL ON ALL {kind} IN SCHEMA {QUEUE_SCHEMA} FROM PUBLIC, {APP}, {SYSTEM}" for kind in everything
    )
    yield f"GRANT USAGE ON SCHEMA {QUEUE_SCHEMA} TO {SYSTEM}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {QUEUE_SCHEMA} TO {SYSTEM}"
    yield f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {QUEUE_SCHEMA} TO {SYSTEM}"
    tables = ", ".join(f"{QUEUE_SCHEMA}.{name}" for name in QUEUE_TABLES)
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {SYSTEM}"
    yield f"GRANT SELECT ON {QUEUE_SCHEMA}.migration TO {SYSTEM}"


QUEUE_MARK = f"queue {KNOWN.version}.{hashlib.sha256(''.join(_statements()).encode()).hexdigest()[:12]}"
"""Names the queue that this code works with; it changes with BullMQ's schema and with every statement above."""


def queue_grants() -> Iterator[str]:
    """Statements that lay the queue anew, and mark it as this code's."""
    yield from _statements()
    yield f"COMMENT ON FUNCTION {WAKE_SIGNATURE} IS '{QUEUE_MARK}'"
