"""What is done on GitHub, each thing by a rule of its own for doing it once.

| effect | found again by | repeated |
| --- | --- | --- |
| pull request | head branch `aicd/<job>` | never made while one is found; title and body are set when they differ |
| living comment | hidden mark, by our own login, the oldest | edited in place |
| check run | name, commit and `external_id` | set; annotations are added from the count that it tells |
| labels | their names | added to what is there; only `aicd: needs decision` is taken away again |
| draft | what it is | set when that differs, as long as it was us who made it one |
| reviewers | the label that is set last | asked once, when the pull request is new |
| answer to a thread | hidden mark in that thread | not at all |
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aicd_core.contracts.code_host import Base, PullRequestDraft
from aicd_core.errors import InvalidInputError, NotFoundError, StepFailedError
from aicd_core.ids import JobId
from aicd_github.hub import render
from aicd_github.hub.api import Question
from aicd_github.hub.client import Client

READ_PULLS = frozenset({("pull_requests", "read")})
WRITE_PULLS = frozenset({("pull_requests", "write")})
READ_ISSUES = frozenset({("issues", "read")})
WRITE_ISSUES = frozenset({("issues", "write")})
WRITE_CHECKS = frozenset({("checks", "write")})
_REFUSED = "github_refused"


@dataclass(frozen=True)
class Effects:
    """What is done in one repository."""

    client: Client

    async def find_pull(self, branch: str) -> dict[str, Any] | None:
        """The newest pull request of a branch of the repository, open or not."""
        what = f"The pull requests of {branch} could not be listed"
        head = f"{self.client.address.owner}:{branch}"
        found = await self.client.get("/pulls", READ_PULLS, what, state="all", head=head, per_page=10)
        ours = [pull for pull in found if pull["head"]["ref"] == branch and is_own(pull)]
        return max(ours, key=lambda pull: int(pull["number"]), default=None)

    async def open_pull(self, branch: str, base: Base, draft: PullRequestDraft, body: str) -> dict[str, Any]:
        """The branch's pull request: made, or its words brought up to date.

        Raises:
            StepFailedError: `pull_request_closed`: a person closed it; `github_refused`.
        """
        words = {"title": draft.title, "body": body}
        make = {**words, "head": branch, "base": base.branch, "draft": draft.draft, "maintainer_can_modify": False}
        try:
            pull = await self._make_pull(branch, make)
        except StepFailedError as error:
            # A plan without drafts: the check and the body say that a person must decide.
            if not (draft.draft and error.code == _REFUSED and "raft" in error.message):
                raise
            pull = await self._make_pull(branch, make | {"draft": False})
        if pull["state"] != "open":
            raise StepFailedError(
                f"The pull request {pull['html_url']} was closed by somebody. Reopen it, or start the job anew.",
                code="pull_request_closed",
            )
        if {"title": pull["title"], "body": pull["body"]} != words:
            what = f"The pull request {pull['html_url']} could not be brought up to date"
            pull = dict(await self.client.put("PATCH", f"/pulls/{pull['number']}", words, WRITE_PULLS, what))
        return pull

    async def set_draft(self, pull: dict[str, Any], *, draft: bool) -> bool:
        """Has a pull request that was there before be a draft, or be none any more; whether it is one now.

        Of one that a person made a draft, which has no label of ours that says so, nothing is changed.
        """
        was, ours = bool(pull["draft"]), render.DECIDE_LABEL in _labels(pull)
        if was == draft or (was and not ours):
            return was
        name = "convertPullRequestToDraft" if draft else "markPullRequestReadyForReview"
        text = f"mutation($id: ID!) {{ {name}(input: {{pullRequestId: $id}}) {{ pullRequest {{ isDraft }} }} }}"
        what = f"{pull['html_url']} could not be made {'a draft' if draft else 'ready for review'}"
        told = await self.client.graphql(text, {"id": pull["node_id"]}, WRITE_PULLS, what)
        # A plan without drafts: the check, the label and the body say that a person must decide.
        return was if told is None else bool(told[name]["pullRequest"]["isDraft"])

    async def _make_pull(self, branch: str, body: dict[str, Any]) -> dict[str, Any]:
        what = f"The pull request for {branch} could not be opened"
        make = Question("POST", "/pulls", body)
        return dict(await self.client.once(lambda: self.find_pull(branch), make, WRITE_PULLS, what))

    async def finish_pull(
        self, pull: dict[str, Any], owners: tuple[Sequence[str], Sequence[str]], *, decide: bool
    ) -> None:
        """Asks the owners for a review, once, and sets the labels."""
        there, path = _labels(pull), f"/issues/{pull['number']}/labels"
        what = f"The labels of {pull['html_url']} could not be set"
        if render.LABEL not in there:
            await self._ask_for_review(pull, *owners)
        labels = [*([render.DECIDE_LABEL] if decide else []), render.LABEL]
        if not there.issuperset(labels):
            await self.client.put("POST", path, {"labels": labels}, WRITE_ISSUES, what)
        if render.DECIDE_LABEL in there and not decide:
            with suppress(NotFoundError):  # somebody else took it away
                gone = f"{path}/{quote(render.DECIDE_LABEL, safe='')}"
                await self.client.put("DELETE", gone, None, WRITE_ISSUES, what)

    async def _ask_for_review(self, pull: dict[str, Any], people: Sequence[str], teams: Sequence[str]) -> None:
        """Asks all at once; where GitHub refuses, one by one, since CODEOWNERS may name people who cannot be asked."""
        wanted = [("reviewers", login) for login in people if login != pull["user"]["login"]]
        wanted += [("team_reviewers", team) for team in teams]
        if not wanted:
            return
        path, what = (
            f"/pulls/{pull['number']}/requested_reviewers",
            f"Nobody could be asked to review {pull['html_url']}",
        )
        together = {kind: [name for of, name in wanted if of == kind] for kind in ("reviewers", "team_reviewers")}
        bodies = [together, *({kind: [name]} for kind, name in wanted)]
        for body in bodies:
            try:
                await self.client.put("POST", path, body, WRITE_PULLS, what)
            except StepFailedError as error:
                if error.code != _REFUSED:
                    raise
            else:
                if body is together:
                    return

    async def say(self, issue: int, text: str) -> None:
        """Has the living comment of an issue say this."""
        body, what = render.status_body(text), f"The comment on issue #{issue} could not be written"
        path = f"/issues/{issue}/comments"
        login = await self.client.tokens.login()

        async def find() -> dict[str, Any] | None:
            comments = await self.client.get_all(path, READ_ISSUES, what)
            ours = (c for c in comments if author_of(c) == login and render.STATUS_MARK in (c["body"] or ""))
            return min(ours, key=lambda comment: int(comment["id"]), default=None)

        found = await self.client.once(find, Question("POST", path, {"body": body}), WRITE_ISSUES, what)
        if found["body"] != body:
            await self.client.put("PATCH", f"/issues/comments/{found['id']}", {"body": body}, WRITE_ISSUES, what)

    async def check(self, job_id: JobId, head_sha: str, draft: PullRequestDraft) -> None:
        """The check run of a commit, with every annotation once."""
        what = f"The check of {head_sha[:12]} could not be written"

        async def find(at_least: int = 0) -> dict[str, Any] | None:
            runs = await self.client.get_all(
                f"/commits/{head_sha}/check-runs", WRITE_CHECKS, what, check_name=render.CHECK
            )
            for run in runs:
                if run["external_id"] == str(job_id) and run["output"]["annotations_count"] >= at_least:
                    return dict(run)
            return None

        make = Question("POST", "/check-runs", render.check_body(job_id, head_sha, draft))
        run = await self.client.once(find, make, WRITE_CHECKS, what)
        done = int(run["output"]["annotations_count"])
        while done < len(draft.annotations):
            more = draft.annotations[done : done + render.MOST_ANNOTATIONS]
            done += len(more)
            add = Question("PATCH", f"/check-runs/{run['id']}", {"output": render.check_output(draft, more)})
            await self.client.once(lambda least=done: find(least), add, WRITE_CHECKS, what)  # type: ignore[misc]

    async def reply(self, job_id: JobId, number: int, thread: int, text: str, to: int | None = None) -> None:
        """Answers a thread of a pull request, once for a comment: this one, or the last one by somebody else."""
        path, what = f"/pulls/{number}/comments", f"Thread {thread} could not be answered"
        login = await self.client.tokens.login()
        comments = await self.client.get_all(path, READ_PULLS, what)
        said = [c for c in comments if thread in (c["id"], c.get("in_reply_to_id")) and author_of(c) != login]
        if not said:
            raise InvalidInputError(f"Pull request #{number} has no thread {thread}.", code="no_such_thread")
        mark = render.answer_mark(job_id, thread, to or max(int(c["id"]) for c in said))

        async def find() -> dict[str, Any] | None:
            listed = await self.client.get_all(path, READ_PULLS, what)
            return next((c for c in listed if mark in c["body"] and author_of(c) == login), None)

        body = {"body": render.cut(f"{mark}\n{text}", 65_000)}
        await self.client.once(find, Question("POST", f"{path}/{thread}/replies", body), WRITE_PULLS, what)


def _labels(pull: dict[str, Any]) -> set[str]:
    return {label["name"] for label in pull["labels"]}


def is_own(pull: dict[str, Any]) -> bool:
    """Whether the pull request's branch is in the repository itself: a fork can have the same owner."""
    head = pull["head"]["repo"]
    return head is not None and head["id"] == pull["base"]["repo"]["id"]


def author_of(said: dict[str, Any]) -> str:
    """Who said it; a deleted account has no user."""
    return str((said["user"] or {}).get("login", "ghost"))
