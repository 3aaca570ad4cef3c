"""Every route of the OpenAPI document, for every kind of credential, gives exactly what it declares.

Generated from the document: a new route is covered as soon as it is there. What its path names and its body holds is
said in `aicd_backend.testing.recipes`.
"""

from collections.abc import Awaitable
from datetime import timedelta

import httpx
import pytest

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.problems import MEDIA_TYPE
from aicd_backend.testing.recipes import BY_HAND, PARAMETERS, Operation, operations_of, valid_request
from aicd_backend.testing.world import Headers, Org, World, offline_app
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
async def test_without_a_good_credential_nobody_comes_in(operation: Operation, world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    cookie = owner["Cookie"].partition("=")[0]
    unknown_key, unknown_login = new_token(TokenKind.API_KEY).reveal(), new_token(TokenKind.SESSION).reveal()
    revoked_login = await world.as_revoked_session(Role.OWNER)
    good_key = (await world.make_key()).token.reveal()
    credentials: dict[str, tuple[Headers, str]] = {
        "none": ({}, "credential_missing"),
        "garbage": ({"Authorization": "Bearer garbage"}, "credential_invalid"),
        "another scheme": ({"Authorization": "Basic YTpi"}, "credential_invalid"),
        "a key without its scheme": ({"Authorization": good_key}, "credential_invalid"),
        "an unknown key": ({"Authorization": f"Bearer {unknown_key}"}, "credential_invalid"),
        "a revoked key": (await world.as_revoked_key(), "credential_invalid"),
        "a login as a key": ({"Authorization": f"Bearer {unknown_login}"}, "credential_invalid"),
        "a garbled cookie": ({"Cookie": f"{cookie}=garbage", "Origin": owner["Origin"]}, "credential_invalid"),
        "an unknown login": ({"Cookie": f"{cookie}={unknown_login}", "Origin": owner["Origin"]}, "credential_invalid"),
        "a login that lasted too long": (
            await world.as_role(Role.OWNER, ago=timedelta(days=31)),
            "credential_invalid",
        ),
        "an idle login": (await world.as_role(Role.OWNER, ago=timedelta(days=8)), "credential_invalid"),
        "a revoked login": (revoked_login, "credential_invalid"),
    }
    for what, (headers, code) in credentials.items():
        answer = await send(world, operation, headers)
        assert (what, *told(answer)) == (what, 401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer ")


def answer_for(operation: Operation, may: bool) -> tuple[int, str | None]:
    return (operation.success, None) if may else (403, "forbidden")


@pytest.mark.parametrize("operation", named(SUCCEEDING))
async def test_a_member_may_what_his_role_may_and_a_key_what_its_scopes_say(operation: Operation, world: World) -> None:
    for role in reversed(Role):
        may = operation.permission not in set(Permission) or Permission(operation.permission) in GRANTS[role]
        answer = await send(world, operation, await world.as_role(role))
        assert (role, *told(answer)) == (role, *answer_for(operation, may))
    everything = await send(world, operation, await world.as_key())
    if operation.permission == Level.PERSON:
        assert told(everything) == (403, "person_needed")
        return
    assert told(everything) == (operation.success, None)


@pytest.mark.parametrize("operation", named(IN_ORG))
async def test_without_the_permission_nothing_is_done(operation: Operation, world: World) -> None:
    wanted = Permission(operation.permission or "")
    for role in Role:
        if wanted not in GRANTS[role]:
            assert told(await send(world, operation, await world.as_role(role))) == (403, "forbidden")
    assert told(await send(world, operation, await world.as_key(EVERYTHING - {wanted}))) == (403, "forbidden")


@pytest.mark.parametrize("operation", named(IN_ORG))
async def test_another_tenant_is_told_that_there_is_nothing(operation: Operation, world: World) -> None:
    strangers: dict[str, Awaitable[Headers]] = {
        "a rival's key": world.as_key(org=world.rival),
        "a rival's owner": world.as_role(Role.OWNER, world.rival),
        "a person of no organization": no_member(world),
    }
    for what, headers in strangers.items():
        answer = await send(world, operation, await headers)
        assert (what, *told(answer)) == (what, 404, "organization_not_found")
    nowhere = await world.client.request(
        operation.method, operation.path.replace("{org}", "nowhere"), headers=await world.as_role(Role.OWNER)
    )
    assert told(nowhere) == (404, "organization_not_found")


async def no_member(world: World) -> Headers:
    user = await world.make_user("stranger")
    return world.as_session(await world.open_session(user.id))


@pytest.mark.parametrize(
    "operation",
    named([operation for operation in IN_ORG if operation.parameters]),
)
async def test_another_tenants_thing_is_not_found_in_ones_own(operation: Operation, world: World) -> None:
    for headers in (await world.as_role(Role.OWNER), await world.as_key()):
        answer = await send(world, operation, headers, owner=world.rival)
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("operation", named(IN_ORG))
async def test_a_deleted_organization_is_gone_for_everybody(operation: Operation, world: World) -> None:
    request = await valid_request(world, operation, world.us)
    member, key = await world.as_role(Role.OWNER), await world.as_key()
    await world.delete(world.us)
    answers = [
        await world.client.request(operation.method, request.path, headers=headers, json=request.body)
        for headers in (member, key)
    ]
    assert [told(answer) for answer in answers] == [
        (404, "organization_not_found"),
        (401, "credential_invalid"),
    ]


@pytest.mark.parametrize("operation", named([op for op in SECURED if op.method != "get"]))
async def test_a_cookie_alone_changes_nothing(operation: Operation, world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    for origin in ({}, {"Origin": "https://evil.test"}, {"Origin": "null"}, {"Origin": "https://app.test.evil.test"}):
        answer = await send(world, operation, {"Cookie": owner["Cookie"], **origin})
        assert told(answer) == (403, "origin_refused"), origin


async def test_nobody_learns_what_a_body_must_look_like_before_he_may_send_it(world: World) -> None:
    path = "/v1/organizations/acme/api-keys"
    strangers = [({}, 401), (await world.as_key(org=world.rival), 404), (await world.as_role(Role.VIEWER), 403)]
    for headers, status in strangers:
        answer = await world.client.post(path, headers=headers, content=b"{")
        assert answer.status_code == status
