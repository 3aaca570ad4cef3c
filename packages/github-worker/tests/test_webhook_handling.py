"""From GitHub's own example payloads through the endpoint, the store and the router; and what installations come to."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from aicd_core.contracts import Bell
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.deliveries.models import DeliveryState
from aicd_core.deliveries.service import DeliveryWorker, store
from aicd_core.deliveries.values import HANDLED, DeliveryView, Outcome, ignored
from aicd_core.errors import InvalidInputError
from aicd_core.ids import DeliveryId, new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.testing.databases import TestUrls
from aicd_github.webhooks import SOURCE
from aicd_github.webhooks.app import PATH, WebhookEndpoint, webhook_app
from aicd_github.webhooks.commands import Command, Verb
from aicd_github.webhooks.events import KINDS, CommentEvent, Event, IssueEvent, ReviewEvent
from aicd_github.webhooks.installations import InstallationHandlers, clone_url
from aicd_github.webhooks.payload import parse, subject_of
from aicd_github.webhooks.routing import Arrival, Route, Router
from aicd_github.webhooks.signature import Secrets, sign
from aicd_github.webhooks.tenants import Tenants, parse_accounts

API = "https://api.github.com"
SECRET = "it is long enough to be one"
FOREVER = timedelta(days=36_500)
ACTIONS = {
    "issues": ("labeled", "assigned", "edited", "closed", "transferred"),
    "issue_comment": ("created", "edited"),
    "pull_request": ("closed", "synchronize", "reopened"),
    "pull_request_review": ("submitted", "edited"),
    "pull_request_review_comment": ("created", "edited"),
    "check_suite": ("completed",),
    "check_run": ("completed", "requested_action"),
    "status": (None,),
    "push": (None,),
}
"""What jobs will be started and steered by."""


def examples_of(node: Path) -> list[tuple[str, dict[str, Any]]]:
    """Event and payload of each of GitHub's examples, of github.com and of every GitHub Enterprise Server."""
    folder = node / "node_modules" / "@octokit" / "webhooks-examples"
    return [
        (event["name"], payload)
        for file in sorted(folder.glob("*/index.json"))
        for event in json.loads(file.read_bytes())
        for payload in event["examples"]
    ]


@dataclass
class Silent:
    """A bell that nobody hears."""

    async def ring(self) -> None: ...

    async def run(self, answer: Any) -> None: ...

    async def stop(self) -> None: ...


BELL: Bell = Silent()


@dataclass
class Noting:
    """A handler that notes what it was given."""

    seen: list[tuple[Arrival, Event]] = field(default_factory=list)

    async def __call__(self, arrival: Arrival, event: Event, /) -> Outcome:
        self.seen.append((arrival, event))
        return HANDLED


@dataclass
class Place:
    """A router with handlers, on a real database."""

    database: Database
    system: SystemDatabase
    tenant: Tenant
    admin_url: str
    noting: Noting = field(default_factory=Noting)
    accounts: dict[str, str] = field(default_factory=lambda: {"octocat": "acme", "codertocat": "acme"})
    remembered: timedelta = FOREVER

    def router(self) -> Router:
        tenants = Tenants(self.database, self.system, API, self.accounts)
        noted = [Route(KINDS[event], actions, self.noting) for event, actions in ACTIONS.items()]
        handlers = InstallationHandlers(self.database, API).routes()
        return Router(tenants, (*noted, *handlers), self.remembered)

    async def handle(self, event: str, **payload: Any) -> Outcome:
        """What the router makes of one payload."""
        body = json.dumps(payload).encode()
        view = DeliveryView(DeliveryId(new_uuid()), None, SOURCE, "x", event, None, None, body, 1, datetime.now(UTC))
        return await self.router()(view)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin_url) as connection:
            return connection.execute(query.encode()).fetchall()

    def installations(self) -> list[tuple[Any, ...]]:
        return self.ask(
            "SELECT external_id, account, org_id, suspended_at IS NOT NULL, removed_at IS NOT NULL FROM installations"
        )

    def repositories(self) -> dict[str, bool]:
        """Each source, and whether it is connected."""
        return dict(self.ask("SELECT source, disconnected_at IS NULL FROM repositories ORDER BY id"))

    def audited(self) -> list[str]:
        return [action for (action,) in self.ask("SELECT action FROM audit_log ORDER BY id")]


@pytest.fixture
async def place(database: Database, system: SystemDatabase, tenant: Tenant, database_urls: TestUrls) -> Place:
    return Place(database, system, tenant, database_urls.admin)


async def test_every_example_of_github_is_stored_and_handled_or_consciously_ignored(place: Place, node: Path):
    examples = examples_of(node)
    assert len(examples) == 726, "329 of github.com, the others of GitHub Enterprise Server"
    place.accounts = {
        (payload.get("installation", {}).get("account") or {}).get("login", "").lower(): "acme"
        for _, payload in examples
    } | {
        (payload.get("repository") or {}).get("full_name", "").partition("/")[0].lower(): "acme"
        for _, payload in examples
    }
    endpoint = WebhookEndpoint(Secrets(SECRET), lambda new: store(place.system, new), API)
    bodies = {json.dumps(payload).encode(): event for event, payload in examples}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(webhook_app(endpoint)), base_url="http://test"
    ) as client:
        for number, (body, event) in enumerate(bodies.items()):
            headers = {
                "Content-Type": "application/json",
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": str(number),
                "X-Hub-Signature-256": sign(SECRET, body),
            }
            answer = await client.post(PATH, content=body, headers=headers)
            assert (answer.status_code, answer.json()["status"]) == (202, "stored"), (event, answer.text)
    await DeliveryWorker(place.system, BELL, {SOURCE: place.router()}).work()
    found = place.ask("SELECT event, state, code, reason FROM deliveries")
    assert len(found) == len(bodies)
    assert [row for row in found if row[1] not in ("handled", "ignored")] == []
    assert {code for _, state, code, _ in found if state == "ignored"} == {
        *("unknown_event", "unknown_action", "unrouted", "installation_removed")
    }
    assert {event for event, state, _, _ in found if state == "handled"} >= {
        "installation",
        "ping",
        "issues",
        "check_run",
    }


def test_every_example_of_a_kind_that_is_handled_can_be_read(node: Path):
    for event, payload in examples_of(node):
        if event in KINDS:
            read = KINDS[event].model_validate(parse(json.dumps(payload).encode()))
            if event in ACTIONS and read.action in ACTIONS[event] and event != "push":
                assert read.occurred_at is not None, (event, read.action)
            if event in ACTIONS and event != "status":
                assert subject_of(event, payload) is not None, (event, read.action)


def test_whatever_is_about_one_pull_request_or_branch_has_one_subject(node: Path):
    repository = {"id": 5, "full_name": "a/b"}
    one = {"repository": repository, "pull_request": {"number": 7}}
    two = {"repository": repository, "issue": {"number": 7}}
    three = {"repository": repository, "check_run": {"pull_requests": [{"number": 7}]}}
    assert {subject_of("x", payload) for payload in (one, two, three)} == {"5#7"}
    push = {"repository": repository, "ref": "refs/heads/main"}
    status = {"repository": repository, "branches": [{"name": "main"}]}
    assert {subject_of("x", payload) for payload in (push, status)} == {"5@main"}
    assert subject_of("installation", {"installation": {"id": 3}}) == "installation/3"
    assert subject_of("ping", {"installation": {"id": 3}}) is None


REPOSITORY = {"id": 5, "full_name": "octocat/hello"}
ISSUE = {
    "number": 7,
    "id": 70,
    "title": "It\x00is broken",
    "labels": [{"name": "aicd"}],
    "updated_at": "2026-11-24T10:00:00Z",
}
SENDER = {"id": 1, "login": "ada", "type": "User"}


async def test_a_handler_gets_its_event_and_whose_it_is(place: Place):
    sent = {"repository": REPOSITORY, "installation": {"id": 3}, "sender": SENDER}
    await place.handle("issues", action="labeled", issue=ISSUE, label={"name": "aicd"}, **sent)
    ((arrival, event),) = place.noting.seen
    assert arrival.tenant == place.tenant
    assert isinstance(event, IssueEvent)
    assert (event.issue.number, event.label and event.label.name, event.issue.title) == (7, "aicd", "It\ufffdis broken")
    assert event.sender is not None
    assert event.sender.kind == "person"
    assert place.installations() == [(3, "octocat", place.tenant.org_id, False, False)]


async def test_commands_are_read_where_they_are_new():
    base = {"repository": REPOSITORY, "issue": ISSUE}
    created = {**base, "action": "created", "comment": {"id": 1, "body": "/aicd go"}}
    assert CommentEvent.model_validate(created).commands == (Command(Verb.GO),)
    edited = {**created, "action": "edited", "changes": {"body": {"from": "/aicd go"}}}
    assert CommentEvent.model_validate(edited).commands == ()
    edited["changes"] = {"body": {"from": "Hm."}}
    assert CommentEvent.model_validate(edited).commands == (Command(Verb.GO),)
    assert CommentEvent.model_validate({**created, "action": "deleted"}).commands == ()
    ref = {"ref": "main", "sha": "a" * 40}
    pull = {"number": 7, "id": 1, "state": "open", "head": ref, "base": ref}
    review = {"repository": REPOSITORY, "pull_request": pull, "action": "submitted"}
    review["review"] = {"id": 1, "state": "commented", "body": "/aicd retry"}
    assert ReviewEvent.model_validate(review).commands == (Command(Verb.RETRY),)


@pytest.mark.parametrize(
    ("event", "payload", "state", "code"),
    [
        ("star", {"action": "created"}, DeliveryState.IGNORED, "unknown_event"),
        (
            "issues",
            {"action": "pinned", "issue": ISSUE, "repository": REPOSITORY},
            DeliveryState.IGNORED,
            "unknown_action",
        ),
        ("issues", {"action": "labeled", "repository": REPOSITORY}, DeliveryState.FAILED, "unreadable_payload"),
        ("issues", {"action": "labeled", "issue": ISSUE, "repository": REPOSITORY}, DeliveryState.IGNORED, "unrouted"),
        ("ping", {"zen": "Design for failure.", "hook_id": 1}, DeliveryState.HANDLED, None),
    ],
)
async def test_what_nothing_is_done_on_says_why(
    place: Place, event: str, payload: dict[str, Any], state: DeliveryState, code: str | None
):
    outcome = await place.handle(event, **payload)
    assert (outcome.state, outcome.code) == (state, code)
    assert place.noting.seen == []


async def test_what_happened_before_deliveries_are_remembered_is_not_acted_on(place: Place):
    place.remembered = timedelta(days=30)
    sent = {"action": "labeled", "repository": REPOSITORY, "installation": {"id": 3}}
    old = datetime.now(UTC) - timedelta(days=31)
    outcome = await place.handle("issues", issue={**ISSUE, "updated_at": old.isoformat()}, **sent)
    assert (outcome.code, place.noting.seen) == ("too_old", [])
    fresh = datetime.now(UTC) - timedelta(days=29)
    await place.handle("issues", issue={**ISSUE, "updated_at": fresh.isoformat()}, **sent)
    assert len(place.noting.seen) == 1


async def test_an_account_that_no_organization_takes_is_nobodys(place: Place):
    outcome = await place.handle("issues", action="labeled", issue=ISSUE, installation={"id": 9}, **other("mallory/x"))
    assert outcome.code == "unrouted"
    assert "AICD_GITHUB_ACCOUNTS" in (outcome.reason or "")
    assert (place.noting.seen, place.installations(), outcome.org_id) == ([], [], None)


def other(full_name: str) -> dict[str, Any]:
    return {"repository": {"id": 6, "full_name": full_name}}


def installation(number: int = 3, *, at: str = "2026-11-24T10:00:00Z", suspended: str | None = None) -> dict[str, Any]:
    account = {"id": 2, "login": "Octocat", "type": "Organization"}
    return {"installation": {"id": number, "account": account, "updated_at": at, "suspended_at": suspended}}


def names(*names: str) -> list[dict[str, Any]]:
    return [{"id": number, "full_name": f"octocat/{name}"} for number, name in enumerate(names)]


HELLO, WORLD = "https://github.com/octocat/hello.git", "https://github.com/octocat/world.git"


async def test_an_installation_comes_and_goes_with_its_repositories(place: Place):
    await place.handle("installation", action="created", repositories=names("hello"), **installation())
    assert place.installations() == [(3, "Octocat", place.tenant.org_id, False, False)]
    assert place.repositories() == {HELLO: True}
    both = {"repositories_added": names("world"), "repositories_removed": names("hello")}
    await place.handle("installation_repositories", action="added", **both, **installation())
    assert place.repositories() == {HELLO: False, WORLD: True}
    await place.handle("installation", action="deleted", **installation())
    assert place.installations()[0][4]
    assert place.repositories() == {HELLO: False, WORLD: False}
    assert place.audited() == [
        *("installation.created", "repository.connected", "repository.connected", "repository.disconnected"),
        *("installation.removed", "repository.disconnected"),
    ]


async def test_said_twice_it_changes_nothing(place: Place):
    for _ in range(2):
        await place.handle("installation", action="created", repositories=names("hello"), **installation())
        await place.handle(
            "installation_repositories", action="added", repositories_added=names("world"), **installation()
        )
    assert place.audited() == ["installation.created", "repository.connected", "repository.connected"]
    gone = [await place.handle("installation", action="deleted", **installation()) for _ in range(2)]
    assert [outcome.code for outcome in gone] == [None, "installation_removed"]


async def test_word_of_the_beginning_that_comes_after_the_end_begins_nothing(place: Place):
    await place.handle("installation", action="deleted", **installation())
    late = await place.handle("installation", action="created", repositories=names("hello"), **installation())
    assert late.code == "installation_removed"
    event = await place.handle("issues", action="labeled", issue=ISSUE, repository=REPOSITORY, installation={"id": 3})
    assert event.code == "unrouted"
    assert (place.repositories(), place.noting.seen) == ({}, [])


async def test_suspended_or_not_is_as_the_newest_word_has_it(place: Place):
    late, early = "2026-11-24T12:00:00Z", "2026-11-24T11:00:00Z"
    await place.handle("installation", action="created", **installation())
    await place.handle("installation", action="unsuspend", **installation(at=late))
    await place.handle("installation", action="suspend", **installation(at=early, suspended=early))
    assert not place.installations()[0][3]
    later = "2026-11-24T13:00:00Z"
    await place.handle("installation", action="suspend", **installation(at=later, suspended=later))
    assert place.installations()[0][3]
    assert place.audited() == ["installation.created", "installation.suspended"]


async def test_another_organizations_installation_stays_its_own(place: Place, rival: Tenant):
    await place.handle("installation", action="created", **installation())
    place.accounts = {"octocat": "rival"}
    await place.handle("installation", action="new_permissions_accepted", **installation())
    outcome = await place.handle("issues", action="labeled", issue=ISSUE, repository=REPOSITORY, installation={"id": 3})
    assert outcome.org_id == place.tenant.org_id
    assert [row[2] for row in place.installations()] == [place.tenant.org_id]


async def test_a_repository_that_a_person_switched_off_stays_so(place: Place):
    await place.handle("installation", action="created", repositories=names("hello"), **installation())
    with psycopg.connect(place.admin_url) as connection:
        connection.execute(b"UPDATE repositories SET enabled = false")
    await place.handle("installation_repositories", action="added", repositories_added=names("hello"), **installation())
    assert place.ask("SELECT enabled FROM repositories") == [(False,)]


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ("https://api.github.com", "https://github.com/a/b.git"),
        ("https://ghe.example.org/api/v3", "https://ghe.example.org/a/b.git"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com/a/b.git"),
    ],
)
def test_a_clone_url_is_as_github_gives_it(api: str, url: str):
    assert clone_url(api, "a/b") == url


def test_accounts_are_read_and_refused_with_a_sentence():
    assert parse_accounts(" Acme, Octocat = team ,", "local") == {"acme": "local", "octocat": "team"}
    assert parse_accounts("", "local") == {}
    for wrong in ("=team", "acme=", "acme,ACME=team"):
        with pytest.raises(InvalidInputError, match="AICD_GITHUB_ACCOUNTS"):
            parse_accounts(wrong, "local")


async def test_every_handler_of_an_action_is_called_and_one_that_did_something_counts(place: Place):
    async def useless(*_: object) -> Outcome:
        return ignored("useless", "It is nothing to this one.")

    routes = [Route(IssueEvent, ("labeled",), handler) for handler in (useless, place.noting, useless)]
    router = Router(Tenants(place.database, place.system, API, place.accounts), routes, FOREVER)
    issue = {"number": 1, "id": 1, "title": "x"}
    payload = {
        "action": "labeled",
        "issue": issue,
        "installation": {"id": 7},
        "repository": {"id": 1, "full_name": "octocat/x"},
    }
    body = json.dumps(payload).encode()
    view = DeliveryView(DeliveryId(new_uuid()), None, SOURCE, "x", "issues", None, None, body, 1, datetime.now(UTC))
    assert (await router(view)).state is DeliveryState.HANDLED
    assert len(place.noting.seen) == 1
