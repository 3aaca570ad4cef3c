"""The GitHub code host: branches by git, everything else by the REST API."""

import asyncio
from pathlib import Path
from typing import Any

from aicd_core.contracts.code_host import Base, Checkout, Confirm, PullRequest, PullRequestDraft, always
from aicd_core.contracts.outside import HostFeedback
from aicd_core.contracts.sandbox import Sandbox
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId
from aicd_core.policy import require_own_branch
from aicd_core.telemetry.tracing import SpanKind, span
from aicd_github.hosting.host import RepositoryHost, branch_of
from aicd_github.hosting.pushing import BranchPusher
from aicd_github.hub.address import RepositoryAddress
from aicd_github.hub.api import Api
from aicd_github.hub.client import Client
from aicd_github.hub.desk import HubDesk
from aicd_github.hub.effects import READ_ISSUES, Effects
from aicd_github.hub.feedback import feedback_of
from aicd_github.hub.owners import PLACES, owners_of
from aicd_github.hub.refs import EVIDENCE_FILE, JobRefs, evidence_commit
from aicd_github.hub.render import pull_body
from aicd_github.hub.tokens import GitCredentials, Tokens


class GitHubCodeHost(RepositoryHost):
    """`CodeHost` for a repository on GitHub.

    Args:
        address: which one.
        tokens: lets us in.
        api: asks for it; shared by all repositories.
        data_dir, sandbox, command_timeout, options: as `RepositoryHost`.
    """

    def __init__(
        self,
        address: RepositoryAddress,
        tokens: Tokens,
        api: Api,
        data_dir: Path,
        sandbox: Sandbox,
        command_timeout: float,
        **options: Any,
    ) -> None:
        options |= {"credentials": GitCredentials(tokens), "known_as": address.key}
        super().__init__(address.clone_url, data_dir, sandbox, command_timeout, **options)
        self.address = address
        self._tokens = tokens
        self._client = Client(api, tokens, address)
        self._effects = Effects(self._client)

    @property
    def desk(self) -> HubDesk:
        """For steering the jobs of its issues."""
        return HubDesk(self._client, self._effects)

    async def notes(self) -> tuple[str, ...]:
        """What the user should know before a job starts, one sentence each."""
        return ()

    async def read_issue(self, number: int) -> tuple[str, str]:
        """Title and text of an issue, as they are: what they hide is taken out where a task is made.

        Raises:
            NotFoundError: there is no such issue, or it is not shown to us.
            InvalidInputError: code `issue_closed`; `not_an_issue` for a pull request.
        """
        named = f"{self.address.full_name}#{number}"
        issue = await self._client.get(f"/issues/{number}", READ_ISSUES, f"The issue {named} could not be read")
        if "pull_request" in issue:
            raise InvalidInputError(f"{named} is a pull request. Name an issue.", code="not_an_issue")
        if issue["state"] != "open":
            raise InvalidInputError(f"The issue {named} is closed. Reopen it first.", code="issue_closed")
        return str(issue["title"]), str(issue["body"] or "")

    async def publish(
        self,
        job_id: JobId,
        checkout: Checkout,
        head_sha: str,
        base: Base,
        draft: PullRequestDraft,
        confirm: Confirm = always,
        *,
        onto: str | None = None,
    ) -> PullRequest:
        """Pushes `aicd/<job>` and opens the pull request, or brings both up to date; see `CodeHost.publish`.

        Raises:
            StepFailedError: `branch_taken`: somebody else pushed there; `push_refused`, `pull_request_closed`,
                `github_refused`.
            AicdError: GitHub refuses, or does not answer.
        """
        branch = branch_of(job_id)
        require_own_branch(branch, base.branch)
        repository = await self._ready_to_push(job_id, base)
        evidence = await self._commit_evidence(repository.path, head_sha, draft)
        with span("git push", kind=SpanKind.CLIENT):
            await (await self._refs(job_id)).push(repository.path, head_sha, evidence, onto)
        await confirm()
        url = None if evidence is None else f"{self.address.page}/blob/{evidence}/{EVIDENCE_FILE}"
        pull = await self._open_pull(branch, base, draft, url)
        is_draft = await self._effects.set_draft(pull, draft=draft.draft) if onto else pull["draft"]
        if self._tokens.is_app:
            await self._effects.check(job_id, head_sha, draft)
        await self._effects.finish_pull(pull, await _owners(checkout, draft), decide=draft.draft)
        return PullRequest(
            url=pull["html_url"],
            number=pull["number"],
            draft=is_draft,
            branch=branch,
            head_sha=head_sha,
            base_branch=base.branch,
            evidence_url=url,
        )

    async def withdraw(self, job_id: JobId) -> None:
        """Deletes the job's refs if no pull request ever stood on its branch and nobody else pushed there.

        Raises:
            StepFailedError: `push_refused`.
            AicdError: GitHub refuses, or does not answer.
        """
        refs = await self._refs(job_id)
        found = await refs.read()
        if found.pushed is None or await self._effects.find_pull(branch_of(job_id)) is not None:
            return
        mirror = await self._mirror(found.pushed)
        await mirror.make()
        await refs.delete(mirror.path)

    async def report(self, job_id: JobId, issue: int, text: str) -> None:
        """Has the living comment on the issue say this; see `CodeHost.report`."""
        del job_id  # an issue has one comment, whichever job is on it
        await self._effects.say(issue, text)

    async def read_feedback(self, job_id: JobId) -> HostFeedback:
        """What people and checks said about the job's pull request; see `CodeHost.read_feedback`.

        Raises:
            AicdError: GitHub refuses, or does not answer.
        """
        pull = await self._effects.find_pull(branch_of(job_id))
        if pull is None:
            return HostFeedback()
        refs = await (await self._refs(job_id)).read()
        return await feedback_of(self._client, pull, head_sha=refs.branch or pull["head"]["sha"], foreign=refs.foreign)

    async def answer(self, job_id: JobId, thread: int, text: str, to: int | None = None) -> None:
        """Answers a thread of the job's pull request, once; see `CodeHost.answer`.

        Raises:
            InvalidInputError: code `no_such_thread`.
            AicdError: GitHub refuses, or does not answer.
        """
        pull = await self._effects.find_pull(branch_of(job_id))
        if pull is None:
            raise InvalidInputError(f"Job {job_id} has no pull request.", code="no_such_thread")
        await self._effects.reply(job_id, pull["number"], thread, text, to)

    async def _commit_evidence(self, repository: Path, head_sha: str, draft: PullRequestDraft) -> str | None:
        """The commit that holds the draft's evidence; None when it has none."""
        if draft.evidence is None:
            return None
        return await evidence_commit(self._git, repository, head_sha, draft.evidence)

    async def _open_pull(self, branch: str, base: Base, draft: PullRequestDraft, url: str | None) -> dict[str, Any]:
        with span("pull request", kind=SpanKind.CLIENT) as told:
            pull = await self._effects.open_pull(branch, base, draft, pull_body(draft, url))
            told.set_attribute("aicd.pull_request", pull["html_url"])
        return pull

    async def _refs(self, job_id: JobId) -> JobRefs:
        source, remote = await self._open_source()
        return JobRefs(self._git, BranchPusher(self._git, source, remote), job_id)


async def _owners(checkout: Checkout, draft: PullRequestDraft) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whom CODEOWNERS of the base commit names for what is changed."""
    for place in PLACES:
        content = await checkout.read_at_base(place)
        if content is not None:
            return await asyncio.to_thread(owners_of, content.decode("utf-8", "replace"), draft.paths)
    return (), ()
