"""The database that every run begins with: organizations, their repositories, and finished jobs."""

import psycopg

from race.spec import SHA, TENANTS

LIMIT = 1000
"""Jobs that each organization may have at work: what is measured is not its limit."""
EVENTS = ("queued", "planning", "coding", "reviewing", "pr_open", "merged")

WORLD = f"""
INSERT INTO organizations (id, slug, name, revision)
    SELECT pg_temp.key(1, n), 'org-' || n, 'Organization ' || n, 1 FROM generate_series(0, {TENANTS - 1}) n;
INSERT INTO organization_settings (org_id, agent, max_concurrent_jobs, plan_approval, revision)
    SELECT pg_temp.key(1, n), 'dummy', {LIMIT}, 'never', 1 FROM generate_series(0, {TENANTS - 1}) n;
INSERT INTO repositories (id, org_id, source)
    SELECT pg_temp.key(2, n), pg_temp.key(1, n), '/srv/repo-' || n FROM generate_series(0, {TENANTS - 1}) n;
"""
FINISHED = f"""
INSERT INTO jobs (id, org_id, repository_id, state, version, round, plan_attempts, agent, title, body, issue_key,
                  base_branch, base_sha, seconds_worked, time_limit)
    SELECT pg_temp.key(3, n), pg_temp.key(1, n %% {TENANTS}), pg_temp.key(2, n %% {TENANTS}), 'merged',
           {len(EVENTS) - 1}, 1, 0, 'dummy', 'Title ' || n, repeat('body ', 40), lpad(n::text, 64, '0'), 'main',
           '{SHA}', 0, 3600
    FROM generate_series(%(first)s, %(last)s - 1) n;
INSERT INTO job_events (org_id, job_id, version, state, detail)
    SELECT pg_temp.key(1, n %% {TENANTS}), pg_temp.key(3, n), e.version - 1, e.state, '{{}}'
    FROM generate_series(%(first)s, %(last)s - 1) n,
         unnest(ARRAY[{", ".join(f"'{state}'" for state in EVENTS)}]) WITH ORDINALITY AS e (state, version);
"""
KEY = """
CREATE FUNCTION pg_temp.key(kind int, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid $$
"""


def make_world(admin_url: str) -> None:
    """The organizations with their repositories."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(KEY.encode())
        for statement in filter(str.strip, WORLD.split(";\n")):
            connection.execute(statement.encode())


def add_finished(admin_url: str, first: int, last: int) -> None:
    """Finished jobs number `first` to `last` with their whole history, and what autovacuum would do after them."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for setting in ("session_replication_role = replica", "synchronous_commit = off"):
            connection.execute(f"SET {setting}".encode())
        connection.execute(KEY.encode())
        for statement in filter(str.strip, FINISHED.split(";\n")):
            connection.execute((statement % {"first": first, "last": last}).encode())
        connection.execute(b"VACUUM (ANALYZE)")
