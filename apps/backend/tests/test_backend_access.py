"""Every route of the OpenAPI document, for every kind of credential, gives exactly what it declares.

Generated from the document: a new route is covered as soon as it is there. What its path names and its body holds is
said in `aicd_backend.testing.recipes`.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.problems import MEDIA_TYPE
from aicd_backend.testing.recipes import BY_HAND, PARAMETERS, Operation, operations_of, valid_request
from aicd_backend.testing.world import SYSTEM, Headers, Org, World, offline_app
from aicd_core.tenancy.organizations.service import delete, require_organization
from aicd_core.tenancy.permissions import EVERYTHING, GRANTS, Permission, Role
from aicd_core.tenancy.tokens import TokenKind, new_token

OPERATIONS = operations_of(offline_app().openapi())
DECLARED = {*Level, *Permission}
UNDECLARED = {"healthz", "readyz"}
"""Open to everybody, and outside of /v1."""
SECURED = [operation for operation in OPERATIONS if operation.permission not in {None, Level.PUBLIC}]
SUCCEEDING = [operation for operation in SECURED if operation.name not in BY_HAND]
IN_ORG = [operation for operation in SECURED if operation.permission in set(Permission)]


def named(operations: list[Operation]) -> list[object]:
    return [pytest.param(operation, id=operation.name) for operation in operations]


async def send(
    world: World, operation: Operation, headers: Headers, org: Org | None = None, owner: Org | None = None
) -> httpx.Response:
    request = await valid_request(world, operation, org or world.us, owner)
    sent = {**request.headers, **headers}
    return await world.client.request(operation.method, request.path, headers=sent, json=request.body)


def told(answer: httpx.Response) -> tuple[int, str | None]:
    """The status, and of a problem its code."""
    return answer.status_code, answer.json()["code"] if answer.headers.get("content-type") == MEDIA_TYPE else None


def test_every_route_declares_what_it_needs() -> None:
    assert {operation.name for operation in OPERATIONS if operation.permission is None} == UNDECLARED
    assert {operation.permission for operation in OPERATIONS} - {None} <= DECLARED
    for operation in SECURED:
        assert operation.path.startswith("/v1/"), operation.name
        assert {"401", "403"} <= operation.described["responses"].keys(), operation.name
        assert operation.described["security"], operation.name
    for operation in IN_ORG:
        assert operation.path.startswith("/v1/organizations/{org}"), operation.name
        assert "404" in operation.described["responses"], operation.name
        for way in operation.described["security"]:
            assert way in ({"session": []}, {"key": [operation.permission]}, {"client": [operation.permission]})


def test_every_parameter_of_a_path_is_described() -> None:
    wanted = {name for operation in OPERATIONS if operation.name not in BY_HAND for name in operation.parameters}
    assert wanted <= PARAMETERS.keys(), "Describe them in aicd_backend.testing.recipes."


def test_names_of_operations_are_their_own() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert sorted(names) == sorted(set(names))


def test_a_route_that_declares_nothing_does_not_start() -> None:
    router = secured_router("test")
    with pytest.raises(TypeError, match="declares no permission"):
        router.get("/things")(test_a_route_that_declares_nothing_does_not_start)
    with pytest.raises(TypeError, match="the path names none"):
        router.get("/things", **needs(Permission.ORG_READ))(test_a_route_that_declares_nothing_does_not_start)


@pytest.mark.parametrize("operation", named(SECURED))
async def test_every_credential_gets_what_the_route_declares(operation: Operation, world: World) -> None:
    """All credentials of all kinds on one server, every difference told; a deletion of the organization comes last."""
    checks = [check for check, operations in CHECKS if operation in operations]
    assert [difference for check in checks async for difference in check(operation, world)] == []


def difference(what: str, answer: httpx.Response, *expected: object) -> Iterator[str]:
    """A line that says how an answer is not the expected status and code; nothing where it is."""
    if told(answer) != expected:
        yield f"{what}: {told(answer)} and not {expected}: {answer.text[:300]}"


async def without_a_good_credential(operation: Operation, world: World) -> AsyncIterator[str]:
    owner = await world.as_role(Role.OWNER)
    cookie = owner["Cookie"].partition("=")[0]
    unknown_key, unknown_login = new_token(TokenKind.API_KEY).reveal(), new_token(TokenKind.SESSION).reveal()
    good_key = (await world.make_key()).token.reveal()
    credentials: dict[str, Headers] = {
        "garbage": {"Authorization": "Bearer garbage"},
        "another scheme": {"Authorization": "Basic YTpi"},
        "a key without its scheme": {"Authorization": good_key},
        "an unknown key": {"Authorization": f"Bearer {unknown_key}"},
        "a revoked key": await world.as_revoked_key(),
        "a login as a key": {"Authorization": f"Bearer {unknown_login}"},
        "a garbled cookie": {"Cookie": f"{cookie}=garbage", "Origin": owner["Origin"]},
        "an unknown login": {"Cookie": f"{cookie}={unknown_login}", "Origin": owner["Origin"]},
        "a login that lasted too long": await world.as_role(Role.OWNER, ago=timedelta(days=31)),
        "an idle login": await world.as_role(Role.OWNER, ago=timedelta(days=8)),
        "a revoked login": await world.as_revoked_session(Role.OWNER),
    }
    for what, headers in {"nothing": {}, **credentials}.items():
        answer = await send(world, operation, headers)
        for line in difference(what, answer, 401, "credential_invalid" if headers else "credential_missing"):
            yield line
        if not answer.headers.get("www-authenticate", "").startswith("Bearer "):
            yield f"{what}: no challenge"


async def as_members_and_keys(operation: Operation, world: World) -> AsyncIterator[str]:
    """A member may what his role may, and a key what its scopes say."""
    for role in reversed(Role):
        may = operation.permission not in set(Permission) or Permission(operation.permission) in GRANTS[role]
        expected = (operation.success, None) if may else (403, "forbidden")
        for line in difference(role, await send(world, operation, await world.as_role(role)), *expected):
            yield line
    person = operation.permission == Level.PERSON
    expected = (403, "person_needed") if person else (operation.success, None)
    for line in difference("a key", await send(world, operation, await world.as_key()), *expected):
        yield line


async def without_the_permission(operation: Operation, world: World) -> AsyncIterator[str]:
    wanted = Permission(operation.permission or "")
    callers = {role.value: await world.as_role(role) for role in Role if wanted not in GRANTS[role]}
    callers["a key with all other scopes"] = await world.as_key(EVERYTHING - {wanted})
    for what, headers in callers.items():
        for line in difference(what, await send(world, operation, headers), 403, "forbidden"):
            yield line


async def as_another_tenant(operation: Operation, world: World) -> AsyncIterator[str]:
    stranger = await world.make_user("stranger")
    strangers: dict[str, Headers] = {
        "a rival's key": await world.as_key(org=world.rival),
        "a rival's owner": await world.as_role(Role.OWNER, world.rival),
        "a person of no organization": world.as_session(await world.open_session(stranger.id)),
    }
    answers = {what: await send(world, operation, headers) for what, headers in strangers.items()}
    answers["nowhere"] = await world.client.request(
        operation.method, operation.path.replace("{org}", "nowhere"), headers=await world.as_role(Role.OWNER)
    )
    for what, answer in answers.items():
        for line in difference(what, answer, 404, "organization_not_found"):
            yield line


async def on_another_tenants_thing(operation: Operation, world: World) -> AsyncIterator[str]:
    """It is not found in one's own organization."""
    for what, headers in {"an owner": await world.as_role(Role.OWNER), "a key": await world.as_key()}.items():
        answer = await send(world, operation, headers, owner=world.rival)
        if answer.status_code != 404:
            yield f"{what} on a rival's thing: {told(answer)}: {answer.text[:300]}"


async def by_a_cookie_alone(operation: Operation, world: World) -> AsyncIterator[str]:
    owner = await world.as_role(Role.OWNER)
    for origin in ({}, {"Origin": "https://evil.test"}, {"Origin": "null"}, {"Origin": "https://app.test.evil.test"}):
        answer = await send(world, operation, {"Cookie": owner["Cookie"], **origin})
        for line in difference(f"a cookie with {origin}", answer, 403, "origin_refused"):
            yield line


async def on_a_deleted_organization(operation: Operation, world: World) -> AsyncIterator[str]:
    request = await valid_request(world, operation, world.us)
    member, key = await world.as_role(Role.OWNER), await world.as_key()
    async with world.stores.database.write(world.us.tenant) as session:
        now = await require_organization(session, world.us.tenant)
        await delete(session, world.us.tenant, SYSTEM, revision=now.revision, now=datetime.now(UTC))
    for what, headers, *expected in (
        ("a member when it is deleted", member, 404, "organization_not_found"),
        ("a key when it is deleted", key, 401, "credential_invalid"),
    ):
        answer = await world.client.request(operation.method, request.path, headers=headers, json=request.body)
        for line in difference(str(what), answer, *expected):
            yield line


CHECKS: tuple[tuple[Callable[[Operation, World], AsyncIterator[str]], list[Operation]], ...] = (
    (on_another_tenants_thing, [operation for operation in IN_ORG if operation.parameters]),
    (without_a_good_credential, SECURED),
    (without_the_permission, IN_ORG),
    (as_another_tenant, IN_ORG),
    (by_a_cookie_alone, [operation for operation in SECURED if operation.method != "get"]),
    (as_members_and_keys, SUCCEEDING),
    (on_a_deleted_organization, IN_ORG),
)
"""What is asked of which routes. A rival's thing comes first, as long as ours has none of its number."""


async def test_nobody_learns_what_a_body_must_look_like_before_he_may_send_it(world: World) -> None:
    path = "/v1/organizations/acme/api-keys"
    strangers = [({}, 401), (await world.as_key(org=world.rival), 404), (await world.as_role(Role.VIEWER), 403)]
    for headers, status in strangers:
        answer = await world.client.post(path, headers=headers, content=b"{")
        assert answer.status_code == status
