"""Hostile text handed to every service that takes text: kept exactly, or refused with an error of ours."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import PageRequest
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts import logins
from aicd_core.tenancy.accounts import service as accounts
from aicd_core.tenancy.accounts.values import Client, IdentityClaim, SessionLimits, UserFields
from aicd_core.tenancy.api_keys import service as api_keys
from aicd_core.tenancy.api_keys.values import KeySpec
from aicd_core.tenancy.audit import repository as audit_rows
from aicd_core.tenancy.audit import service as audit
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.invitations import service as invitations
from aicd_core.tenancy.organizations import service as organizations
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.tenancy.permissions import Permission, Role
from aicd_core.tenancy.policies import service as policies
from aicd_core.tenancy.repositories import service as repositories
from aicd_core.tenancy.secrets import service as secrets
from aicd_core.tenancy.secrets.keyring import Keyring
from isolation_world import NOW
from test_text_torture import STORABLE, UNSTORABLE

ACTOR = Actor(ActorKind.SYSTEM, "test")
ALL = frozenset(Permission)
DENSE = "".join(chr(0x20000 + number * number * 7919 % 40_000) for number in range(2_000))
"""Two thousand characters that no index compresses: 8,000 bytes, and a third of a page is all that a key may have."""
TEXTS = STORABLE | UNSTORABLE | {"10 MB": "\u00e4'%\n" * 2_500_000, "8 KB": DENSE}
MUST_REFUSE = frozenset({*UNSTORABLE, "10 MB"})


@dataclass(frozen=True)
class Here:
    """Where the text is put."""

    database: Database
    system: SystemDatabase
    tenant: Tenant


Put = Callable[[Here, str], Awaitable[Any]]
"""Hands the text to a service and reads it back."""


async def slug(here: Here, text: str) -> Any:
    async with here.system.write() as session:
        await organizations.create_organization(session, text, "Name")
    return text


async def org_name(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        return (await organizations.rename(session, here.tenant, ACTOR, text, revision=1)).name


async def setting(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        values = SettingsValues(agent=text, model=text)
        return (await organizations.edit_settings(session, here.tenant, ACTOR, values, revision=0)).values.agent


async def user_name(here: Here, text: str) -> Any:
    async with here.database.accounts() as session:
        return (await accounts.create_user(session, UserFields(f"a-{here.tenant.org_id}@example.org", True, text))).name


async def user_email(here: Here, text: str) -> Any:
    async with here.database.accounts() as session:
        return (await accounts.create_user(session, UserFields(text, True, "Name"))).email


async def identity(here: Here, issuer: str, subject: str) -> None:
    async with here.database.accounts() as session:
        claim = IdentityClaim(issuer, subject, f"b-{here.tenant.org_id}@example.org", True)
        user = await accounts.user_of_login(session, claim)
        assert await accounts.find_by_identity(session, issuer, subject) == user


async def issuer(here: Here, text: str) -> Any:
    await identity(here, text, "subject")
    return text


async def subject(here: Here, text: str) -> Any:
    await identity(here, "https://login.test", text)
    return text


async def login(here: Here, client: Client) -> Client:
    async with here.database.accounts() as session:
        user = await accounts.create_user(session, UserFields(f"c-{here.tenant.org_id}@example.org", True, "Name"))
        limits, now = SessionLimits(), datetime.now(UTC)
        token = (await logins.open_session(session, user.id, client, limits, now)).token
        return (await logins.find_session(session, token.reveal(), limits, now))[0].client


async def user_agent(here: Here, text: str) -> Any:
    return (await login(here, Client(text, "::1"))).user_agent


async def client_address(here: Here, text: str) -> Any:
    return (await login(here, Client("browser", text))).address


async def invitation(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        lasts = timedelta(days=1)
        await invitations.invite(session, here.tenant, ACTOR, ALL, text, Role.VIEWER, lasts, NOW)
        (made,) = (await invitations.list_invitations(session, here.tenant, PageRequest())).items
        return made.email


async def key_name(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        spec = KeySpec(text, frozenset({Permission.JOBS_READ}))
        return (await api_keys.create_key(session, here.tenant, ACTOR, ALL, spec, NOW)).key.name


async def source(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        return (await repositories.connect(session, here.tenant, ACTOR, text)).source


async def note(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        return (await policies.publish(session, here.tenant, ACTOR, {}, expected=0, note=text)).note


async def rule(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        return (await policies.publish(session, here.tenant, ACTOR, {"x": [text]}, expected=0)).rules["x"][0]


async def detail(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        await audit.record(session, here.tenant, ACTOR, "job.cancelled", "job", "1", {"x": [text]})
        (entry,) = (await audit_rows.list_entries(session, here.tenant, PageRequest())).items
        return entry.detail["x"][0]


async def secret_name(here: Here, text: str) -> Any:
    async with here.database.write(here.tenant) as session:
        await secrets.put(session, here.tenant, ACTOR, keyring(), text, "value", revision=0)
    return text


async def secret_value(here: Here, text: str) -> Any:
    keys = keyring()
    async with here.database.write(here.tenant) as session:
        await secrets.put(session, here.tenant, ACTOR, keys, "MODEL_KEY", text, revision=0)
        return await secrets.get(session, here.tenant, keys, "MODEL_KEY")


def keyring() -> Keyring:
    return Keyring([("first", os.urandom(32))])


FIELDS: dict[str, Put] = {
    "a slug": slug,
    "an organization's name": org_name,
    "a setting": setting,
    "a user's name": user_name,
    "a user's address": user_email,
    "an identity's issuer": issuer,
    "an identity's subject": subject,
    "a login's user agent": user_agent,
    "a login's address": client_address,
    "an invitation's address": invitation,
    "a key's name": key_name,
    "a repository's source": source,
    "a policy's note": note,
    "a rule": rule,
    "an audit detail": detail,
    "a secret's name": secret_name,
    "a secret's value": secret_value,
}


@pytest.mark.parametrize("field", FIELDS)
async def test_text_is_kept_exactly_or_refused_with_an_error_of_ours(
    database: Database, system: SystemDatabase, field: str
):
    for number, (kind, text) in enumerate(TEXTS.items()):
        async with system.write() as session:
            here = Here(database, system, await organizations.ensure_organization(session, f"org-{number}"))
        refused: AicdError | None = None
        try:
            outcome = await FIELDS[field](here, text)
        except AicdError as error:
            refused = error
        if refused is None:
            assert outcome == text, f"{field}, {kind}"
            assert kind not in MUST_REFUSE or (field, kind) == ("a secret's value", "10 MB"), f"{field} took {kind}"
        else:
            assert isinstance(refused, InvalidInputError), f"{field}, {kind}: {refused.code}"
            assert len(refused.message) < 1_000, f"{field}, {kind}: the message repeats the text"
