"""Getting into GitHub: an App's signed word, tokens, narrowed and kept, and what is said without one."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from github_world import Hub

from aicd_core.errors import ForbiddenError, InvalidInputError, NotFoundError, UnauthenticatedError, UnavailableError
from aicd_github.git.credentials import Access
from aicd_github.hub.address import RepositoryAddress, address_of_source, checked_api, parse_issue, web_of
from aicd_github.hub.api import Api, AppKey, Question, Secret
from aicd_github.hub.client import Client
from aicd_github.hub.insisting import insist
from aicd_github.hub.tokens import App, GitCredentials, InstallationTokens, PersonalToken, load_app_key
from aicd_github.testing.github.faults import Fault
from aicd_github.testing.github.state import now

ISSUES = frozenset({("issues", "read")})
MINT = "/app/installations/{installation_id}/access_tokens"


def tokens_of(hub: Hub, app: App | None = None) -> InstallationTokens:
    app = app or hub.app()
    return app.on(hub.address, lambda: app.installation_of(hub.address))


async def test_a_token_allows_what_was_asked_for_in_one_repository_and_is_kept(hub: Hub, repo) -> None:
    other = hub.server.add_repository("acme", "other", repo.path)
    hub.installed.repositories.add(other.id)
    tokens = tokens_of(hub)
    first = await tokens.token(ISSUES)
    assert await tokens.token(ISSUES) == first
    assert await tokens.token(frozenset({("issues", "write")})) != first
    minted = hub.server.calls("POST", MINT)
    assert [call.sent["permissions"] for call in minted] == [{"issues": "read"}, {"issues": "write"}]
    assert minted[0].sent["repositories"] == ["project"]
    hub.server.add_issue(hub.repo, "Title", "body", "alice")
    hub.server.add_issue(other, "Title", "body", "alice")
    path = "/repos/acme/{}/issues/1"
    api = hub.api()
    assert (await api.ask(Question("GET", path.format("project")), first)).status == 200
    assert (await api.ask(Question("GET", path.format("other")), first)).status == 404
    comment = Question("POST", f"{path.format('project')}/comments", {"body": "x"})
    assert (await api.ask(comment, first)).status == 403


async def test_a_token_that_soon_ends_is_replaced(hub: Hub) -> None:
    app = hub.app()
    tokens = tokens_of(hub, app)
    first = await tokens.token(ISSUES)
    app.now = lambda: datetime.now(UTC) + timedelta(minutes=56)
    assert await tokens.token(ISSUES) != first


async def test_a_revoked_token_is_minted_again_once(hub: Hub) -> None:
    hub.server.add_issue(hub.repo, "Title", "body", "alice")
    client = Client(hub.api(), tokens_of(hub), hub.address)
    await client.get("/issues/1", ISSUES, "no")
    for token in hub.server.world.tokens:
        token.revoked = True
    assert (await client.get("/issues/1", ISSUES, "no"))["title"] == "Title"
    assert len(hub.server.calls("POST", MINT)) == 2
    assert [call.status for call in hub.server.world.exchanges if "issues" in call.route] == [200, 401, 304]


async def test_git_gets_a_token_of_its_own_each_time(hub: Hub) -> None:
    credentials = GitCredentials(tokens_of(hub))
    reading, again = [await credentials.mint(Access.READ) for _ in range(2)]
    writing = await credentials.mint(Access.WRITE)
    assert len({reading.secret, again.secret, writing.secret}) == 3
    asked = [call.sent["permissions"] for call in hub.server.calls("POST", MINT)]
    assert asked == [{"contents": "read"}, {"contents": "read"}, {"contents": "write"}]


async def test_the_app_signs_for_minutes_only_and_allows_for_a_slow_clock_of_github(hub: Hub, monkeypatch) -> None:
    seen = []
    real = jwt.encode
    monkeypatch.setattr(jwt, "encode", lambda claims, *rest, **more: seen.append(claims) or real(claims, *rest, **more))
    await hub.app().slug()
    (claims,) = seen
    assert claims["iat"].timestamp() <= time.time() - 50
    assert claims["exp"] - claims["iat"] <= timedelta(minutes=10)


@pytest.mark.parametrize(
    ("spoil", "error", "code"),
    [
        (lambda hub: setattr(hub.installed, "suspended_at", now()), ForbiddenError, "installation_suspended"),
        (lambda hub: hub.installed.permissions.pop("issues"), Exception, "github_refused"),
    ],
)
async def test_an_installation_that_may_not_is_told(hub: Hub, spoil, error, code) -> None:
    tokens = tokens_of(hub)
    spoil(hub)
    with pytest.raises(error) as told:
        await tokens.token(ISSUES)
    assert told.value.code == code


async def test_an_installation_that_was_removed_is_told(hub: Hub) -> None:
    app = hub.app()
    number = await app.installation_of(hub.address)

    async def known() -> int:
        return number

    hub.installed.removed = True
    with pytest.raises(ForbiddenError):
        await tokens_of(hub, app).token(ISSUES)
    with pytest.raises(ForbiddenError) as told:
        await app.on(hub.address, known).token(ISSUES)
    assert told.value.code == "installation_removed"
    with pytest.raises(NotFoundError):
        await app.installation_of(hub.address)


async def test_a_foreign_key_is_refused_in_words(hub: Hub, app_key) -> None:
    from github_world import make_key

    wrong = App(hub.api(), AppKey(hub.served_app.id, make_key()[0]))
    with pytest.raises(UnauthenticatedError, match="key and this machine's clock"):
        await wrong.slug()


async def test_a_personal_token_is_used_as_it_is(hub: Hub) -> None:
    secret = hub.server.add_token("alice")
    tokens = PersonalToken(hub.api(), Secret(secret))
    assert (await tokens.token(ISSUES)).value == secret
    assert await tokens.login() == "alice"
    assert (await GitCredentials(tokens).mint(Access.WRITE)).secret == secret


def test_no_secret_shows(app_key, hub: Hub) -> None:
    app = hub.app()
    shown = f"{AppKey(1, app_key[0])!r} {Secret('ghs_abc')!r} {app!r} {PersonalToken(hub.api(), Secret('ghs_abc'))!r}"
    assert "ghs_abc" not in shown
    assert "PRIVATE" not in shown


def test_a_key_comes_from_a_file_or_a_setting(tmp_path: Path, app_key) -> None:
    file = tmp_path / "key.pem"
    file.write_text(app_key[0])
    assert load_app_key(1, file=file) == load_app_key(1, text=app_key[0].replace("\n", "\\n"))
    file.write_text("SECRETNOTPEM")
    for bad in ({"file": file}, {"text": "SECRETNOTPEM"}, {"file": tmp_path / "none"}, {"text": app_key[1]}):
        with pytest.raises(InvalidInputError) as told:
            load_app_key(1, **bad)
        assert "SECRETNOTPEM" not in str(told.value)


FAULTS = [Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.SECONDARY_LIMIT, Fault.PRIMARY_LIMIT, Fault.UNAUTHORIZED]


@pytest.mark.parametrize("fault", [*FAULTS, Fault.LOST])
async def test_a_call_that_fails_once_is_made_again(hub: Hub, fault: Fault) -> None:
    hub.server.add_issue(hub.repo, "Title", "body", "alice")
    hub.server.world.faults.plan("GET", "/repos/{owner}/{repo}/issues/{issue_number}", fault)
    client = Client(hub.api(timeout=1.5), tokens_of(hub, hub.app(20)), hub.address)
    assert (await client.get("/issues/1", ISSUES, "no"))["title"] == "Title"


async def test_a_limit_that_asks_for_too_long_is_told_at_once(hub: Hub) -> None:
    hub.server.add_issue(hub.repo, "Title", "body", "alice")
    hub.server.world.faults.wait = 3600
    hub.server.world.faults.plan("GET", "/repos/{owner}/{repo}/issues/{issue_number}", Fault.PRIMARY_LIMIT)
    with pytest.raises(UnavailableError, match="rate limit asks to wait") as told:
        await Client(hub.api(), tokens_of(hub), hub.address).get("/issues/1", ISSUES, "It could not be read")
    assert told.value.code == "github_rate_limited"


async def test_a_server_that_is_not_there_is_told() -> None:
    api = Api("http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="does not answer"):
        await insist(lambda: api.ask(Question("GET", "/app"), None), "No", patience=0.1)


async def test_what_is_known_already_is_asked_for_conditionally(hub: Hub) -> None:
    issue = hub.server.add_issue(hub.repo, "Title", "body", "alice")
    client = Client(hub.api(), tokens_of(hub), hub.address)
    await client.get("/issues/1", ISSUES, "no")
    before = hub.server.world.remaining
    assert (await client.get("/issues/1", ISSUES, "no"))["title"] == "Title"
    assert hub.server.world.remaining == before, "a 304 counts against no limit"
    issue.title = "Another"
    assert (await client.get("/issues/1", ISSUES, "no"))["title"] == "Another"


def test_addresses() -> None:
    public, enterprise = "https://api.github.com", "https://git.example.com/api/v3"
    address, number = parse_issue(public, "octocat/hello-world#12")
    assert (address.clone_url, number) == ("https://github.com/octocat/hello-world.git", 12)
    assert parse_issue(public, "https://github.com/octocat/hello-world/issues/12") == (address, 12)
    assert web_of(enterprise) == "https://git.example.com"
    assert web_of("https://api.acme.ghe.com") == "https://acme.ghe.com"
    assert address_of_source(enterprise, "https://git.example.com/a/b.git") == RepositoryAddress(enterprise, "a", "b")
    for other in (
        "https://github.com.evil.example/a/b",
        "/srv/a/b",
        "https://github.com:8443/a/b",
        "git@github.com:a/b.git",
    ):
        assert address_of_source(public, other) is None
    for odd in (
        "a/b/c",
        "a",
        "a/..",
        "a/.",
        "a/.git",
        "a/b/../c",
        "../a/b",
        "a//b",
        "a%2fb",
        "a/b?x=1",
        "a/b#c",
        " a/b",
    ):
        with pytest.raises(InvalidInputError, match="OWNER/REPO") as caught:
            address_of_source(public, f"https://github.com/{odd}")
        assert caught.value.code == "bad_repository_url"

    for bad in ("octocat#1", "a/b#0", "a/..#1", "a/b", "../b#1", "https://gitlab.com/a/b/issues/1"):
        with pytest.raises(InvalidInputError):
            parse_issue(public, bad)
    for bad in ("http://git.example.com/api/v3", "ftp://x", "https://u:p@x", "x"):
        with pytest.raises(InvalidInputError):
            checked_api(bad)


def test_one_repository_has_one_key_in_every_spelling() -> None:
    public = "https://api.github.com"
    spellings = (
        *("https://github.com/Acme/Project", "https://github.com/acme/project.git", "HTTPS://GitHub.com/ACME/project/"),
        *("https://github.com:443/acme/project", "http://github.com/acme/project"),
    )
    found = [address_of_source(public, spelling) for spelling in spellings]
    assert {address.key for address in found if address} == {"https://github.com/acme/project"}
    assert all(address and address.clone_url.startswith("https://github.com/") for address in found)
    other = address_of_source(public, "https://github.com/acme/project2")
    assert other
    assert other.key not in {address.key for address in found if address}
