"""Secrets go in and never come out; installations are let go of for good."""

from uuid import UUID

from aicd_backend.testing.recipes import PARAMETERS
from aicd_backend.testing.world import KEYS, SYSTEM, OpenWorld, World, settings_under_test
from aicd_core.ids import InstallationId
from aicd_core.tenancy.permissions import Role
from aicd_core.tenancy.repositories.service import connect
from aicd_core.tenancy.secrets.keyring import Keyring
from aicd_core.tenancy.secrets.service import get

ORG = "/v1/organizations/acme"
SECRET = f"{ORG}/secrets/MODEL_KEY"
VALUE = "sk-very-secret"


async def test_a_secret_is_set_replaced_and_removed_and_its_value_is_told_to_nobody(world: World) -> None:
    admin = await world.as_role(Role.ADMIN)
    told = []

    async def send(method: str, etag: str | None = None, body: object = None, url: str = SECRET) -> int:
        headers = {**admin, **({"If-Match": etag} if etag else {})}
        answer = await world.client.request(method, url, headers=headers, json=body)
        told.append(answer.text + str(answer.headers))
        return answer.status_code

    new = {"value": VALUE}
    assert await send("PUT", None, new) == 428
    assert await send("PUT", '"1"', new) == 404
    assert await send("PUT", '"0"', new) == 200
    assert await send("PUT", '"0"', new) == 412
    assert await send("GET") == 200
    assert await send("PUT", '"1"', {"value": f"{VALUE}-2"}) == 200
    assert await send("PUT", '"1"', new) == 412
    listed = await world.client.get(f"{ORG}/secrets", headers=admin)
    assert [(item["name"], item["revision"]) for item in listed.json()["items"]] == [("MODEL_KEY", 2)]
    async with world.stores.database.read(world.us.tenant) as session:
        keyring = Keyring.parse(KEYS.get_secret_value())
        assert await get(session, world.us.tenant, keyring, "MODEL_KEY") == f"{VALUE}-2"
    assert await send("DELETE", '"1"') == 412
    assert await send("DELETE", '"2"') == 204
    assert (await send("DELETE", '"2"'), await send("GET")) == (404, 404)
    for wrong in ({"value": ""}, {"value": "a\x00"}, {"value": 7}, {}, {"value": "x", "name": "Y"}):
        assert await send("PUT", '"0"', wrong) in {400, 422}
    assert await send("PUT", '"0"', new, f"{ORG}/secrets/lower") == 422
    acts = await world.client.get(f"{ORG}/audit", headers=admin, params={"target_kind": "secret"})
    assert [act["action"] for act in acts.json()["items"]] == ["secret.deleted", "secret.put", "secret.put"]
    assert VALUE not in listed.text + acts.text + "".join(told)


async def test_without_a_key_of_the_operators_no_secret_is_kept(world_with: OpenWorld) -> None:
    async with world_with(settings_under_test().model_copy(update={"secret_keys": None})) as world:
        headers = {**await world.as_key(), "If-Match": '"0"'}
        answer = await world.client.put(SECRET, headers=headers, json={"value": VALUE})
        assert (answer.status_code, answer.json()["code"]) == (503, "no_secret_key")
        assert VALUE not in answer.text


async def test_an_installation_that_is_let_go_of_takes_its_repositories_along(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    which = await PARAMETERS["installation_id"](world, world.us)
    async with world.stores.database.write(world.us.tenant) as session:
        for source, installation in (
            ("https://code.test/a", InstallationId(UUID(which))),
            ("https://code.test/b", None),
        ):
            await connect(session, world.us.tenant, SYSTEM, source, installation_id=installation)
    path = f"{ORG}/installations/{which}"
    assert (await world.client.get(path, headers=owner)).json()["removed_at"] is None
    gone = await world.client.delete(path, headers=owner)
    assert (gone.status_code, gone.json()["removed_at"] is None) == (200, False)
    assert (await world.client.delete(path, headers=owner)).json() == gone.json()
    left = await world.client.get(f"{ORG}/repositories", headers=owner)
    assert [item["source"] for item in left.json()["items"]] == ["https://code.test/b"]
    acts = await world.client.get(f"{ORG}/audit", headers=owner, params={"target_kind": "installation"})
    assert [(act["action"], act["actor_kind"]) for act in acts.json()["items"]][:1] == [
        ("installation.removed", "user")
    ]
