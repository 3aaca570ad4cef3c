"""Logging in at GitHub, by a stand-in that speaks its OAuth and the two routes of its API that are asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

from aicd_backend.login_providers import GithubProvider
from aicd_backend.settings import BackendSettings
from aicd_backend.testing.browsers import Browser, open_browser
from aicd_backend.testing.providers import CLIENT_ID, CLIENT_SECRET, GithubStandIn, serving
from aicd_backend.testing.world import BASE, KEYS, OpenWorld, World

PUBLIC = {"email": "shown@example.org", "primary": False, "verified": True, "visibility": "public"}
PRIMARY = {"email": "octo@example.org", "primary": True, "verified": True, "visibility": None}


def stand_in(*emails: dict[str, Any], **user: Any) -> GithubStandIn:
    return GithubStandIn({"id": 583231, "login": "octocat", "name": None, "email": PUBLIC["email"]} | user, [*emails])


@asynccontextmanager
async def at_github(
    github: GithubStandIn, world_with: OpenWorld, secret: str = CLIENT_SECRET
) -> AsyncIterator[tuple[World, Browser]]:
    async with serving(github.app()) as url:
        provider = GithubProvider(
            name="github", kind="github", url=url, client_id=CLIENT_ID, client_secret=SecretStr(secret)
        )
        settings = BackendSettings(public_url=BASE, secret_keys=KEYS, login_providers=(provider,))
        async with world_with(settings) as world, open_browser(world.app, BASE) as browser:
            yield world, browser


async def test_somebody_logs_in_by_his_primary_address(world_with: OpenWorld) -> None:
    github = stand_in(PUBLIC, PRIMARY)
    async with at_github(github, world_with) as (_, browser):
        began = await browser.get("/v1/auth/github/login")
        asked = dict(parse_qsl(urlsplit(began.headers["Location"]).query))
        answer = await browser.get(await browser.follow(began.headers["Location"], f"{BASE}/v1/auth/github/callback"))
        me = (await browser.get("/v1/me")).json()["user"]
    assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "read:user user:email")
    assert (answer.status_code, answer.headers["location"]) == (302, "/v1/me")
    assert (me["email"], me["email_verified"], me["name"]) == ("octo@example.org", True, "octocat")


async def test_a_renamed_account_with_another_address_is_the_same_person(world_with: OpenWorld) -> None:
    github = stand_in(PRIMARY)
    async with at_github(github, world_with) as (_, browser):
        await browser.log_in("github")
        first = (await browser.get("/v1/me")).json()["id"]
        github.user["login"], github.emails = "renamed", [PRIMARY | {"email": "new@example.org", "verified": False}]
        await browser.log_in("github")
        assert (await browser.get("/v1/me")).json()["id"] == first


async def test_whoever_took_the_name_of_another_is_not_him(world_with: OpenWorld) -> None:
    github = stand_in(PRIMARY)
    async with at_github(github, world_with) as (_, browser):
        await browser.log_in("github")
        first = (await browser.get("/v1/me")).json()["id"]
        github.user["id"], github.emails = 1, [PRIMARY | {"email": "new@example.org"}]
        await browser.log_in("github")
        assert (await browser.get("/v1/me")).json()["id"] != first


@pytest.mark.parametrize(
    ("emails", "code"),
    [
        ([PUBLIC, PRIMARY | {"verified": False}], "email_unverified"),
        ([PUBLIC], "email_missing"),
        ([], "email_missing"),
        ([PRIMARY | {"verified": "true"}], "email_unverified"),
    ],
)
async def test_only_a_verified_primary_address_counts(
    emails: list[dict[str, Any]], code: str, world_with: OpenWorld
) -> None:
    async with at_github(stand_in(*emails), world_with) as (_, browser):
        answer = await browser.log_in("github")
    assert (answer.status_code, code in answer.text) == (403, True)


async def test_a_code_is_taken_once_and_only_with_its_verifier(world_with: OpenWorld) -> None:
    github = stand_in(PRIMARY)
    async with at_github(github, world_with) as (world, browser):
        stolen = await browser.come_back("github")
        async with open_browser(world.app, BASE) as thief:
            own = dict(parse_qsl(urlsplit(await thief.come_back("github")).query))
            code = dict(parse_qsl(urlsplit(stolen).query))["code"]
            answer = await thief.get(f"/v1/auth/github/callback?state={own['state']}&code={code}")
    assert (answer.status_code, "login_code_refused" in answer.text) == (403, True)
    assert not github.tokens


async def test_a_wrong_secret_of_ours_is_told_to_whoever_can_mend_it(world_with: OpenWorld) -> None:
    async with at_github(stand_in(PRIMARY), world_with, secret="wrong") as (_, browser):
        answer = await browser.log_in("github")
    assert answer.status_code == 403
    assert "whoever runs AI-CD here should check the client&#x27;s secret" in answer.text
    assert "wrong" not in answer.text


@pytest.mark.parametrize("number", [None, "abc"])
async def test_an_answer_that_is_not_githubs_is_not_understood(number: str | None, world_with: OpenWorld) -> None:
    async with at_github(stand_in(PRIMARY, id=number), world_with) as (_, browser):
        answer = await browser.log_in("github")
    assert (answer.status_code, "login_provider_unfit" in answer.text) == (503, True)
