"""Two organizations on a fresh database, with a person of every role, and every kind of credential for them."""

import base64
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
from pydantic import SecretStr

from aicd_backend.app import Api, create_app
from aicd_backend.settings import BackendSettings
from aicd_backend.stores import Stores
from aicd_cli.hosts import Hosts
from aicd_cli.readiness import ReadyCheck
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import MAX_PAGE, PageRequest
from aicd_core.ids import UserId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts import logins
from aicd_core.tenancy.accounts.service import create_user
from aicd_core.tenancy.accounts.values import Client, OpenedSession, UserFields, UserView
from aicd_core.tenancy.api_keys import service as keys
from aicd_core.tenancy.api_keys.values import IssuedKey, KeySpec
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.invitations.service import invite
from aicd_core.tenancy.invitations.values import SentInvitation
from aicd_core.tenancy.memberships.service import join
from aicd_core.tenancy.organizations.service import create_organization, delete, set_up_organization
from aicd_core.tenancy.permissions import EVERYTHING, Permission, Role

BASE = "https://api.test"
FRONT_END = "https://app.test"
DEAD_URL = "postgresql://nobody@127.0.0.1:1/none"
KEYS = SecretStr("k1:" + base64.b64encode(bytes(range(32))).decode())
"""AICD_SECRET_KEYS of a server under test."""
SYSTEM = Actor(ActorKind.SYSTEM, "test")
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Org:
    """An organization with a member of each role."""

    slug: str
    tenant: Tenant
    members: Mapping[Role, UserView]


@dataclass
class World:
    """What tests of routes stand on. Everything that a method makes is new."""

    stores: Stores
    app: Api
    client: httpx.AsyncClient
    us: Org
    rival: Org
    numbers: "count[int]" = field(default_factory=count)

    async def open_session(self, user_id: UserId, *, ago: timedelta = timedelta(0)) -> OpenedSession:
        """A login that began a while ago."""
        now, limits = datetime.now(UTC) - ago, self.stores.settings.session_limits
        async with self.stores.database.accounts() as session:
            return await logins.open_session(session, user_id, Client("browser", "127.0.0.1"), limits, now)

    async def as_role(self, role: Role, org: Org | None = None, *, ago: timedelta = timedelta(0)) -> Headers:
        """Headers of a person with this role."""
        opened = await self.open_session((org or self.us).members[role].id, ago=ago)
        return self.as_session(opened)

    def as_session(self, opened: OpenedSession) -> Headers:
        """Headers of a person at a front end of ours."""
        cookie = f"{self.stores.settings.session_cookie}={opened.token.reveal()}"
        return {"Cookie": cookie, "Origin": FRONT_END}

    async def make_key(self, scopes: frozenset[Permission] = EVERYTHING, org: Org | None = None) -> IssuedKey:
        """An API key."""
        spec = KeySpec(f"key {next(self.numbers)}", frozenset(scope.value for scope in scopes))
        tenant = (org or self.us).tenant
        async with self.stores.database.write(tenant) as session:
            return await keys.create_key(session, tenant, SYSTEM, EVERYTHING, spec, datetime.now(UTC))

    async def as_key(self, scopes: frozenset[Permission] = EVERYTHING, org: Org | None = None) -> Headers:
        """Headers of a program with such a key."""
        return bearer(await self.make_key(scopes, org))

    async def as_revoked_key(self) -> Headers:
        """Headers of a program whose key was revoked."""
        issued = await self.make_key()
        async with self.stores.database.write(self.us.tenant) as session:
            await keys.revoke_key(session, self.us.tenant, SYSTEM, issued.key.id, datetime.now(UTC))
        return bearer(issued)

    async def revoke_all_keys(self) -> None:
        """No key of ours is good any more."""
        async with self.stores.database.write(self.us.tenant) as session:
            for key in (await keys.list_keys(session, self.us.tenant, PageRequest(limit=MAX_PAGE))).items:
                if key.revoked_at is None:
                    await keys.revoke_key(session, self.us.tenant, SYSTEM, key.id, datetime.now(UTC))

    async def as_revoked_session(self, role: Role) -> Headers:
        """Headers of a person whose login was revoked."""
        opened = await self.open_session(self.us.members[role].id)
        async with self.stores.database.accounts() as session:
            await logins.revoke_session(session, opened.session.user_id, opened.session.id, datetime.now(UTC))
        return self.as_session(opened)

    async def delete(self, org: Org) -> None:
        """Deletes an organization that nobody has edited."""
        async with self.stores.database.write(org.tenant) as session:
            await delete(session, org.tenant, SYSTEM, revision=1, now=datetime.now(UTC))

    async def make_invitation(self, email: str, org: Org | None = None, role: Role = Role.VIEWER) -> SentInvitation:
        """An open invitation."""
        tenant, now = (org or self.us).tenant, datetime.now(UTC)
        async with self.stores.database.write(tenant) as session:
            return await invite(session, tenant, SYSTEM, EVERYTHING, email, role, timedelta(days=7), now)

    async def make_user(self, name: str) -> UserView:
        """A person of no organization."""
        fields = UserFields(f"{name}-{next(self.numbers)}@example.org", True, name)
        async with self.stores.database.accounts() as session:
            return await create_user(session, fields)


OpenWorld = Callable[[BackendSettings], AbstractAsyncContextManager[World]]
"""Opens the world on a server with these settings."""


def bearer(issued: IssuedKey) -> Headers:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {issued.token.reveal()}"}


def settings_under_test() -> BackendSettings:
    """Settings for a server under test, whatever the environment."""
    data_dir = Path(tempfile.gettempdir()) / f"aicd-backend-{os.getpid()}"
    return BackendSettings(origins=(FRONT_END,), secret_keys=KEYS, data_dir=data_dir)


async def _always_ready() -> None:
    return None


def offline_app(settings: BackendSettings | None = None, ready: ReadyCheck = _always_ready) -> Api:
    """The application on a database that is not there: for its OpenAPI document and for what asks no database."""
    settings = settings or settings_under_test()
    database, system = Database.connect(DEAD_URL), SystemDatabase.connect(DEAD_URL)
    return create_app(_stores(database, system, settings), ready=ready)


def _stores(database: Database, system: SystemDatabase, settings: BackendSettings) -> Stores:
    hosts = Hosts(settings)
    hosts.guard(database, None)
    return Stores.of(database, system, settings, hosts)


async def make_organizations(database: Database, system: SystemDatabase) -> tuple[Org, Org]:
    """Us and the rival, on a fresh database, with all their members."""
    orgs = []
    for slug in ("acme", "rival"):
        async with system.write() as session:
            tenant = await create_organization(session, slug, slug.title())
        async with database.write(tenant) as session:
            await set_up_organization(session, tenant, SYSTEM)
        members = {role: await _make_member(database, tenant, slug, role) for role in Role}
        orgs.append(Org(slug, tenant, members))
    return orgs[0], orgs[1]


async def _make_member(database: Database, tenant: Tenant, slug: str, role: Role) -> UserView:
    name = f"{slug}-{role.value}"
    async with database.accounts() as session:
        user = await create_user(session, UserFields(f"{name}@example.org", True, name))
    async with database.write(tenant) as session:
        await join(session, tenant, SYSTEM, user, role)
    return user


@asynccontextmanager
async def enter_world(
    database: Database, system: SystemDatabase, us: Org, rival: Org, settings: BackendSettings | None = None
) -> AsyncIterator[World]:
    """The organizations on a server, and a client of it."""
    stores = _stores(database, system, settings or settings_under_test())
    app = create_app(stores, ready=database.refuse_unsafe_role)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield World(stores, app, client, us, rival)
