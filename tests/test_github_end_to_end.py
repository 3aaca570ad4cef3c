"""From a label to the merge, with two rounds of feedback: real processes, sockets and git, on a troubled GitHub.

Every route of its API fails once, at its first call, and every webhook comes twice and in another order than things
happened in. There is to be one pull request, one living comment, and each round once.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.testing.chaos.installation import AicdProcess, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import JobRow, list_events, list_jobs
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.paid_model import PRICE
from aicd_core.testing.plugins import offer_agent
from aicd_github.testing.github.faults import Fault
from aicd_github.testing.github.state import Issue
from aicd_github.testing.github_server import GRAPHQL, ROUTES
from aicd_github.testing.messages import Message, Messages
from aicd_github.webhooks.app import PATH
from github_town import GitHub, serving
from paying_agent import AGENT, FINDINGS, MODEL, NAME

SECRET = "long enough to be a secret"
FAULTS = (Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.SECONDARY_LIMIT, Fault.UNAUTHORIZED, Fault.LOST)
REPO = "/repos/{owner}/{repo}"
SERVED = (*((method, route) for method, route, _ in ROUTES), ("POST", GRAPHQL))
UNUSED = {
    ("GET", "/app/installations/{installation_id}"),
    ("POST", "/app-manifests/{code}/conversions"),
    ("GET", "/user"),
    ("GET", f"{REPO}/installation"),
    ("GET", REPO),
    ("GET", f"{REPO}/git/ref/{{ref}}"),
}
"""What is asked for with a personal token, at setup, of an installation that was not told of, and after a renaming."""
MINT = ("POST", "/app/installations/{installation_id}/access_tokens")
WRITING = {
    ("POST", f"{REPO}/pulls"),
    ("PATCH", f"{REPO}/pulls/{{pull_number}}"),
    ("POST", f"{REPO}/pulls/{{pull_number}}/requested_reviewers"),
    ("POST", f"{REPO}/pulls/{{pull_number}}/comments/{{comment_id}}/replies"),
    ("POST", f"{REPO}/issues/{{issue_number}}/comments"),
    ("PATCH", f"{REPO}/issues/comments/{{comment_id}}"),
    ("POST", f"{REPO}/issues/comments/{{comment_id}}/reactions"),
    ("POST", f"{REPO}/issues/{{issue_number}}/labels"),
    ("DELETE", f"{REPO}/issues/{{issue_number}}/labels/{{name}}"),
    ("POST", f"{REPO}/check-runs"),
    ("PATCH", f"{REPO}/check-runs/{{check_run_id}}"),
    ("POST", GRAPHQL),
}


def patch(old: str, new: str) -> str:
    return f"```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1,3 +1,3 @@\n one\n-{old}\n+{new}\n three\n```\n"


ISSUE = "\n".join(patch("hello", f"hello {words}world") for words in ("", "second ", "whole "))
"""Its first diff makes the pull request; the third one is what a red check in round 3 gets."""


@dataclass
class Town:
    """An installation that follows a GitHub with trouble."""

    made: Installation
    github: GitHub
    address: str
    worker: AicdProcess

    def __post_init__(self) -> None:
        self.sent: list[Message] = []
        self._ids = cycle((True, False))

    @property
    def says(self) -> Messages:
        return Messages(self.github.server, self.github.repo, self.github.installed)

    @property
    def issue(self) -> Issue:
        return self.github.repo.issues[1]

    def tell(self, *messages: Message) -> None:
        """Delivers webhooks for the first time, in this order."""
        for message in messages:
            assert self._post(message) == "stored"
        self.sent += messages

    def again(self, *messages: Message) -> None:
        """Delivers their twins: under the same id and under another one, by turns."""
        for message in messages:
            self.sent.remove(message)
            same = next(self._ids)
            assert self._post(message if same else Message(message.event, message.payload)) == "repeated"

    def _post(self, message: Message) -> str:
        answer = httpx.post(self.address, content=message.body, headers=message.headers(SECRET), timeout=60)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["status"])

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.made.urls.admin) as connection:
            return connection.execute(query.encode()).fetchall()

    def job(self) -> JobRow:
        (job,) = list_jobs(self.made.urls.admin)
        return job

    def wait(self, what: str, query: str) -> None:
        """Until a query's answer is `true`."""
        try:
            wait_until(lambda: self.ask(query) == [(True,)], what)
        except TimeoutError as error:
            raise AssertionError(
                f"{error}\n{self.ask('SELECT state, round, reason FROM jobs')}\n{self.said()}"
            ) from None

    def settle(self) -> None:
        """Until everything that was delivered is handled."""
        self.wait("handled deliveries", "SELECT count(*) = 0 FROM deliveries WHERE state = 'received'")

    def round(self, number: int, state: JobState = JobState.PR_OPEN) -> None:
        """Until the job is through with a round, and nothing is left to look at."""
        where = f"state = '{state.value}' AND round = {number} AND look_at IS NULL"
        self.wait(f"round {number}, {state.value}", f"SELECT count(*) = 1 FROM jobs WHERE {where}")
        self.settle()

    def said(self) -> str:
        """What went wrong with deliveries, and the end of the worker's log."""
        told = self.ask(
            "SELECT event, state, attempts, code, reason FROM deliveries WHERE code IS NOT NULL ORDER BY id"
        )
        return "\n".join([*map(str, told), self.worker.said()[-6000:]])


@pytest.fixture
def town(tmp_path: Path, database_urls: TestUrls) -> Iterator[Town]:
    (tmp_path / "town").mkdir()
    with (
        installation(tmp_path, database_urls) as made,
        serving(tmp_path / "town", ISSUE, files={"CODEOWNERS": "*.txt @olga\n"}) as github,
    ):
        github.repo.permissions["olga"] = "write"
        plugins = offer_agent(tmp_path / "agents", NAME, AGENT)
        made.settings |= github.settings() | {
            "AICD_GITHUB_WEBHOOK_SECRET": SECRET,
            "AICD_GITHUB_TIMEOUT": "3",
            "AICD_AGENT": NAME,
            "PYTHONPATH": f"{plugins}:{Path(__file__).parent}",
            MODEL: made.model.url,
        }
        serve, worker = made.begin("web", "github", "serve", "--port", "0"), made.worker("first")
        wait_until(lambda: "taking deliveries" in serve.said() and "ready" in worker.said(), "both processes")
        found = re.search(rf"http://127\.0\.0\.1:\d+{PATH}", serve.said())
        assert found is not None, serve.said()
        yield Town(made, github, found[0], worker)


@pytest.mark.parametrize("turn", range(len(FAULTS)))
def test_with_every_webhook_twice_and_every_call_failing_once_each_thing_is_done_once(town: Town, turn: int):
    planned = planned_in(turn)
    for (method, route), fault in planned.items():
        town.github.server.world.faults.plan(method, route, fault)
    begin(town)
    review(town)
    fail_a_check(town)
    merge(town)
    assert not town.sent, "each of them came twice"
    met = {(call.method, call.route): call.fault for call in town.github.server.world.exchanges if call.fault}
    assert met == {where: fault for where, fault in planned.items() if where not in UNUSED}
    check_the_pull_request(town)
    check_what_was_said(town)
    check_the_record(town)


def test_over_the_turns_each_route_that_writes_loses_an_answer():
    lost = {where for turn in range(len(FAULTS)) for where, fault in planned_in(turn).items() if fault is Fault.LOST}
    assert lost >= WRITING
    reading = {where for where in SERVED if where[0] == "GET"}
    assert set(SERVED) - reading - UNUSED - WRITING == {MINT}, "each that writes is named"


def planned_in(turn: int) -> dict[tuple[str, str], Fault]:
    """What the first call of each route meets."""
    return {where: FAULTS[(place + turn) % len(FAULTS)] for place, where in enumerate(SERVED)}


def begin(town: Town) -> None:
    """Those who may not ask for work do, then one who may does."""
    says, issue = town.says, town.issue
    go, label = says.commented(issue, "/aicd go", "rita"), says.labeled(issue, "aicd", "renovate[bot]")
    town.tell(label, go)
    town.settle()
    assert not list_jobs(town.made.urls.admin)
    label, help_me = says.labeled(issue, "aicd", "alice"), says.commented(issue, "/aicd help", "alice")
    town.tell(help_me, label)
    town.again(help_me)
    town.round(1)


def review(town: Town) -> None:
    """A review with threads; it is told before its comments, and those the other way round."""
    github, before = town.github, list(town.sent)
    asked = [github.comment("alice", patch("hello world", "hello wide world")), github.comment("alice", "Why?")]
    asked.append(github.comment("rita", f"@aicd {patch('hello world', 'x')}"))
    asked.append(github.review("alice", "Not wide enough."))
    for comment in github.pull.comments[:2]:
        comment.review_id = github.pull.reviews[0].id
    said = [Message(*event) for event in asked]
    town.tell(*reversed(said))
    town.again(*reversed(before), said[0])
    town.round(2)


def fail_a_check(town: Town) -> None:
    """A red check, and then the word of a reader, which is told first; then what was said in the round before."""
    before = list(town.sent)
    red, words = Message(*town.github.check()), Message(*town.github.say("rita", f"@aicd {patch('hello', 'x')}"))
    town.tell(words, red)
    town.again(*before)
    town.round(3)


def merge(town: Town) -> None:
    """The merge closes the issue, which is told first; both come again before the twin of the red check does."""
    before = list(town.sent)
    merged, closed = town.says.merged(town.github.pull, "alice"), town.says.closed(town.issue, "alice")
    town.tell(closed, merged)
    town.again(merged)
    town.round(3, JobState.MERGED)
    town.again(closed, *reversed(before))
    town.settle()


def check_the_pull_request(town: Town) -> None:
    """One, on the job's branch, with a commit and a check for each round."""
    github, job = town.github, town.job()
    branch = f"aicd/{job.id}"
    assert [pull.head for pull in github.repo.pulls.values()] == [branch]
    assert github.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split() == [branch, "main"]
    assert github.file() == "one\nhello whole world\nthree"
    heads = github.git("rev-list", "--reverse", f"main..{branch}").split()
    assert len(heads) == 3
    ours = [run for run in github.repo.checks if run.app == "aicd"]
    assert [run.head_sha for run in ours] == heads
    assert [len(run.annotations) for run in ours] == [0, FINDINGS, 0]
    assert len({mark["start_line"] for mark in ours[1].annotations}) == FINDINGS
    assert (github.pull.draft, github.pull.issue.labels, github.pull.reviewers) == (False, ["aicd"], ["olga"])
    assert "## Feedback, round 2" in github.pull.issue.body


def check_what_was_said(town: Town) -> None:
    """One living comment, one answer to each thread, one reaction to each command."""
    github = town.github
    (living,) = github.living()
    assert "was merged" in living
    assert [said.user.login for said in github.pull.issue.comments] == ["rita"]
    threads = [said.id for said in github.pull.comments if said.in_reply_to is None]
    answered = [said.in_reply_to for said in github.pull.comments if said.in_reply_to is not None]
    assert sorted(answered) == threads
    assert len(threads) == 3
    reactions = {said.body: list(said.reactions) for said in town.issue.comments if said.body.startswith("/aicd")}
    assert reactions == {"/aicd go": [("aicd[bot]", "confused")], "/aicd help": [("aicd[bot]", "+1")]}


def check_the_record(town: Town) -> None:
    """One job, each round once, each call paid once, each delivery once and for a reason."""
    job = town.job()
    assert (job.status.state, job.status.round, job.status.feedback_rounds) == (JobState.MERGED, 3, 2)
    events = Counter(event.event for event in list_events(town.made.urls.admin))
    assert (events[JobEvent.FEEDBACK], events[JobEvent.MERGED], events[None]) == (2, 1, 1)
    begun = town.ask("SELECT detail->>'by' FROM job_events WHERE event IS NULL")
    assert begun == [("alice on GitHub",)]
    rounds = dict(town.ask("SELECT kind, array_agg(round ORDER BY id) FROM artifacts GROUP BY kind"))
    assert (rounds["pull_request"], rounds["change"], rounds["review"]) == ([1, 2, 3],) * 3
    assert rounds["feedback"] == [2, 3]
    paid = len(town.made.model.calls())
    assert paid == 7, "a plan, and coding and reviewing in each round"
    assert (job.calls, job.entries, job.spent) == (paid, paid, paid * PRICE.cost_micro_usd)
    told = Counter(town.ask("SELECT event, state, code FROM deliveries"))
    # Which of the two came first, the end of the issue or that of its pull request, is chance.
    assert told.pop(("issues", "ignored", "pull_request_open"), 0) + told.pop(("issues", "ignored", "no_job"), 0) == 1
    assert told == {
        ("issues", "ignored", "trigger_bot"): 1,
        ("issues", "handled", None): 1,
        ("issue_comment", "ignored", "trigger_permission"): 1,
        ("issue_comment", "handled", None): 2,
        ("pull_request_review_comment", "handled", None): 3,
        ("pull_request_review", "handled", None): 1,
        ("check_run", "handled", None): 1,
        ("pull_request", "handled", None): 1,
    }, town.said()
