"""Routes of organizations beyond what the matrix of test_backend_access shows: what they do, not who may."""

from typing import Any

import httpx
import pytest

from aicd_backend.testing.world import Headers, OpenWorld, World, settings_under_test
from aicd_core.tenancy.permissions import EVERYTHING, Permission, Role

ORG = "/v1/organizations/acme"
PATCH = """\
diff --git a/.github/workflows/ci.yml b/.github/workflows/ci.yml
--- a/.github/workflows/ci.yml
+++ b/.github/workflows/ci.yml
@@ -1 +1 @@
-on: push
+on: [push]
"""


async def get(world: World, path: str, headers: Headers, **query: Any) -> Any:
    answer = await world.client.get(path, headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def edit(
    world: World, method: str, path: str, headers: Headers, body: Any = None, read: str | None = None
) -> httpx.Response:
    tag = (await world.client.get(read or path, headers=headers)).headers["ETag"]
    return await world.client.request(method, path, headers={**headers, "If-Match": tag}, json=body)


async def member_id(world: World, role: Role) -> str:
    members = await get(world, f"{ORG}/members", await world.as_role(Role.OWNER))
    return str(next(member["id"] for member in members["items"] if member["role"] == role))


async def test_a_member_gets_another_role_and_with_it_other_powers(world: World) -> None:
    viewer = await world.as_role(Role.VIEWER)
    path = f"{ORG}/members/{await member_id(world, Role.VIEWER)}"
    done = await edit(world, "PATCH", path, await world.as_role(Role.ADMIN), {"role": "admin"})
    assert (done.status_code, done.json()["role"]) == (200, "admin")
    assert (await world.client.get(f"{ORG}/audit", headers=viewer)).status_code == 200


async def test_an_admin_makes_no_owner_and_takes_none_out(world: World) -> None:
    admin = await world.as_role(Role.ADMIN)
    path = f"{ORG}/members/{await member_id(world, Role.VIEWER)}"
    answer = await edit(world, "PATCH", path, admin, {"role": "owner"})
    assert (answer.status_code, answer.json()["code"]) == (403, "role_too_high")
    out = await world.client.delete(f"{ORG}/members/{await member_id(world, Role.OWNER)}", headers=admin)
    assert (out.status_code, out.json()["code"]) == (403, "role_too_high")


async def test_everybody_may_leave_but_the_last_owner(world: World) -> None:
    viewer = await world.as_role(Role.VIEWER)
    assert (await world.client.delete("/v1/me/organizations/acme", headers=viewer)).status_code == 204
    assert (await world.client.get(ORG, headers=viewer)).status_code == 404
    stays = await world.client.delete("/v1/me/organizations/acme", headers=await world.as_role(Role.OWNER))
    assert (stays.status_code, stays.json()["code"]) == (409, "last_owner")


async def test_a_guest_becomes_a_member_by_the_link_and_nobody_else_does(world: World) -> None:
    guest = await world.make_user("guest")
    body = {"email": guest.email, "role": "developer", "days": 1}
    sent = await world.client.post(f"{ORG}/invitations", headers=await world.as_role(Role.ADMIN), json=body)
    token = {"token": sent.json()["token"]}
    assert sent.json()["invitation"]["email"] == guest.email
    assert token["token"] not in str(await get(world, f"{ORG}/invitations", await world.as_role(Role.ADMIN)))
    other = world.as_session(await world.open_session((await world.make_user("other")).id))
    refused = await world.client.post("/v1/invitations/accept", headers=other, json=token)
    assert (refused.status_code, refused.json()["code"]) == (403, "email_differs")
    headers = world.as_session(await world.open_session(guest.id))
    accepted = await world.client.post("/v1/invitations/accept", headers=headers, json=token)
    assert (accepted.status_code, accepted.json()["role"]) == (200, "developer")
    assert (await world.client.get(ORG, headers=headers)).status_code == 200
    again = await world.client.post("/v1/invitations/accept", headers=headers, json=token)
    assert (again.status_code, again.json()["code"]) == (409, "invitation_used")


@pytest.mark.parametrize(("token", "status"), [("garbage", 400), ("", 400), ("aicd_inv_", 400)])
async def test_a_garbled_link_is_no_reason_to_log_in_again(token: str, status: int, world: World) -> None:
    answer = await world.client.post(
        "/v1/invitations/accept", headers=await world.as_role(Role.OWNER), json={"token": token}
    )
    assert (answer.status_code, answer.json()["code"]) == (status, "malformed_token")


async def test_a_link_that_was_taken_back_is_worth_nothing(world: World) -> None:
    guest = await world.make_user("guest")
    sent = await world.make_invitation(guest.email)
    path = f"{ORG}/invitations/{sent.invitation.id}"
    assert (await world.client.delete(path, headers=await world.as_role(Role.ADMIN))).status_code == 204
    headers = world.as_session(await world.open_session(guest.id))
    body = {"token": sent.token.reveal()}
    answer = await world.client.post("/v1/invitations/accept", headers=headers, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "invitation_revoked")


async def test_a_person_sees_and_ends_his_own_logins_and_nobody_elses(world: World) -> None:
    here, there = await world.as_role(Role.VIEWER), await world.as_role(Role.VIEWER)
    listed = (await get(world, "/v1/me/sessions", here))["items"]
    assert [item["current"] for item in listed] == [False, True]
    stranger = await world.as_role(Role.OWNER)
    path = f"/v1/me/sessions/{listed[0]['id']}"
    assert (await world.client.delete(path, headers=stranger)).status_code == 404
    assert (await world.client.delete(path, headers=here)).status_code == 204
    assert (await world.client.get("/v1/me", headers=there)).status_code == 401
    assert (await world.client.get("/v1/me", headers=here)).status_code == 200


async def test_all_other_logins_end_at_once(world: World) -> None:
    here, others = await world.as_role(Role.VIEWER), [await world.as_role(Role.VIEWER) for _ in range(2)]
    assert (await world.client.delete("/v1/me/sessions", headers=here)).status_code == 204
    assert [(await world.client.get("/v1/me", headers=other)).status_code for other in others] == [401, 401]
    assert (await world.client.get("/v1/me", headers=here)).status_code == 200


async def test_who_did_what_is_in_the_audit_log_and_can_be_filtered(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    await edit(world, "PATCH", ORG, owner, {"name": "Acme Corporation"})
    key = await world.client.post(f"{ORG}/api-keys", headers=owner, json={"name": "k", "scopes": ["jobs:read"]})
    made, renamed = (await get(world, f"{ORG}/audit", owner, limit=2))["items"]
    assert (made["action"], made["target_id"]) == ("api_key.created", key.json()["key"]["id"])
    assert (renamed["action"], renamed["detail"]) == (
        "organization.renamed",
        {"from": "Acme", "to": "Acme Corporation"},
    )
    assert {made["actor_kind"], made["actor_id"]} == {"user", str(world.us.members[Role.OWNER].id)}
    for query in ({"action": "organization.renamed"}, {"action": ["organization.renamed", "no.such"]}):
        assert (await get(world, f"{ORG}/audit", owner, **query))["items"] == [renamed]
    for query in ({"target_id": made["target_id"]}, {"target_kind": "api_key", "actor_id": made["actor_id"]}):
        assert (await get(world, f"{ORG}/audit", owner, **query))["items"] == [made]


async def test_a_repository_is_connected_configured_disconnected_and_taken_up_again(world: World) -> None:
    owner, source = await world.as_role(Role.OWNER), "https://code.test/acme/shop"
    made = await world.client.post(f"{ORG}/repositories", headers=owner, json={"source": source})
    path = f"{ORG}/repositories/{made.json()['id']}"
    twice = await world.client.post(f"{ORG}/repositories", headers=owner, json={"source": source})
    assert (made.status_code, twice.status_code, twice.json()["code"]) == (201, 409, "connected_already")
    change = {"enabled": False, "issue_budget_micro_usd": 1_000_000}
    edited = await edit(world, "PUT", path, owner, change)
    assert (edited.json()["enabled"], edited.json()["issue_budget_micro_usd"]) == (False, 1_000_000)
    assert edited.headers["ETag"] == (await world.client.get(path, headers=owner)).headers["ETag"]
    gone = await edit(world, "DELETE", path, owner)
    assert gone.json()["disconnected_at"] is not None
    assert [r["id"] for r in (await get(world, f"{ORG}/repositories", owner))["items"]] == []
    old = await get(world, f"{ORG}/repositories", owner, disconnected="true")
    assert [r["id"] for r in old["items"]] == [made.json()["id"]]
    back = await edit(world, "POST", f"{path}/reconnect", owner, read=path)
    assert (back.status_code, back.json()["disconnected_at"]) == (200, None)


@pytest.mark.parametrize("source", ["/srv/other-tenants-code", "file:///etc", "ssh://git@code.test/x", "https:/x"])
async def test_a_path_on_the_server_is_not_a_tenants_to_name(source: str, world: World) -> None:
    answer = await world.client.post(f"{ORG}/repositories", headers=await world.as_key(), json={"source": source})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_source")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("shop", 400),
        ("./shop", 400),
        ("~/shop", 400),
        ("/srv/shop", 201),
        ("/srv/a:b", 201),
        ("file:///srv/shop", 201),
        ("git@code.test:acme/shop", 201),
    ],
)
async def test_a_path_that_its_operator_allows_is_a_whole_one(source: str, told: int, world_with: OpenWorld) -> None:
    async with world_with(settings_under_test().model_copy(update={"local_repositories": True})) as world:
        owner = await world.as_role(Role.OWNER)
        answer = await world.client.post(f"{ORG}/repositories", headers=owner, json={"source": source})
    assert (answer.status_code, answer.json().get("code")) == (told, "bad_source" if told == 400 else None)


async def test_a_policy_is_published_in_versions(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    assert (await get(world, f"{ORG}/policy", owner))["version"] == 0
    for number in (1, 2):
        done = await edit(world, "PUT", f"{ORG}/policy", owner, {"rules": {"max_files": number}, "note": f"n{number}"})
        assert (done.status_code, done.json()["version"], done.json()["rules"]["max_files"]) == (200, number, number)
    versions = (await get(world, f"{ORG}/policy/versions", owner))["items"]
    assert [(version["version"], version["note"]) for version in versions] == [(2, "n2"), (1, "n1")]
    assert (await get(world, f"{ORG}/policy/versions/1", owner))["rules"]["max_files"] == 1
    late = {**owner, "If-Match": '"1"'}
    assert (await world.client.put(f"{ORG}/policy", headers=late, json={"rules": {}})).status_code == 412
    wrong = await edit(world, "PUT", f"{ORG}/policy", owner, {"rules": {"max_fils": 1}})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_rules")


@pytest.mark.parametrize("version", ["0", "-1", "99999999999999999999"])
async def test_a_version_that_is_not_there_is_not_found(version: str, world: World) -> None:
    answer = await world.client.get(f"{ORG}/policy/versions/{version}", headers=await world.as_key())
    assert answer.status_code == 404


async def test_rules_are_tried_on_a_change_and_nothing_is_stored(world: World) -> None:
    viewer = await world.as_role(Role.VIEWER)
    said = [
        (await world.client.post(f"{ORG}/policy/dry-run", headers=viewer, json={"patch": PATCH, **rules})).json()
        for rules in ({}, {"rules": {"protected_paths": []}})
    ]
    assert "protected_path" in {finding["rule"] for finding in said[0]["findings"]}
    assert "protected_path" not in {finding["rule"] for finding in said[1]["findings"]}
    assert (await get(world, f"{ORG}/policy", viewer))["version"] == 0


@pytest.mark.parametrize("patch", ["nonsense", "--- a/x\n+++ b/x\n@@ -1,9 +1 @@\n-a\n", "\x00"])
async def test_what_is_no_patch_is_told(patch: str, world: World) -> None:
    answer = await world.client.post(f"{ORG}/policy/dry-run", headers=await world.as_key(), json={"patch": patch})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_patch")


async def test_only_an_owner_deletes_an_organization(world: World) -> None:
    admin = await world.as_role(Role.ADMIN)
    assert (await edit(world, "DELETE", ORG, admin)).status_code == 403
    powerless = await world.as_key(EVERYTHING - {Permission.ORG_DELETE})
    assert (await edit(world, "DELETE", ORG, powerless)).status_code == 403
    assert (await edit(world, "DELETE", ORG, await world.as_role(Role.OWNER))).status_code == 200
    assert (await world.client.get(ORG, headers=admin)).status_code == 404
