"""Every function of every `repository.py` that takes a tenant, found by introspection, and arguments to call it with.

Arguments come from parameters: a known type or a known name has a recipe here. A function with a parameter that nobody
described fails the isolation test, which names both.
"""

import importlib
import inspect
import types
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from aicd_core import ids
from aicd_core.contracts import Usage, Wake
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import PageRequest, cursor_of
from aicd_core.db.sessions import AccountsSession, ReadSession, SystemReadSession, SystemSession, WriteSession
from aicd_core.deliveries.values import HANDLED, DeliveryView, NewDelivery
from aicd_core.deliveries.values import Outcome as DeliveryOutcome
from aicd_core.jobs.leases.values import Demand, Renewal
from aicd_core.jobs.lists.values import JobFilter
from aicd_core.jobs.log.values import LogKind, NewLine
from aicd_core.jobs.looks.values import Look
from aicd_core.jobs.machine import JobEvent, decide
from aicd_core.jobs.models import Artifact, ArtifactKind
from aicd_core.jobs.values import NewJob, Transition
from aicd_core.journal.texts import Known, Texts
from aicd_core.journal.values import Call, Checkpoint
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.values import Client, NewSession, UserFields
from aicd_core.tenancy.api_keys.values import KeySpec, NewKey
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor, AuditFilter
from aicd_core.tenancy.idempotency.values import RequestClaim, RequestName
from aicd_core.tenancy.installations.values import InstallationFacts
from aicd_core.tenancy.invitations.values import NewInvitation
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.tenancy.permissions import Permission, Role
from aicd_core.tenancy.secrets.values import SealedSecret
from aicd_core.tenancy.standings.values import Limit, Standing, Why
from aicd_core.usage.budgets.values import Hold
from isolation_world import HOST, LATER, NOW, Who

ROOT = Path(__file__).parents[1]
Recipe = Callable[[Who], Any]
SESSIONS = (ReadSession, WriteSession, AccountsSession, SystemReadSession, SystemSession)
NO_TABLES = frozenset(
    {
        "aicd_core.backups.log.repository",
        "aicd_core.backups.repository",
        "aicd_core.db.repository",
        "aicd_core.migrations.repository",
        "aicd_core.testing.chaos.repository",
    }
)
"""SQL about whole databases, the connection and the schema's version, not about rows; and the tests' own looks past
every wall. Backups have a role of the operator's, whom no wall is meant to stop, and no session of the product's."""


@dataclass(frozen=True)
class Found:
    """One repository function: its name below `aicd_core`, itself, its session's type, whether it takes a tenant."""

    name: str
    call: Callable[..., Any]
    session: type[AsyncSession]
    takes_tenant: bool

    def hints(self) -> dict[str, Any]:
        """The parameters that need an argument of ours, with their types."""
        kinds = {name: _plain(kind) for name, kind in inspect.get_annotations(self.call).items() if name != "return"}
        return {name: kind for name, kind in kinds.items() if kind is not Tenant and kind not in SESSIONS}


def _plain(kind: Any) -> Any:
    """A type without `| None`; of other unions and of generics the first, outer one."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return _plain(next(part for part in typing.get_args(kind) if part is not type(None)))
    return typing.get_origin(kind) or kind


def discover() -> list[Found]:
    """All public functions of every `repository.py` of the product that has rows to do with.

    Raises:
        AssertionError: a module holds a class or a plain function, into which this cannot look.
    """
    found = []
    for file in sorted(ROOT.glob("*/*/src/**/repository.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts[3:])
        if module not in NO_TABLES:
            found += functions_of(importlib.import_module(module))
    return found


def functions_of(module: types.ModuleType) -> list[Found]:
    """The public functions that a module defines, raising as `discover` does."""
    found = []
    for name, call in vars(module).items():
        own = getattr(call, "__module__", "") == module.__name__ and callable(call)
        if name.startswith("_") or not own:
            continue
        assert inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call), (
            f"{module.__name__}.{name} has no coverage in the isolation test: in a repository.py a public name is an "
            "async function, which can be called with a session."
        )
        kinds = [_plain(kind) for part, kind in inspect.get_annotations(call).items() if part != "return"]
        session = next((kind for kind in kinds if kind in SESSIONS), AsyncSession)
        short = f"{module.__name__.removeprefix('aicd_core.').removesuffix('.repository')}.{name}"
        found.append(Found(short, call, session, Tenant in kinds))
    return found


def _cursor(who: Who) -> PageRequest:
    return PageRequest(limit=50) if who.name == "acme" else PageRequest(limit=50, cursor=cursor_of(who.ids["job"]))


def _transition(who: Who) -> Transition:
    event = JobEvent.FAILED
    return Transition(who.job_view, event, decide(who.job_view.status, event), code="x", reason=who.word("reason"))


def _request(who: Who) -> RequestClaim:
    name = RequestName(who.word("caller"), who.digest("request name"))
    return RequestClaim(name, who.digest("request"), who.ids["request"], LATER, LATER)


BY_TYPE: dict[Any, Recipe] = {
    ids.OrgId: lambda who: who.ids["org"],
    ids.UserId: lambda who: who.ids["user"],
    ids.MembershipId: lambda who: who.ids["membership"],
    ids.InvitationId: lambda who: who.ids["invitation"],
    ids.SessionId: lambda who: who.ids["session"],
    ids.ApiKeyId: lambda who: who.ids["api_key"],
    ids.InstallationId: lambda who: who.ids["installation"],
    ids.RepositoryId: lambda who: who.ids["repository"],
    ids.PolicyId: lambda who: who.ids["policy"],
    ids.SecretId: lambda who: who.ids["secret"],
    ids.DeliveryId: lambda who: who.ids["delivery"],
    ids.JobId: lambda who: who.ids["job"],
    NewJob: lambda who: who.new_job,
    Transition: _transition,
    Demand: lambda who: Demand((who.word("new owner"),), 30.0, only=who.ids["job"], dead=(who.word("owner"),)),
    Renewal: lambda who: Renewal(who.ids["job"], who.word("owner"), 1.5),
    Look: lambda who: Look(who.ids["org"], who.ids["job"], LATER),
    Wake: lambda who: Wake(org_id=who.tenant.org_id, job_id=who.ids["job"], key=who.word("key")),
    PageRequest: _cursor,
    NewInvitation: lambda who: NewInvitation(
        who.email, Role.VIEWER, who.digest("new invitation"), who.ids["user"], LATER
    ),
    NewKey: lambda who: NewKey(
        KeySpec(who.word("key"), frozenset({Permission.JOBS_READ}), LATER),
        *(who.word("fresh"), who.digest("new key"), who.ids["user"], who.ids["api_key"]),
    ),
    SealedSecret: lambda who: SealedSecret(who.constant, "second", who.digest("new secret")),
    SettingsValues: lambda who: SettingsValues(agent=who.word("agent"), max_concurrent_jobs=7),
    Hold: lambda who: Hold(who.word("owner"), "plan/1", 1),
    Standing: lambda who: Standing(
        NOW, Why("stopped", who.word("new reason")), Limit(3, Why("enough", who.word("new limit")))
    ),
    Usage: lambda who: Usage(input_tokens=1, output_tokens=1, cost_micro_usd=1),
    Call: lambda who: Call("plan", 0, who.request),
    Texts: lambda who: Known().texts("plan", "m", who.request.content, who.digest("new reply")),
    Checkpoint: lambda who: Checkpoint(0, 1 if who.name == "acme" else 0, 0, who.change_set, who.digest("history")),
    ArtifactKind: lambda who: ArtifactKind.PLAN,
    UserFields: lambda who: UserFields(f"new-{who.email}", True, who.word("user")),
    NewSession: lambda who: NewSession(
        who.ids["user"], who.digest("session"), Client("browser", "::1"), NOW, LATER, LATER
    ),
    InstallationFacts: lambda who: InstallationFacts(HOST, who.number, who.word("account"), None, LATER),
    NewDelivery: lambda who: NewDelivery(
        "github", who.word("delivery"), "issues", who.digest("body"), HOST, who.number
    ),
    DeliveryView: lambda who: DeliveryView(
        *(who.ids["delivery"], who.tenant.org_id, "github", who.word("delivery"), "issues", who.number, None, b"{}", 0),
        NOW,
    ),
    DeliveryOutcome: lambda who: HANDLED,
    RequestName: lambda who: _request(who).name,
    RequestClaim: _request,
    JobFilter: lambda who: JobFilter(),
    AuditFilter: lambda who: AuditFilter(),
    Actor: lambda who: Actor(ActorKind.USER, str(who.ids["user"])),
}

BY_NAME: dict[str, Recipe] = {
    "host": lambda who: HOST,
    "external_id": lambda who: who.number,
    "sources": lambda who: ("github",),
    "code": lambda who: "away",
    "reason": lambda who: "It is away.",
    "removed_at": lambda who: NOW,
    "issue_key": lambda who: who.new_job.issue_key,
    "owner": lambda who: who.word("owner"),
    "wake": lambda who: False,
    "seconds": lambda who: 30.0,
    "after": lambda who: 30.0,
    "most": lambda who: 10,
    "states": lambda who: ("coding",),
    "before": lambda who: LATER,
    "delay_ms": lambda who: 0,
    "renewals": lambda who: (Renewal(who.ids["job"], who.word("owner"), 1.5),),
    "owners": lambda who: (who.word("owner"),),
    "time_limit": lambda who: 90.0,
    "cost_limit": lambda who: 5,
    "issue_budget": lambda who: 5,
    "monthly_budget": lambda who: 5,
    "number": lambda who: 0,
    "content": lambda who: b"content",
    "reply": lambda who: b"reply",
    "entry_key": lambda who: "plan/0",
    "source": lambda who: who.source,
    "base_branch": lambda who: "develop",
    "email": lambda who: who.email,
    "limit": lambda who: 50,
    "revision": lambda who: 1,
    "now": lambda who: NOW,
    "expires_at": lambda who: LATER,
    "action": lambda who: "job.cancelled",
    "target": lambda who: ("job", str(who.ids["job"])),
    "detail": lambda who: {"who": who.name},
    "name": lambda who: who.word("new name"),
    "since": lambda who: NOW - timedelta(days=3650),
    "until": lambda who: LATER,
    "disconnected": lambda who: False,
    "model": lambda who: Artifact,
    "withheld": lambda who: frozenset(),
    "version": lambda who: 1,
    "enabled": lambda who: False,
    "note": lambda who: who.word("note"),
    "rules": lambda who: {"note": who.name},
    "prefix": lambda who: who.word("prefix"),
    "scopes": lambda who: ("jobs:read",),
    "job_ids": lambda who: (who.ids["job"],),
    "slug": lambda who: who.name,
    "issuer": lambda who: "https://login.test",
    "subject": lambda who: who.word("subject"),
    "token_hash": lambda who: who.digest("session"),
    "old_hash": lambda who: who.digest("session"),
    "new_hash": lambda who: who.digest("new session"),
}

BY_FUNCTION: dict[tuple[str, str], Recipe] = {
    ("tenancy.audit.list_entries", "page"): lambda who: (
        PageRequest() if who.name == "acme" else PageRequest(cursor=cursor_of(who.number))
    ),
    # Nobody's number: of one that a rival has, only a code host's verified message speaks.
    ("tenancy.installations.insert_installation", "facts"): lambda who: InstallationFacts(
        HOST, 15485863, who.word("account"), None, LATER
    ),
    ("tenancy.installations.insert_installation", "removed_at"): lambda who: None,
    ("tenancy.secrets.*", "name"): lambda who: who.constant,
    ("tenancy.secrets.*", "key_id"): lambda who: "second",
    ("tenancy.invitations.*", "token_hash"): lambda who: who.digest("invitation"),
    ("tenancy.invitations.revoke_expired", "now"): lambda who: LATER + timedelta(days=1),
    ("tenancy.policies.list_versions", "page"): lambda who: (
        PageRequest() if who.name == "acme" else PageRequest(cursor=cursor_of(who.number))
    ),
    ("tenancy.idempotency.*", "now"): lambda who: LATER,
    ("tenancy.idempotency.*", "answer"): lambda who: who.digest("new answer"),
    ("tenancy.policies.insert_version", "version"): lambda who: 2,
    # Ours is stored already; a second one of the same round would change nothing.
    ("jobs.artifacts.store_artifact", "number"): lambda who: 1 if who.name == "acme" else 0,
    ("jobs.looks.ask_for_looks", "branch"): lambda who: who.new_job.base_branch,
    ("tenancy.repositories.find_spelled", "sources"): lambda who: (who.source,),
    ("jobs.list_events", "since"): lambda who: -1,
    ("jobs.lists.find_events", "page"): lambda who: PageRequest(),
    ("jobs.log.list_lines", "page"): lambda who: PageRequest(),
    ("jobs.log.append_lines", "lines"): lambda who: (
        NewLine(who.ids["job"], NOW, LogKind.MESSAGE, who.word("new line")),
    ),
    ("jobs.lists.*", "until"): lambda who: LATER,
    ("jobs.lists.*", "repository_id"): lambda who: None,
    ("jobs.lists.outcomes_by_span", "span"): lambda who: timedelta(days=7),
    ("journal.list_answered", "step"): lambda who: "plan",
    ("journal.store_call", "call"): lambda who: Call("plan", 1 if who.name == "acme" else 0, who.request),
}
"""Where a name means something else in one function, or in all of a module: (function, parameter)."""

BEFORE = {
    "tenancy.organizations.insert_settings": "DELETE FROM organization_settings WHERE org_id = :org",
    "tenancy.secrets.insert_secret": "DELETE FROM secrets WHERE org_id = :org",
    "tenancy.invitations.insert_invitation": "DELETE FROM invitations WHERE org_id = :org",
    "tenancy.memberships.insert_member": "DELETE FROM memberships WHERE org_id = :org",
    "tenancy.repositories.set_disconnected_at": "UPDATE repositories SET enabled = true WHERE org_id = :org",
}
"""How our own rows have to be before a call can do anything for them."""

NO_ROWS = {
    "portability.become_owner": "Changes the role of the transaction, and row-level security holds that too.",
    "tenancy.memberships.hold_founder": "Reads no row: it waits for others of the same person.",
}
"""Functions of a tenant's session without a tenant, and why they need none."""

AS_OWNER = "portability."
"""Erasing is the tables' owner's work, begun by the superuser: `SET LOCAL ROLE`."""

NOT_ASKED_FOR = frozenset({"state"})
"""Optional filters that would only narrow the answer."""

for _file in sorted(ROOT.glob("*/*/src/*/testing/isolation_recipes.py")):
    # A package whose values nothing here may import has recipes of its own.
    _own = importlib.import_module(".".join(_file.relative_to(ROOT).with_suffix("").parts[3:]))
    BY_TYPE.update(_own.BY_TYPE)
    BY_FUNCTION.update(_own.BY_FUNCTION)
    BEFORE.update(_own.BEFORE)


def recipe_for(function: Found, name: str, kind: Any) -> Recipe | None:
    """How to make the argument for a parameter; None when nobody described it."""
    for scope in (function.name, f"{function.name.rpartition('.')[0]}.*"):
        if (scope, name) in BY_FUNCTION:
            return BY_FUNCTION[scope, name]
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    if name in BY_NAME:
        return BY_NAME[name]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda who: next(iter(kind))
    return (lambda who: NOW) if kind is datetime else None


def arguments(function: Found, who: Who) -> dict[str, Any]:
    """Arguments that name the rows of `who`.

    Raises:
        AssertionError: a parameter has no recipe.
    """
    made = {}
    for name, kind in function.hints().items():
        if name in NOT_ASKED_FOR:
            continue
        recipe = recipe_for(function, name, kind)
        assert recipe is not None, (
            f"{function.name}() has no coverage in the isolation test: describe its parameter {name!r} ({kind}) in "
            "tests/isolation_functions.py."
        )
        made[name] = recipe(who)
    return made


@asynccontextmanager
async def session_for(
    function: Found, tenant: Tenant, database: Database, system: SystemDatabase
) -> AsyncIterator[AsyncSession]:
    """A transaction of the kind that the function wants."""
    if function.session is ReadSession:
        opened: Any = database.read(tenant)
    elif function.session is WriteSession:
        opened = database.write(tenant)
    elif function.session is AccountsSession:
        opened = database.accounts()
    else:
        opened = system.read() if function.session is SystemReadSession else system.write()
    async with opened as session:
        yield session


async def run(function: Found, session: AsyncSession, tenant: Tenant, given: dict[str, Any]) -> Any:
    """What the function returns, read to the end when it is a stream or a result."""
    # Session and tenant are found by their types too, so that their names are free.
    hints = inspect.get_annotations(function.call)
    for name, kind in hints.items():
        if name != "return" and _plain(kind) in SESSIONS:
            given = {name: session, **given}
        elif name != "return" and kind is Tenant:
            given = {name: tenant, **given}
    result = function.call(**given)
    if inspect.isasyncgen(result):
        return [item async for item in result]
    return await result
