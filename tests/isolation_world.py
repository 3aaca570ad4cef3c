"""Two tenants with a row of their own in every tenant table, and a third who was never there.

What a function is asked for stands in a `Who`: its ids and natural keys. The rival's rows hold only values that occur
nowhere else, so that anything of them that comes back is recognised.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, create_engine, insert, text
from sqlalchemy.engine import Engine, make_url

from aicd_core.contracts import ChangeSet, ModelRequest
from aicd_core.deliveries.models import DeliveryState
from aicd_core.ids import JobId, RepositoryId, new_uuid
from aicd_core.jobs.log.values import LogKind
from aicd_core.jobs.machine import JobEvent, JobState, JobStatus
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView, NewJob
from aicd_core.journal.pieces import name_of, pack
from aicd_core.migrations.roles import CLOSED, GLOBAL
from aicd_core.migrations.tables import METADATA
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.organizations.models import PlanApproval
from aicd_core.tenancy.permissions import Role
from aicd_core.usage.billing.models import (
    AccountStatus,
    AdjustmentKind,
    BillingMode,
    ChargeKind,
    EventState,
    ExportState,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=3650)
SHA = "a" * 40
HOST = "https://api.example.org"
TENANT_TABLES = tuple(
    table for table in METADATA.sorted_tables if table.name not in GLOBAL | CLOSED and table.name != "erased_ledgers"
)

ALL_TABLES = (*TENANT_TABLES, METADATA.tables["erased_ledgers"])
"""With the one that only the tables' owner reaches."""

ID_KINDS = (
    *("org", "user", "membership", "invitation", "session", "api_key", "installation", "repository", "policy"),
    *("secret", "delivery", "job", "request", "export"),
)


@dataclass(frozen=True)
class Who:
    """Everything by which one tenant's rows can be named. `number` stands for keys that are numbers."""

    name: str
    number: int
    ids: Mapping[str, Any] = field(default_factory=lambda: {kind: new_uuid() for kind in ID_KINDS})

    @property
    def tenant(self) -> Tenant:
        return Tenant(self.ids["org"])

    def digest(self, what: str) -> bytes:
        return hashlib.sha256(f"{self.name}/{what}".encode()).digest()

    def word(self, what: str) -> str:
        return f"{self.name}-{what}"

    @property
    def email(self) -> str:
        return f"{self.name}@example.org"

    @property
    def source(self) -> str:
        return f"/srv/{self.name}"

    @property
    def constant(self) -> str:
        return f"{self.name.upper()}_KEY"

    @property
    def new_job(self) -> NewJob:
        parts = (self.word("agent"), self.word("title"), self.word("body"), "main", SHA, 60.0)
        return NewJob(RepositoryId(self.ids["repository"]), *parts)

    @property
    def job_view(self) -> JobView:
        new, status = self.new_job, JobStatus(JobState.CODING, 0, 0, None)
        return JobView(
            *(JobId(self.ids["job"]), self.tenant.org_id, new.repository_id, status, 0, new.agent, new.title, new.body),
            *("main", SHA, None, None, 0.0, 60.0, self.word("owner"), LATER, 0, None, None, None, NOW, NOW),
        )

    @property
    def change_set(self) -> ChangeSet:
        return ChangeSet(base_sha=SHA, tree_sha=SHA, files=(), patch=self.digest("patch"))

    @property
    def request(self) -> ModelRequest:
        return ModelRequest(model="m", content=self.digest("asked"))

    def named(self) -> dict[str, str]:
        """Every text that names this tenant's rows, by what it stands for."""
        return {str(value): f"<{kind}>" for kind, value in self.ids.items()} | {
            self.name: "<name>",
            self.name.upper(): "<NAME>",
            **{repr(self.digest(what)): f"<{what} hash>" for what in ("invitation", "api_key", "session", "delivery")},
        }


Row = Callable[[Who], dict[str, Any]]


def _job_parts(who: Who) -> dict[str, Any]:
    new = who.new_job
    return {
        "repository_id": new.repository_id,
        "state": JobState.CODING,
        "version": 0,
        "round": 0,
        "plan_attempts": 0,
        "agent": new.agent,
        "title": new.title,
        "body": new.body,
        "issue_key": new.issue_key,
        "base_branch": "main",
        "base_sha": SHA,
        "seconds_worked": 0.0,
        "time_limit": 60.0,
        "lease_owner": who.word("owner"),
        "lease_until": LATER,
    }


def _counters(who: Who) -> dict[str, int]:
    names = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "cost_micro_usd")
    return dict.fromkeys(names, who.number)


ROWS: dict[str, Row] = {
    "organizations": lambda who: {"slug": who.name, "name": who.word("organization"), "revision": 1},
    "organization_settings": lambda who: {
        "agent": who.word("agent"),
        "max_concurrent_jobs": 5,
        "plan_approval": PlanApproval.NEVER,
        "revision": 1,
        "monthly_budget": who.number,
    },
    "billing_accounts": lambda who: {
        "provider": "stripe",
        "mode": BillingMode.TEST,
        "customer": who.word("customer"),
        "subscription": who.word("subscription"),
        "plan": "per_token",
        "status": AccountStatus.ACTIVE,
        "billed_from": NOW - timedelta(days=3650),
        "credit_pico_usd": 0,
        "hard_cap": who.number,
        "revision": 1,
    },
    "billing_exports": lambda who: {
        "mode": BillingMode.TEST,
        "customer": who.word("customer"),
        "meter": who.word("meter"),
        "identifier": who.word("identifier"),
        "quantity": who.number,
        "charges": 1,
        "occurred_at": NOW,
        "state": ExportState.SENT,
        "sent_at": NOW,
    },
    "billing_charges": lambda who: {
        "job_id": who.ids["job"],
        "kind": ChargeKind.PULL_REQUEST,
        "subject": who.word("charge"),
        "meter": who.word("meter"),
        "plan": "per_token",
        "quantity": who.number,
        "billable": who.number,
        "unit_pico_usd": who.number,
        "occurred_at": NOW,
    },
    "billing_adjustments": lambda who: {
        "kind": AdjustmentKind.CANCEL,
        "export_id": who.ids["export"],
        "subject": who.word("adjustment"),
        "reason": who.word("reason"),
        "detail": {"who": who.name},
        "made_by": who.word("maker"),
    },
    "billing_reconciliations": lambda who: {
        "day": NOW.date(),
        "meter": who.word("meter"),
        **dict.fromkeys(("ledger", "charged", "billable", "sent", "provider"), who.number),
        "differs": True,
    },
    "stripe_events": lambda who: {
        "mode": BillingMode.TEST,
        "external_id": who.word("event"),
        "kind": "invoice.paid",
        "customer": who.word("customer"),
        "body": who.digest("event"),
        "state": EventState.RECEIVED,
        "occurred_at": NOW,
        "due_at": NOW,
    },
    "standings": lambda who: {
        "code": "stopped",
        "reason": who.word("reason"),
        "pull_requests": 5,
        "limit_code": "enough",
        "limit_reason": who.word("limit"),
        "since": NOW,
    },
    "memberships": lambda who: {"user_id": who.ids["user"], "role": Role.OWNER, "revision": 1},
    "invitations": lambda who: {
        "email": who.email,
        "role": Role.VIEWER,
        "token_hash": who.digest("invitation"),
        "expires_at": LATER,
        "invited_by": who.ids["user"],
    },
    "api_keys": lambda who: {
        "name": who.word("key"),
        "prefix": who.word("prefix"),
        "key_hash": who.digest("api_key"),
        "scopes": ["jobs:read"],
        "created_by": who.ids["user"],
        "expires_at": LATER,
        "replaces": who.ids["api_key"],
    },
    "installations": lambda who: {
        "host": HOST,
        "external_id": who.number,
        "account": who.word("account"),
    },
    "repositories": lambda who: {
        "source": who.source,
        "installation_id": who.ids["installation"],
        "enabled": True,
        "external_id": who.number,
        "revision": 1,
    },
    "policies": lambda who: {"version": 1, "rules": {"note": who.name}, "note": who.word("note")},
    "secrets": lambda who: {"name": who.constant, "key_id": "first", "ciphertext": who.digest("secret"), "revision": 1},
    "deliveries": lambda who: {
        "source": "github",
        "external_id": who.word("delivery"),
        "event": "issues",
        "body": who.digest("body"),
        "body_hash": who.digest("delivery"),
        "state": DeliveryState.RECEIVED,
        "attempts": 0,
    },
    "jobs": _job_parts,
    "job_events": lambda who: {
        "job_id": who.ids["job"],
        "version": 0,
        "event": JobEvent.PUBLISHED,
        "state": JobState.QUEUED,
        "detail": {"reason": who.name},
    },
    "job_log": lambda who: {
        "job_id": who.ids["job"],
        "said_at": NOW,
        "kind": LogKind.MESSAGE,
        "text": who.word("line"),
    },
    "artifacts": lambda who: {
        "job_id": who.ids["job"],
        "kind": ArtifactKind.PLAN,
        "round": 0,
        "content": who.digest("artifact"),
    },
    "checkpoints": lambda who: {
        "job_id": who.ids["job"],
        "round": 0,
        "number": 0,
        "calls": 1,
        "change_set": who.change_set.model_dump_json().encode(),
        "history": b"[]",
    },
    "model_calls": lambda who: {
        "job_id": who.ids["job"],
        "step": "plan",
        "number": 0,
        "request_hash": who.request.digest(),
        "model": who.request.model,
        "prompts": [
            {"role": "r", "name": who.name, "version": 1, "sha256": who.digest("prompt").hex().ljust(64, "0")[:64]}
        ],
        "request_sha256": name_of(who.request.content),
        "reply_sha256": name_of(who.digest("reply")),
        "shared": 0,
        "request_pieces": [name_of(who.request.content)],
        "reply_pieces": [name_of(who.digest("reply"))],
    },
    "journal_contents": lambda who: {
        "job_id": who.ids["job"],
        "sha256": name_of(who.digest("reply")),
        "packed": pack(who.digest("reply")),
    },
    "usage_entries": lambda who: {"job_id": who.ids["job"], "entry_key": "plan/0", **_counters(who)},
    "spending": lambda who: {"subject": f"job/{who.ids['job']}", "micro_usd": who.number},
    "reservations": lambda who: {
        "job_id": who.ids["job"],
        "entry_key": "plan/0",
        "owner": who.word("owner"),
        "micro_usd": who.number,
    },
    "named_requests": lambda who: {
        "caller": who.word("caller"),
        "name_hash": who.digest("request name"),
        "fingerprint": who.digest("request"),
        "claim": who.ids["request"],
        "claimed_until": LATER,
        "done": False,
        "answer": who.digest("answer"),
        "expires_at": LATER,
    },
    "audit_log": lambda who: {
        "actor_kind": ActorKind.USER,
        "actor_id": str(who.ids["user"]),
        "action": "job.cancelled",
        "target_kind": "job",
        "target_id": str(who.ids["job"]),
        "detail": {"who": who.name},
    },
}
"""One row of each table, less its key and its org_id. A table that is missing here fails the tests by name."""

SINGULAR = {
    **{f"{kind}s": kind for kind in ID_KINDS},
    "organizations": "org",
    "repositories": "repository",
    "policies": "policy",
    "deliveries": "delivery",
    "billing_exports": "export",
}


def row_of(table: Table, who: Who) -> dict[str, Any]:
    """The values of the tenant's row in a table, keys and all."""
    values = ROWS[table.name](who)
    if table.name != "organizations":
        values["org_id"] = who.ids["org"]
    if table.name in SINGULAR:
        values["id"] = who.ids[SINGULAR[table.name]]
    return values


@dataclass(frozen=True)
class World:
    """Us, the rival, and nobody: ids and keys that no row has."""

    us: Who
    rival: Who
    nobody: Who


def engine_of(url: str) -> Engine:
    """A plain engine for statements that go around the application."""
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"))


def seed(url: str) -> World:
    """Fills every tenant table with a row of us and a row of the rival, as the superuser."""
    world = World(Who("acme", 11), Who("rival", 7919), Who("nobody", 104729))
    engine = engine_of(url)
    with engine.begin() as connection:
        for who in (world.us, world.rival, world.nobody):
            user = {"id": who.ids["user"], "email": who.email, "email_verified": True, "name": who.word("user")}
            connection.execute(insert(METADATA.tables["users"]).values(**user, revision=1))
            # People are of no tenant: whether a user exists is no secret of anybody's organization.
            for table in TENANT_TABLES if who is not world.nobody else ():
                connection.execute(insert(table).values(**row_of(table, who)))
    engine.dispose()
    return world


def key_of(table: Table) -> str:
    """The column that says whose a row is."""
    return "id" if table.name == "organizations" else "org_id"


def snapshot(connection: Connection, who: Who, tables: Iterable[Table] = TENANT_TABLES) -> dict[str, list[str]]:
    """Every row that a tenant has, by table, as text."""
    rows: dict[str, list[str]] = {}
    for table in tables:
        query = text(f"SELECT to_jsonb(t)::text FROM {table.name} t WHERE {key_of(table)} = :org ORDER BY 1")
        rows[table.name] = list(connection.execute(query, {"org": who.ids["org"]}).scalars())
    return rows
