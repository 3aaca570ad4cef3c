"""The stand-in's answers, and what we send, against GitHub's own description of its REST API."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from github_world import DRAFT, Hub, make_key, published
from openapi_schema_validator import OAS30Validator

from aicd_core.contracts import Annotation
from aicd_core.ids import JobId
from aicd_github.hub.api import Question, Secret
from aicd_github.testing.github.state import CheckRun, Exchange, Review, ReviewComment
from aicd_github.testing.github_server import ROUTES
from aicd_github.testing.node import node_project

ROOT = Path(__file__).parents[3]
_NO_SCHEMA = ("example", "examples", "discriminator")
INLINE = 12
"""How deep references are followed: no answer is nested deeper."""


class Description:
    """GitHub's description; what is asked about is taken out of it, so that 13 MB are not searched each time."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.validator = cache(self._validator)

    def _at(self, reference: str) -> Any:
        found: Any = self._document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found

    def _inlined(self, node: Any, left: int) -> Any:
        if isinstance(node, list):
            return [self._inlined(item, left) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node and isinstance(node["$ref"], str):
            return self._inlined(self._at(node["$ref"]), left - 1) if left else {}
        return {key: self._inlined(value, left) for key, value in node.items() if key not in _NO_SCHEMA}

    def _validator(self, method: str, route: str, status: int | None) -> OAS30Validator:
        """What an answer, or with None what is sent, must be."""
        operation = self._document["paths"][route][method.lower()]
        told = operation["requestBody"] if status is None else operation["responses"][str(status)]
        content = self._inlined(told, INLINE)["content"]["application/json"]
        return OAS30Validator(content["schema"])

    def faults(self, exchange: Exchange) -> list[str]:
        asked, answered = (exchange.method, exchange.route, None), (exchange.method, exchange.route, exchange.status)
        pairs = [(answered, exchange.answer)] + ([(asked, exchange.sent)] if exchange.sent else [])
        return [
            f"{exchange.method} {exchange.route} {key[2]}: {'/'.join(map(str, error.path))}: {error.message[-300:]}"
            for key, value in pairs
            for error in self.validator(*key).iter_errors(value)
        ]


@pytest.fixture(scope="session")
def description() -> Description:
    place = node_project(ROOT / "tests" / "openapi", ROOT / ".tools")
    file = place / "node_modules/@octokit/openapi/generated/api.github.com.json"
    return Description(json.loads(file.read_text()))


async def talk_about_everything(hub: Hub, host, request_for, job_id: JobId) -> None:
    """Every call that the stand-in serves, as the product makes it or, where it makes none yet, by hand."""
    note = Annotation(path="new.txt", line=1, level="warning", title="t", message="m")
    for text in (b"one", b"two"):
        draft = DRAFT.model_copy(update={"annotations": (note,) * 51, "title": text.decode()})
        opened = await published(host, job_id, request_for, draft, text)
    for text in ("one", "two"):
        await host.report(job_id, 1, text)
    (pull,) = hub.repo.pulls.values()
    alice, sha = hub.server.world.user("alice"), opened.head_sha
    pull.reviews.append(Review(alice, "No.", "CHANGES_REQUESTED", sha))
    pull.comments.append(ReviewComment(alice, "Why?", "new.txt", 1, sha))
    hub.repo.checks.append(CheckRun("github-actions", sha, "test", "", "completed", "failure", log="red"))
    feedback = await host.read_feedback(job_id)
    await host.answer(job_id, feedback.threads[0].id, "Because.")
    await host.read_issue(1)
    comment = hub.repo.issues[1].comments[0].id
    await host.desk.react(comment, "eyes")
    await host.desk.react(comment, "eyes")
    app = host._tokens.app
    person, api = Secret(hub.server.add_token("alice")), hub.api()
    hub.server.world.conversions["code"] = converted(hub)
    repo = "/repos/acme/project"
    reviewers = Question("POST", f"{repo}/pulls/{pull.issue.number}/requested_reviewers", {"reviewers": ["alice"]})
    for question, login in (
        (Question("GET", f"/app/installations/{hub.installed.id}"), app.key),
        (Question("POST", "/app-manifests/code/conversions"), None),
        (Question("GET", "/user"), person),
        (Question("GET", repo), person),
        (Question("GET", f"{repo}/git/ref/heads/main"), person),
        (Question("GET", f"{repo}/collaborators/rita/permission"), person),
        (Question("GET", f"{repo}/pulls/{pull.issue.number}"), person),
        (reviewers, person),
        (Question("POST", f"{repo}/issues/{pull.issue.number}/labels", {"labels": ["a b"]}), person),
        (Question("DELETE", f"{repo}/issues/{pull.issue.number}/labels/a%20b"), person),
        (Question("PATCH", f"{repo}/pulls/{pull.issue.number}", {"title": "x"}), person),
    ):
        hub.server.world.user("rita")
        assert (await api.ask(question, login)).ok, question


def converted(hub: Hub) -> dict[str, Any]:
    secrets = {"client_secret": "c", "webhook_secret": "w", "pem": make_key()[0]}
    return hub.server.shapes.app(hub.served_app) | secrets


async def test_every_answer_and_everything_sent_is_as_github_describes_it(
    hub: Hub,
    hub_host,
    request_for,
    job_id: JobId,
    description: Description,
) -> None:
    await talk_about_everything(hub, hub_host, request_for, job_id)
    done = [call for call in hub.server.world.exchanges if call.status in (200, 201)]
    faults = {fault for call in done if "/_logs/" not in call.route for fault in description.faults(call)}
    assert not faults, "\n".join(sorted(faults))
    redirects = {(call.method, call.route) for call in hub.server.world.exchanges if call.status == 302}
    seen = {(call.method, call.route) for call in done} | redirects
    assert {(method, route) for method, route, _ in ROUTES} <= seen, "all that is served was asked for"


async def test_an_answer_that_lacks_something_is_found(hub: Hub, hub_host, description: Description) -> None:
    await hub_host.read_issue(1)
    call = next(call for call in hub.server.world.exchanges if call.route.endswith("/issues/{issue_number}"))
    assert not description.faults(call)
    del call.answer["user"]
    call.answer["number"] = "1"
    assert len(description.faults(call)) == 2
