"""Jobs, pull requests and ledger entries by the thousand, put into the database past all walls."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg

from aicd_core.contracts import Usage
from aicd_core.ids import JobId, new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.testing.databases import TestUrls

_REPOSITORY = """
    INSERT INTO repositories (id, org_id, source, enabled) VALUES (%(repository)s, %(org)s, %(repository)s::text, true)
"""
_JOB = """
    INSERT INTO jobs (id, org_id, repository_id, state, version, round, plan_attempts, agent, title, body, issue_key,
        base_branch, base_sha, seconds_worked, time_limit)
    VALUES (%(job)s, %(org)s, %(repository)s, %(state)s, 0, 1, 0, 'dummy', 'title', 'body', %(job)s::text,
        'main', repeat('a', 40), 0, 60)
"""
_EVENT = """
    INSERT INTO job_events (org_id, job_id, version, event, state, detail, created_at)
    VALUES (%(org)s, %(job)s, %(version)s, %(event)s, %(state)s, '{}', %(at)s)
"""
_ENTRIES = """
    WITH made AS (
        SELECT number, sha256(number::text::bytea) AS hash,
            (%(models)s::text[])[1 + number %% cardinality(%(models)s::text[])] AS model,
            %(at)s::timestamptz + number * %(gap)s::interval AS at
        FROM generate_series(1, %(count)s) AS number
    ), calls AS (
        INSERT INTO model_calls (org_id, job_id, step, number, request_hash, model, prompts, request_sha256,
            reply_sha256, shared, request_pieces, reply_pieces, created_at)
        SELECT %(org)s, %(job)s, 'plan', number, hash, model, '[]', hash, hash, 0, '{}', '{}', at
        FROM made WHERE model <> ''
    )
    INSERT INTO usage_entries (org_id, job_id, entry_key, input_tokens, cached_input_tokens, cache_write_tokens,
        output_tokens, cost_micro_usd, created_at)
    SELECT %(org)s, %(job)s, 'call/plan/' || number || '/' || encode(hash, 'hex'), 100 + number %% 900,
        (number %% 3) * 1000, (number %% 5) * 7, 1 + number %% 50, 5, at
    FROM made
"""
_CALL = """
    INSERT INTO model_calls (org_id, job_id, step, number, request_hash, model, prompts, request_sha256, reply_sha256,
        shared, request_pieces, reply_pieces, created_at)
    VALUES (%(org)s, %(job)s, 'plan', %(number)s, %(hash)s, %(model)s, '[]', '', '', 0, '{}', '{}', %(at)s)
"""
_ENTRY = """
    INSERT INTO usage_entries (org_id, job_id, entry_key, input_tokens, cached_input_tokens, cache_write_tokens,
        output_tokens, cost_micro_usd, created_at)
    VALUES (%(org)s, %(job)s, %(key)s, %(input_tokens)s, %(cached_input_tokens)s,
        %(cache_write_tokens)s, %(output_tokens)s, %(cost_micro_usd)s, %(at)s)
"""
_COUNTS = """
    SELECT coalesce(sum(input_tokens), 0), coalesce(sum(cached_input_tokens), 0), coalesce(sum(cache_write_tokens), 0),
        coalesce(sum(output_tokens), 0)
    FROM usage_entries WHERE org_id = %(org)s
"""
_CUSTOMER = "UPDATE billing_accounts SET customer = %(customer)s WHERE org_id = %(org)s"
_SINCE = "UPDATE billing_accounts SET billed_from = %(at)s WHERE org_id = %(org)s"
_TRIAL = "UPDATE billing_accounts SET trial_end = %(at)s WHERE org_id = %(org)s"
_CREDIT = "UPDATE billing_accounts SET credit_pico_usd = %(credit)s WHERE org_id = %(org)s"


@dataclass(frozen=True)
class LedgerWriter:
    """Writes the jobs and the ledger of one organization."""

    urls: TestUrls
    tenant: Tenant

    def job(self, state: str = "coding") -> JobId:
        """A job in a repository of its own."""
        job, repository = new_uuid(), new_uuid()
        with psycopg.connect(self.urls.admin) as connection:
            named = {"org": self.tenant.org_id, "repository": repository, "job": job, "state": state}
            connection.execute(_REPOSITORY, named)
            connection.execute(_JOB, named)
        return JobId(job)

    def event(self, job: UUID, version: int, event: str, state: str, at: datetime) -> None:
        """One event of a job."""
        named = {"org": self.tenant.org_id, "job": job, "version": version, "event": event, "state": state, "at": at}
        with psycopg.connect(self.urls.admin) as connection:
            connection.execute(_EVENT, named)

    def entries(self, job: UUID, count: int, at: datetime, models: tuple[str, ...] = ("",), gap: str = "1 ms") -> None:
        """So many entries, one after the other from a moment on, of the models in turn; "" is a call nobody knows."""
        named = {"org": self.tenant.org_id, "job": job, "count": count, "at": at, "models": [*models], "gap": gap}
        with psycopg.connect(self.urls.admin) as connection:
            connection.execute(_ENTRIES, named)

    def use(self, job: UUID, number: int, at: datetime, model: str, usage: Usage) -> None:
        """One call of a model and its entry, the `number`th of the job; "" is a call nobody knows."""
        asked = hashlib.sha256(str(number).encode())
        named = {"org": self.tenant.org_id, "job": job, "number": number, "at": at, "model": model}
        named |= {"hash": asked.digest(), "key": f"call/plan/{number}/{asked.hexdigest()}"}
        with psycopg.connect(self.urls.admin) as connection:
            if model:
                connection.execute(_CALL, named)
            connection.execute(_ENTRY, {**named, **usage.model_dump()})

    def counts(self) -> tuple[int, ...]:
        """Input, cached input, cache write and output tokens on the ledger."""
        with psycopg.connect(self.urls.admin) as connection:
            return tuple(map(int, connection.execute(_COUNTS, {"org": self.tenant.org_id}).fetchone() or ()))

    def end_trial(self, at: datetime) -> None:
        """The account's trial ended then."""
        with psycopg.connect(self.urls.admin) as connection:
            connection.execute(_TRIAL, {"org": self.tenant.org_id, "at": at})

    def set_account(self, customer: str, since: datetime, credit_pico_usd: int = 0) -> None:
        """Names the account's customer, since when it is charged, and what credit it has."""
        with psycopg.connect(self.urls.admin) as connection:
            connection.execute(_CUSTOMER, {"org": self.tenant.org_id, "customer": customer})
            connection.execute(_SINCE, {"org": self.tenant.org_id, "at": since})
            connection.execute(_CREDIT, {"org": self.tenant.org_id, "credit": credit_pico_usd})
