"""The database's roles and what each may do, as data (design §5).

`aicd_owner` owns the tables and is nobody's login; `aicd_app` is the application, held by row-level security;
`aicd_system` sees all tenants through the few grants listed here. Applied after every migration, from nothing.
"""

from collections.abc import Iterator

from aicd_core.db.repository import SYSTEM_ROLE

OWNER, APP, SYSTEM = "aicd_owner", "aicd_app", SYSTEM_ROLE

APPEND_ONLY = frozenset(
    {
        *("audit_log", "job_events", "artifacts", "checkpoints", "model_calls", "journal_contents", "usage_entries"),
        *("policies", "job_log"),
    }
)
"""Tables whose rows the application may add and read, and never change or remove."""

GLOBAL = frozenset({"users", "identities", "sessions"})
"""Tables of people, who belong to no tenant. Nobody deletes a row: what refers to it is changed with it, in every
tenant, past all walls."""

OPEN = frozenset({"users", "alembic_version"})
"""Tables without row-level security. Behind it, `lower(email)` could use no index, since `lower` is not leakproof, and
every login would read all users."""

CLOSED = frozenset({"erased_ledgers", "alembic_version"})
"""Tables that only the owner writes; everybody may read the schema's version."""

SYSTEM_GRANTS = {
    "organizations": "SELECT, INSERT",
    "organization_settings": "SELECT",
    "standings": "SELECT",
    "memberships": "SELECT",
    "invitations": "SELECT",
    "api_keys": "SELECT",
    "users": "SELECT (id, deleted_at)",
    "sessions": "SELECT (id, user_id, token_hash, last_used_at, revoked_at, ends_at, idle_until)",
    "installations": "SELECT",
    "repositories": "SELECT",
    "jobs": "SELECT, UPDATE",
    "job_events": "SELECT, INSERT",
    "job_log": "SELECT (id, org_id, job_id), INSERT, DELETE",
    "deliveries": "SELECT, INSERT, UPDATE, DELETE",
    "billing_accounts": "SELECT",
    "billing_exports": "SELECT, UPDATE",
    "stripe_events": "SELECT, INSERT, UPDATE, DELETE",
    "journal_contents": "SELECT (org_id, job_id, created_at), DELETE",
    "checkpoints": "SELECT (org_id, job_id, created_at), DELETE",
}
"""Admission, sweeping and leases need jobs; routing needs installations and repositories; finding the tenant of a
credential needs keys, logins, invitations and memberships; `organizations` is where a new tenant begins. Of people it
sees neither name nor address; of journals and logs whose they are and how old, to let go of them, and no text.
Of billing it sees whose customer somebody is at the payment provider, and the meter events: how many of what."""

LOCK_MIGRATION = "SELECT pg_advisory_xact_lock(1633641316)"
"""Two processes never migrate a database, or lay its grants, at once: the second one waits."""

CREATE_ROLES = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') THEN CREATE ROLE {OWNER} NOLOGIN; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP}') THEN CREATE ROLE {APP} LOGIN; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{SYSTEM}') THEN CREATE ROLE {SYSTEM} LOGIN; END IF;
    EXECUTE format('GRANT {OWNER} TO %I', current_user);
END $$
"""


_KEYED = "(SELECT NULLIF(current_setting('aicd.org_id', true), '')::uuid)"
"""The tenant of the transaction, or null. In brackets it is worked out once for a query, not once for a row."""


def walls_of(table: str) -> Iterator[str]:
    """Statements that put the database's wall around one table that has none."""
    if table in OPEN:
        return
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
    yield from _policies_of_logins(table) if table in GLOBAL else _policies_of_tenants(table)


def _policies_of_logins(table: str) -> Iterator[str]:
    nobodys = f"{_KEYED} IS NULL"
    yield f"CREATE POLICY accounts ON {table} TO {APP} USING ({nobodys}) WITH CHECK ({nobodys})"
    if table in SYSTEM_GRANTS:
        yield f"CREATE POLICY system ON {table} TO {SYSTEM} USING (true) WITH CHECK (true)"


def _policies_of_tenants(table: str) -> Iterator[str]:
    mine = f"{'id' if table == 'organizations' else 'org_id'} = {_KEYED}"
    yield f"CREATE POLICY tenant ON {table} TO {APP}, {OWNER} USING ({mine}) WITH CHECK ({mine})"
    if table in SYSTEM_GRANTS:
        yield f"CREATE POLICY system ON {table} TO {SYSTEM} USING (true) WITH CHECK (true)"


def grants_of(table: str) -> Iterator[str]:
    """Statements that give each role exactly what it may do with one table."""
    yield f"ALTER TABLE {table} OWNER TO {OWNER}"
    yield f"REVOKE ALL ON {table} FROM PUBLIC, {APP}, {SYSTEM}"
    if table == "alembic_version":
        yield f"GRANT SELECT ON {table} TO {APP}, {SYSTEM}"
    elif table not in CLOSED:
        rights = "SELECT, INSERT" + ("" if table in APPEND_ONLY else ", UPDATE")
        rights += "" if table in APPEND_ONLY | GLOBAL else ", DELETE"
        yield f"GRANT {rights} ON {table} TO {APP}"
    if table in SYSTEM_GRANTS:
        yield f"GRANT {SYSTEM_GRANTS[table]} ON {table} TO {SYSTEM}"


INSTALLATION = "aicd installation "
"""How the comment on the schema begins that names the installation, so that a backup is not taken for another's."""

SCHEMA_GRANTS = (
    f"""
    DO $$ BEGIN
        IF obj_description('public'::regnamespace, 'pg_namespace') LIKE '{INSTALLATION}%' THEN RETURN; END IF;
        EXECUTE format('COMMENT ON SCHEMA public IS %L', '{INSTALLATION}' || gen_random_uuid());
    END $$
    """,
    # A temporary table outlives its transaction on a pooled connection, and could stand in the way of a real one.
    "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    f"GRANT ALL ON SCHEMA public TO {OWNER}",
    f"GRANT USAGE ON SCHEMA public TO {APP}, {SYSTEM}",
)
