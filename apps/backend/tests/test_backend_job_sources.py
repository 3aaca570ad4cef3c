"""Jobs of issues on GitHub, and policy on past commits there: only of what the organization's own installation or
token opens."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

import github_town
from aicd_backend.console.forms import TOKEN, token_of
from aicd_backend.stores import Stores
from aicd_backend.testing.world import BASE, SYSTEM, OpenWorld, Org, World, settings_under_test
from aicd_cli.hosts import Hosts
from aicd_core.ids import InstallationId
from aicd_core.orchestrator.retries import Backoff
from aicd_core.tenancy.installations.service import follow
from aicd_core.tenancy.installations.values import InstallationFacts
from aicd_core.tenancy.permissions import Permission, Role
from aicd_core.tenancy.repositories.service import connect
from aicd_github.hub import insisting
from aicd_github.testing.github.faults import Fault
from github_town import GitHub

TOKENS = "/app/installations/{installation_id}/access_tokens"


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


async def tried(world: World, org: Org, repository_id: str) -> httpx.Response:
    """The console's dry run on the last two commits."""
    headers = {**await world.as_role(Role.VIEWER, org), "Origin": BASE}
    token = token_of(headers["Cookie"].partition("=")[2])
    fields = {
        TOKEN: token,
        "revision": "0",
        "repository": repository_id,
        "commits": "2",
        "protected_paths": "notes.txt",
    }
    return await world.client.post(f"/console/{org.slug}/policy/try", headers=headers, data=fields)


async def test_the_last_commits_are_fetched_and_judged_by_the_rules_in_the_editor(world: World, github: GitHub) -> None:
    ours = await connected(world, github, world.us, installed=True)
    for path in ("greet.txt", "notes.txt"):
        github.push("main", path, "new", f"Change {path}")
        shown = await tried(world, world.us, ours)
    assert shown.status_code == 200, shown.text
    assert [told in shown.text for told in ("Change notes.txt", "Change greet.txt", "Begin")] == [True, True, False]
    assert ("1 allow" in shown.text, "1 deny" in shown.text) == (True, True)
    assert f'<option value="{ours}" selected>' in shown.text


async def test_the_past_is_not_shown_to_whom_it_is_not_his(world: World, github: GitHub) -> None:
    ours = await connected(world, github, world.us, installed=True)
    theirs = await connected(world, github, world.rival, installed=False)
    assert (await tried(world, world.us, ours)).status_code == 200  # it is here now
    for asked, status in ((ours, 404), (theirs, 403)):
        answer = await tried(world, world.rival, asked)
        assert (answer.status_code, "Begin" in answer.text) == (status, False)


async def judged_by_api(world: World, org: Org, repository_id: str, **more: Any) -> httpx.Response:
    path, headers = f"/v1/organizations/{org.slug}/policy/dry-run/commits", await world.as_role(Role.VIEWER, org)
    return await world.client.post(path, headers=headers, json={"repository_id": repository_id, **more})


async def test_the_api_judges_past_commits_as_the_console_does(world: World, github: GitHub) -> None:
    ours = await connected(world, github, world.us, installed=True)
    for path in ("greet.txt", "notes.txt"):
        github.push("main", path, "new", f"Change {path}")
    answer = await judged_by_api(world, world.us, ours, commits=2, rules={"protected_paths": ["notes.txt"]})
    said = answer.json()
    assert answer.status_code == 200, answer.text
    assert said["counts"] == {"allow": 1, "ask": 0, "deny": 1, "unjudged": 0}
    assert [one["subject"] for one in said["commits"]] == ["Change notes.txt", "Change greet.txt"]
    assert said["commits"][0]["sha"] == github.git("rev-parse", "refs/heads/main")
    assert {one["rule"] for one in said["commits"][0]["report"]["findings"]} == {"protected_path"}
    built_in = (await judged_by_api(world, world.us, ours)).json()
    assert len(built_in["commits"]) == 3
    assert not [one for one in built_in["commits"][:2] if one["report"]["findings"]], (
        "these count now, and protect nothing here"
    )


async def test_the_api_tells_what_it_does_not_judge(world: World, github: GitHub) -> None:
    ours = await connected(world, github, world.us, installed=True)
    theirs = await connected(world, github, world.rival, installed=False)
    assert (await judged_by_api(world, world.us, ours)).status_code == 200  # it is here now
    strangers = [await judged_by_api(world, world.rival, one) for one in (ours, theirs)]
    assert [refused(one)[0] for one in strangers] == [404, 403]
    assert not any("Begin" in one.text for one in strangers)
    assert refused(await judged_by_api(world, world.us, ours, rules={"max_files": "many"})) == (400, "bad_rules")
    assert (await judged_by_api(world, world.us, ours, commits=101)).status_code == 422
    path, body = f"/v1/organizations/{world.us.slug}/policy/dry-run/commits", {"repository_id": ours}
    no_repositories = await world.as_key(frozenset({Permission.POLICIES_READ}))
    assert (await world.client.post(path, headers=no_repositories, json=body)).status_code == 403
    world.app.state.past_runs.patience = 0
    late = await judged_by_api(world, world.us, ours)
    assert (*refused(late), late.headers["Retry-After"]) == (503, "past_not_ready", "60")
    world.app.state.past_runs.patience = 60
    assert (await judged_by_api(world, world.us, ours)).status_code == 200


async def test_access_that_was_withdrawn_and_a_github_that_is_away_are_told(
    world: World, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insisting, "_BACKOFF", Backoff(attempts=1, first=0.01, longest=0.01))
    ours = await connected(world, github, world.us, installed=True)
    assert (await tried(world, world.us, ours)).status_code == 200
    github.server.world.faults.plan("POST", TOKENS, *[Fault.BAD_GATEWAY] * 2)
    away = await tried(world, world.us, ours)
    github.installed.repositories.clear()
    narrowed = await tried(world, world.us, ours)
    github.installed.removed = True
    removed = await tried(world, world.us, ours)
    told = (
        (away, 503, "does not answer|fault of its own"),
        (narrowed, 409, "no longer covers"),
        (removed, 403, "gone"),
    )
    for answer, status, why in told:
        assert (answer.status_code, "Begin" in answer.text) == (status, False)
        assert re.search(f'role="alert">.*({why})', answer.text), answer.text
