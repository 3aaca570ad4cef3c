"""Jobs of issues on GitHub: only of repositories that the organization's own installation or token opens."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

import github_town
from aicd_backend.stores import Stores
from aicd_backend.testing.world import SYSTEM, OpenWorld, Org, World, settings_under_test
from aicd_cli.hosts import Hosts
from aicd_core.ids import InstallationId
from aicd_core.tenancy.installations.service import follow
from aicd_core.tenancy.installations.values import InstallationFacts
from aicd_core.tenancy.permissions import Role
from aicd_core.tenancy.repositories.service import connect
from github_town import GitHub


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHub]:
    with github_town.serving(tmp_path) as running:
        yield running


@asynccontextmanager
async def opened(world_with: OpenWorld, github: GitHub, data: Path, **credentials: Any) -> AsyncIterator[World]:
    more = {"github_api_url": github.server.api, "data_dir": data, **credentials}
    async with world_with(settings_under_test().model_copy(update=more)) as world:
        yield world


@pytest.fixture
async def world(world_with: OpenWorld, github: GitHub, tmp_path: Path) -> AsyncIterator[World]:
    """A server with the App, which is installed on the repository of ours."""
    app = {"github_app_id": github.installed.app.id, "github_app_key_file": github.key_file}
    async with opened(world_with, github, tmp_path / "data", **app) as entered:
        yield entered


async def connected(world: World, github: GitHub, org: Org, *, installed: bool) -> str:
    """The GitHub repository as one of the organization's."""
    facts = InstallationFacts(github.server.api, github.installed.id, "acme", None, datetime.now(UTC))
    installation: InstallationId | None = None
    async with world.stores.database.write(org.tenant) as session:
        if installed:
            view = await follow(session, org.tenant, SYSTEM, facts)
            assert view is not None
            installation = view.id
        source = f"{github.server.web}/acme/project.git"
        return str((await connect(session, org.tenant, SYSTEM, source, installation_id=installation)).id)


async def create(world: World, org: Org, repository_id: str, **what: Any) -> httpx.Response:
    path = f"/v1/organizations/{org.slug}/jobs"
    body = {"repository_id": repository_id, **what}
    return await world.client.post(path, headers=await world.as_role(Role.DEVELOPER, org), json=body)


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_an_issue_becomes_a_job_by_its_number(world: World, github: GitHub) -> None:
    ours = await connected(world, github, world.us, installed=True)
    made = await create(world, world.us, ours, issue_number=1)
    job = made.json()
    assert made.status_code == 201, made.text
    assert (job["title"], job["issue_number"], job["base_branch"]) == ("Greet the world", 1, "main")
    assert job["base_sha"] == github.git("rev-parse", "refs/heads/main")
    again = await create(world, world.us, ours, issue_number=1, agent="dummy")
    assert (*refused(again), again.json()["job_id"]) == (409, "job_open", job["id"])


async def test_an_issue_becomes_a_job_by_its_name(world: World, github: GitHub) -> None:
    ours = await connected(world, github, world.us, installed=True)
    path, headers = "/v1/organizations/acme/jobs", await world.as_role(Role.DEVELOPER)
    rivals = {"headers": await world.as_role(Role.DEVELOPER, world.rival), "json": {"issue_name": "acme/project#1"}}
    assert refused(await world.client.post("/v1/organizations/rival/jobs", **rivals)) == (404, "no_such_repository")
    wrong = {
        "acme/project": "bad_issue_name",
        "acme/other#1": "no_such_repository",
        "acme/project#999": "no_such_issue",
        "https://evil.test/acme/project/issues/1": "bad_issue_name",
        "../../etc#1": "bad_issue_name",
    }
    for name, code in wrong.items():
        answer = await world.client.post(path, headers=headers, json={"issue_name": name})
        assert answer.json()["code"] == code, (name, answer.text)
    for body in ({}, {"issue": "x"}, {"issue_name": "acme/project#1", "issue_number": 1}, {"repository_id": ours}):
        assert refused(await world.client.post(path, headers=headers, json=body)) == (400, "one_issue")
    both = {"issue_name": "acme/project#1", "repository_id": ours}
    assert refused(await world.client.post(path, headers=headers, json=both)) == (400, "one_issue")
    made = await world.client.post(path, headers=headers, json={"issue_name": "Acme/Project#1"})
    assert made.status_code == 201, made.text
    assert (made.json()["repository_id"], made.json()["issue_number"]) == (ours, 1)
    page = f"{github.server.web}/acme/project/issues/1"
    assert refused(await world.client.post(path, headers=headers, json={"issue_name": page})) == (409, "job_open")


async def test_an_issue_that_is_closed_or_not_there_becomes_none(world: World, github: GitHub) -> None:
    ours = await connected(world, github, world.us, installed=True)
    github.repo.issues[1].state = "closed"
    assert refused(await create(world, world.us, ours, issue_number=1)) == (400, "issue_closed")
    assert refused(await create(world, world.us, ours, issue_number=999)) == (404, "no_such_issue")


@pytest.mark.parametrize("what", [{"issue_number": 1}, {"issue": "Show me their branches."}])
async def test_the_app_opens_no_repository_to_an_organization_that_has_not_installed_it(
    what: dict[str, Any], world: World, github: GitHub
) -> None:
    await connected(world, github, world.us, installed=True)
    theirs = await connected(world, github, world.rival, installed=False)
    assert refused(await create(world, world.rival, theirs, **what)) == (403, "not_installed")


async def test_the_operators_token_opens_what_his_own_organization_asks_for(
    world_with: OpenWorld, github: GitHub, tmp_path: Path
) -> None:
    token = SecretStr(github.server.add_token("alice"))
    async with opened(world_with, github, tmp_path / "data", github_token=token) as world:
        hosts = world.stores.parts.hosts
        assert isinstance(hosts, Hosts)
        hosts.guard(world.stores.database, world.us.tenant)
        ours = await connected(world, github, world.us, installed=False)
        assert (await create(world, world.us, ours, issue_number=1)).status_code == 201


async def test_a_server_whose_hosts_are_not_guarded_does_not_start(world: World) -> None:
    settings = world.stores.settings
    with pytest.raises(ValueError, match="guard the hosts"):
        Stores.of(world.stores.database, world.stores.system, settings, Hosts(settings))


@pytest.mark.parametrize("what", [{"issue_number": 1}, {"issue": "Show me their branches."}])
async def test_the_operators_token_opens_no_repository_to_other_organizations(
    what: dict[str, Any], world_with: OpenWorld, github: GitHub, tmp_path: Path
) -> None:
    token = SecretStr(github.server.add_token("alice"))
    async with opened(world_with, github, tmp_path / "data", github_token=token) as world:
        theirs = await connected(world, github, world.rival, installed=False)
        answer = await create(world, world.rival, theirs, **what)
    assert answer.status_code in {400, 403, 503}, answer.text
    assert github.server.calls("GET", "/repos/{owner}/{repo}/issues/{issue_number}") == []
