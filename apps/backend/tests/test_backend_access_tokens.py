"""OAuth 2's client credentials: what a program gets for its API key, and what that is worth."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from aicd_backend.access_tokens import LASTS, PREFIX, AccessTokens
from aicd_backend.seals import Seal
from aicd_backend.settings import BackendSettings
from aicd_backend.testing.world import FRONT_END, KEYS, SYSTEM, OpenWorld, World
from aicd_core.tenancy.api_keys import service as keys
from aicd_core.tenancy.api_keys.values import IssuedKey
from aicd_core.tenancy.permissions import Permission, Role

URL = "/v1/oauth/token"
ME = "/v1/me"
READ, STEER = Permission.JOBS_READ, Permission.JOBS_STEER


def form_of(issued: IssuedKey, **more: str) -> dict[str, str]:
    client = {"client_id": str(issued.key.id), "client_secret": issued.token.reveal()}
    return {"grant_type": "client_credentials", **client, **more}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def bearer(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_a_token_does_what_its_key_may(world: World) -> None:
    issued = await world.make_key(frozenset({READ, STEER}))
    answer = await world.client.post(URL, data=form_of(issued))
    told = answer.json()
    assert told["token_type"] == "Bearer"
    assert (told["expires_in"], told["scope"]) == (LASTS.total_seconds(), "jobs:read jobs:steer")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    me = (await world.client.get(ME, headers=bearer(answer))).json()
    assert (me["kind"], me["id"]) == ("api_key", str(issued.key.id))
    assert me["organizations"][0]["permissions"] == ["jobs:read", "jobs:steer"]


async def test_a_token_for_fewer_scopes_does_no_more(world: World) -> None:
    issued = await world.make_key(frozenset({READ, STEER, Permission.KEYS_EDIT}))
    fewer = bearer(await world.client.post(URL, data=form_of(issued, scope="jobs:read")))
    (place,) = (await world.client.get(ME, headers=fewer)).json()["organizations"]
    assert place["permissions"] == ["jobs:read"]
    refused = await world.client.get("/v1/organizations/acme/api-keys", headers=fewer)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_a_token_reaches_its_own_organization_only(world: World) -> None:
    sent = bearer(await world.client.post(URL, data=form_of(await world.make_key())))
    assert (await world.client.get("/v1/organizations/acme", headers=sent)).status_code == 200
    assert (await world.client.get("/v1/organizations/rival", headers=sent)).status_code == 404


async def test_name_and_secret_may_come_by_basic_authentication(world: World) -> None:
    issued = await world.make_key()
    for name in (str(issued.key.id), issued.key.prefix, issued.key.prefix.replace("a", "%61")):
        grant = {"grant_type": "client_credentials"}
        answer = await world.client.post(URL, data=grant, headers=basic(name, issued.token.reveal()))
        assert answer.status_code == 200, answer.text


async def test_revoking_the_key_ends_its_tokens_at_once(world: World) -> None:
    issued = await world.make_key()
    sent = bearer(await world.client.post(URL, data=form_of(issued)))
    assert (await world.client.get(ME, headers=sent)).status_code == 200
    async with world.stores.database.write(world.us.tenant) as session:
        await keys.revoke_key(session, world.us.tenant, SYSTEM, issued.key.id, datetime.now(UTC))
    answer = await world.client.get(ME, headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "credential_invalid")


async def test_deleting_the_organization_ends_them_too(world: World) -> None:
    sent = bearer(await world.client.post(URL, data=form_of(await world.make_key())))
    await world.delete(world.us)
    assert (await world.client.get(ME, headers=sent)).status_code == 401


async def test_a_token_ends_by_itself_and_cannot_be_made_up(world: World) -> None:
    issued, now = await world.make_key(), datetime.now(UTC)
    tokens = AccessTokens(world.stores.settings)
    other = AccessTokens(BackendSettings(secret_keys="k1:" + base64.b64encode(bytes(32)).decode()))
    sealed_for_logins = Seal(KEYS, "login attempt v1")
    content = {"key": issued.key.id.hex, "prefix": issued.key.prefix, "scopes": ["jobs:read"]}
    good = tokens.issue(issued.key, ["jobs:read"], now)
    assert (await world.client.get(ME, headers={"Authorization": f"Bearer {good}"})).status_code == 200
    for token in (
        tokens.issue(issued.key, ["jobs:read"], now - LASTS - timedelta(seconds=5)),
        tokens.issue(issued.key, ["jobs:read"], now + timedelta(hours=1)),
        other.issue(issued.key, ["jobs:read"], now),
        PREFIX + sealed_for_logins.close(content, now),
        good[:-1],
        good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:],
        PREFIX,
        PREFIX + "é",
    ):
        answer = await world.client.get(ME, headers={"Authorization": f"Bearer {token}".encode()})
        assert (token, answer.status_code, answer.json()["code"]) == (token, 401, "credential_invalid")


async def test_a_token_is_no_key_to_another_one(world: World) -> None:
    issued = await world.make_key()
    token = (await world.client.post(URL, data=form_of(issued))).json()["access_token"]
    answer = await world.client.post(URL, data=form_of(issued) | {"client_secret": token})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_key_that_is_not_good_gets_none_and_is_not_told_why(world: World) -> None:
    issued, revoked, other = await world.make_key(), await world.make_key(), await world.make_key()
    async with world.stores.database.write(world.us.tenant) as session:
        await keys.revoke_key(session, world.us.tenant, SYSTEM, revoked.key.id, datetime.now(UTC))
    session_token = (await world.open_session(world.us.members[Role.OWNER].id)).token.reveal()
    good = form_of(issued)
    answers = [
        await world.client.post(URL, data=data)
        for data in (
            form_of(revoked),
            good | {"client_id": str(other.key.id)},
            good | {"client_id": ""},
            good | {"client_secret": other.token.reveal()},
            good | {"client_secret": ""},
            good | {"client_secret": session_token},
            good | {"client_secret": "aicd_key_"},
            {"grant_type": "client_credentials"},
        )
    ]
    grant, key = {"grant_type": "client_credentials"}, issued.token.reveal()
    for header in ("Basic", "Basic !!!", "Basic ÿ", f"Bearer {key}", "Basic " + "A" * 9):
        sent = {"Authorization": header.encode("latin-1")}
        answers += [await world.client.post(URL, data=grant, headers=sent)]
    assert {answer.text for answer in answers} == {answers[0].text}
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"scope": "jobs:read keys:edit"}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": " "}, "invalid_scope"),
        ({"scope": ["jobs:read", "jobs:read"]}, "invalid_request"),
        ({"client_id": ["a", "b"]}, "invalid_request"),
    ],
)
async def test_a_wrong_request_is_told_in_the_words_of_the_rfc(change: Any, error: str, world: World) -> None:
    issued = await world.make_key(frozenset({READ}))
    answer = await world.client.post(URL, data=form_of(issued) | change)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json().keys() == {"error", "error_description"}
    assert issued.token.reveal() not in answer.text


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"grant_type": "client_credentials"}'),
        ("application/x-www-form-urlencoded", b"\xff\xfe"),
        ("application/x-www-form-urlencoded", b"grant_type"),
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"a=b&" * 1000),
        ("", b"grant_type=client_credentials"),
    ],
)
async def test_what_is_no_form_is_refused(content_type: str, body: bytes, world: World) -> None:
    answer = await world.client.post(URL, content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_secrets_come_one_way_only(world: World) -> None:
    issued = await world.make_key()
    headers = basic(issued.key.prefix, issued.token.reveal())
    answer = await world.client.post(URL, data=form_of(issued), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_each_token_is_written_down(world: World) -> None:
    issued = await world.make_key(frozenset({READ, STEER}))
    await world.client.post(URL, data=form_of(issued, scope="jobs:read"))
    async with world.stores.database.read(world.us.tenant) as session:
        query = text("SELECT actor_kind, actor_id, detail FROM audit_log WHERE action = 'access_token.issued'")
        (entry,) = (await session.execute(query)).all()
    assert tuple(entry) == ("api_key", str(issued.key.id), {"scopes": ["jobs:read"], "lasts_seconds": 900})


async def test_without_a_secret_of_its_own_the_server_says_how_to_make_one(world_with: OpenWorld) -> None:
    async with world_with(BackendSettings(origins=(FRONT_END,))) as world:
        answer = await world.client.post(URL, data=form_of(await world.make_key()))
    assert (answer.status_code, answer.json()["code"]) == (503, "no_secret_key")
    assert "AICD_SECRET_KEYS" in answer.json()["detail"]


async def test_a_key_that_is_being_replaced_still_opens() -> None:
    now, old = datetime.now(UTC), KEYS.get_secret_value()
    sealed = Seal(KEYS, "x").close({"a": 1}, now)
    both = BackendSettings(secret_keys=f"k2:{base64.b64encode(bytes(32)).decode()},{old}").secret_keys
    assert Seal(both, "x").open(sealed, LASTS, now) == {"a": 1}
    assert Seal(KEYS, "x").open(Seal(both, "x").close({"a": 1}, now), LASTS, now) is None
    assert Seal(KEYS, "y").open(sealed, LASTS, now) is None
