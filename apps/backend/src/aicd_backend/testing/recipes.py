"""A valid request for every route of the OpenAPI document: what each parameter of a path names, and each body holds.

A body is the first example that the document gives, so examples are proven to work; where a second request with the
same body cannot succeed, `BODIES` says what to send. A parameter or a body that nobody described fails the test.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aicd_backend.access import ORG, PERMISSION
from aicd_backend.testing import job_recipes
from aicd_backend.testing.world import KEYS, SYSTEM, Org, World
from aicd_core.ids import RepositoryId, new_uuid
from aicd_core.policy import DEFAULT_RULES, publish_rules
from aicd_core.tenancy.installations.service import follow
from aicd_core.tenancy.installations.values import InstallationFacts
from aicd_core.tenancy.memberships.service import join
from aicd_core.tenancy.permissions import Permission, Role
from aicd_core.tenancy.policies.service import newest
from aicd_core.tenancy.repositories.service import connect, disconnect
from aicd_core.tenancy.secrets.keyring import Keyring
from aicd_core.tenancy.secrets.service import put

METHODS = ("get", "put", "post", "delete", "patch")
IF_MATCH = "If-Match"


@dataclass(frozen=True)
class Operation:
    """One route of the document."""

    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def name(self) -> str:
        name: str = self.described["operationId"]
        return name

    @property
    def permission(self) -> str | None:
        """What it declares that a caller needs."""
        return self.described.get(PERMISSION)

    @property
    def success(self) -> int:
        """The status that it declares for a request that it carries out; a second one says that nothing was left."""
        return int(min(code for code in self.described["responses"] if code.startswith("2")))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters of the path besides the organization."""
        parts = (part[1:-1] for part in self.path.split("/") if part.startswith("{"))
        return tuple(part for part in parts if part != ORG)

    def has_header(self, name: str) -> bool:
        """Whether it declares a header."""
        return any(part["in"] == "header" and part["name"] == name for part in self.described.get("parameters", ()))


@dataclass(frozen=True)
class ValidRequest:
    """A request that succeeds for whoever may send it."""

    path: str
    body: Any
    headers: Mapping[str, str]


Recipe = Callable[[World, Org], Awaitable[str]]


async def _api_key(world: World, org: Org) -> str:
    return str((await world.make_key(frozenset({Permission.JOBS_READ}), org)).key.id)


async def _member(world: World, org: Org) -> str:
    user = await world.make_user("member")
    async with world.stores.database.write(org.tenant) as session:
        return str((await join(session, org.tenant, SYSTEM, user, Role.VIEWER)).id)


async def _invitation(world: World, org: Org) -> str:
    return str((await world.make_invitation(f"guest-{next(world.numbers)}@example.org", org)).invitation.id)


async def _repository(world: World, org: Org) -> str:
    source = f"https://code.test/{org.slug}/{next(world.numbers)}"
    async with world.stores.database.write(org.tenant) as session:
        return str((await connect(session, org.tenant, SYSTEM, source)).id)


async def _policy_version(world: World, org: Org) -> str:
    async with world.stores.database.write(org.tenant) as session:
        known = await newest(session, org.tenant)
        made = await publish_rules(session, org.tenant, SYSTEM, DEFAULT_RULES, expected=known.version if known else 0)
    return str(made.version)


async def _new_repository(world: World, org: Org) -> Any:
    return {"source": f"https://code.test/{org.slug}/{next(world.numbers)}"}


async def _new_invitation(world: World, _org: Org) -> Any:
    return {"email": f"guest-{next(world.numbers)}@example.org", "role": "viewer", "days": 7}


async def _disconnect(world: World, org: Org, path: str) -> None:
    repository_id = RepositoryId(UUID(path.split("/")[-2]))
    async with world.stores.database.write(org.tenant) as session:
        await disconnect(session, org.tenant, SYSTEM, repository_id, revision=1, now=datetime.now(UTC))


async def _login_provider(_world: World, _org: Org) -> str:
    return "github"


async def _installation(world: World, org: Org) -> str:
    facts = InstallationFacts("https://code.test/api", 1000 + next(world.numbers), org.slug)
    async with world.stores.database.write(org.tenant) as session:
        view = await follow(session, org.tenant, SYSTEM, facts)
    assert view is not None
    return str(view.id)


async def _secret(world: World, org: Org) -> str:
    name = f"KEY_{org.slug.upper()}_{next(world.numbers)}"
    async with world.stores.database.write(org.tenant) as session:
        await put(session, org.tenant, SYSTEM, Keyring.parse(KEYS.get_secret_value()), name, "sk-1", revision=0)
    return name


async def _new_organization(world: World, _org: Org) -> Any:
    number = next(world.numbers)
    return {"slug": f"lab-{number}", "name": f"Lab {number}"}


PARAMETERS: Mapping[str, Recipe] = {
    "provider": _login_provider,
    "key_id": _api_key,
    "member_id": _member,
    "invitation_id": _invitation,
    "repository_id": _repository,
    "version": _policy_version,
    "installation_id": _installation,
    "secret_name": _secret,
    "job_id": job_recipes.job,
}
"""What a parameter of a path names: a thing of the organization, made anew for each request."""

BODIES: Mapping[str, Callable[[World, Org], Awaitable[Any]]] = {
    "connect_repository": _new_repository,
    "create_organization": _new_organization,
    "create_invitation": _new_invitation,
    **job_recipes.BODIES,
}
"""By operation: a body for a request that must differ from the one before it."""

REVISIONS: Mapping[str, str] = {"reconnect_repository": '"2"'}
"""By operation: the ETag of what its recipe has made, where it cannot be read with GET at the same path."""

BEFORE: Mapping[str, Callable[[World, Org, str], Awaitable[None]]] = {
    "reconnect_repository": _disconnect,
    **job_recipes.BEFORE,
}
"""By operation: what has to be done first to the thing at its path."""

BY_HAND: Mapping[str, str] = {
    "leave_organization": "Who sends it is the one who is gone; the last owner cannot.",
    "accept_invitation": "It is for one person's address.",
    "revoke_session": "It names a login of the sender's own.",
    "delete_organization": "Nothing is left for the next request.",
    "open_checkout": "Stripe answers it; test_billing_life.py has one.",
    "open_portal": "Likewise.",
    "list_invoices": "Likewise.",
    "try_policy_on_commits": "Its repository is fetched; test_backend_job_sources.py has one.",
}
"""Operations whose success hangs on who sends them, and why; success has a test of its own, refusals have not."""


def operations_of(document: Mapping[str, Any]) -> list[Operation]:
    """Every route of an OpenAPI document."""
    return [
        Operation(method, path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if method in METHODS
    ]


async def valid_request(world: World, operation: Operation, org: Org, owner: Org | None = None) -> ValidRequest:
    """A request to an organization that succeeds for whoever may send it.

    Args:
        owner: whose the things are that the path names; another organization's are not found.
    """
    path = operation.path.replace(f"{{{ORG}}}", org.slug)
    for name in operation.parameters:
        if operation.name in BY_HAND and name not in PARAMETERS:
            path = path.replace(f"{{{name}}}", str(new_uuid()))
            continue
        path = path.replace(f"{{{name}}}", await PARAMETERS[name](world, owner or org))
    if operation.name in BEFORE:
        await BEFORE[operation.name](world, owner or org, path)
    headers = {}
    if operation.has_header(IF_MATCH):
        headers[IF_MATCH] = await _etag(world, operation, path, org)
    return ValidRequest(path, await _body(world, operation, org), headers)


async def _etag(world: World, operation: Operation, path: str, org: Org) -> str:
    if operation.name in REVISIONS:
        return REVISIONS[operation.name]
    answer = await world.client.get(path, headers=await world.as_key(org=org))
    return str(answer.headers.get("ETag", '"1"'))


async def _body(world: World, operation: Operation, org: Org) -> Any:
    if operation.name in BODIES:
        return await BODIES[operation.name](world, org)
    if (described := operation.described.get("requestBody")) is None:
        return None
    schema = described["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = world.app.openapi()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    examples = schema.get("examples")
    assert examples, f"{operation.name}: its body has no example; give its model one, or a recipe in BODIES."
    return examples[0]
