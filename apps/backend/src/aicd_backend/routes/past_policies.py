"""What rules would have said of the last commits of a repository, as the console and the API ask it."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Depends
from pydantic import ConfigDict, Field, JsonValue
from starlette.requests import Request

from aicd_backend.access import needs, require, secured_router
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.past_runs import PastRuns, Run
from aicd_backend.problems import RefusedError
from aicd_backend.routes.policies import POLICY, rules_to_try
from aicd_cli.past import Judged, counted, judge_far, judge_past
from aicd_core.contracts import PolicyReport
from aicd_core.errors import ConflictError
from aicd_core.ids import RepositoryId
from aicd_core.policy import Rules
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.repositories.service import require_repository

router = secured_router("policies")
COMMITS_MOST, COMMITS = 100, 20
"""So many commits at most, and where nobody says how many."""
EXAMPLE: dict[str, JsonValue] = {
    "repository_id": "01a2156b-39a4-75d0-8fb5-3c1d1d6c8f11",
    "commits": 20,
    "rules": {"max_files": 50},
}


class PastBody(Body):
    """A repository of the organization, and the rules to try on its last commits."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    repository_id: UUID = Field(strict=False)
    commits: int = Field(default=COMMITS, ge=1, le=COMMITS_MOST, description="How many, of the default branch.")
    rules: dict[str, Any] | None = Field(default=None, description="Null: those that count now.")


class VerdictCounts(Answer):
    """How many commits got each verdict."""

    allow: int
    ask: int
    deny: int
    unjudged: int = Field(description="Commits that cannot be judged; `fault` says why.")


class JudgedCommit(Answer):
    """One commit, and what the rules say of it together with the `.aicd.yml` that was there before it."""

    sha: str
    author: str
    date: datetime
    subject: str
    report: PolicyReport | None
    fault: str | None = Field(description="Why it cannot be judged.")

    @classmethod
    def of(cls, one: Judged) -> Self:
        commit = one.commit
        return cls(
            sha=commit.sha,
            author=commit.author,
            date=commit.when,
            subject=commit.subject,
            report=one.report,
            fault=one.fault,
        )


class PastAnswer(Answer):
    """The commits, the newest first."""

    counts: VerdictCounts
    commits: tuple[JudgedCommit, ...]


async def _past_runs(request: Request) -> PastRuns:
    runs: PastRuns = request.app.state.past_runs
    return runs


PastRunsHere = Annotated[PastRuns, Depends(_past_runs)]


@router.post(
    f"{POLICY}/dry-run/commits",
    summary="What rules would have said of past commits",
    description=(
        "The commits are fetched with what the organization's installation opens, one dry run at a time for each "
        "organization, and nothing is stored about them. What takes longer than a request is answered 503 "
        "`past_not_ready` and goes on meanwhile: ask again after `Retry-After`. Needs `repositories:read` as well."
    ),
    **needs(Permission.POLICIES_READ, refuses=(400, 409, 503)),
)
async def try_policy_on_commits(here: Here, runs: PastRunsHere, given: PastBody) -> PastAnswer:
    require(here, Permission.REPOSITORIES_READ)
    rules = await rules_to_try(here, given.rules)
    run = await _run(here, RepositoryId(given.repository_id), given.commits, rules)
    judged = await runs.judge(here.tenant.org_id, run)
    return PastAnswer(
        counts=VerdictCounts.model_validate(counted(judged)), commits=tuple(JudgedCommit.of(one) for one in judged)
    )


async def _run(here: TenantCaller, chosen: RepositoryId, count: int, rules: Rules) -> Run:
    async with here.read() as session:
        found = await require_repository(session, here.tenant, chosen)
    if found.disconnected_at is not None:
        raise ConflictError(f"The repository {found.source} is disconnected. Reconnect it first.", code="disconnected")
    if is_far(found.source):
        return partial(judge_far, here.stores.parts.hosts.at(found.source, here.tenant), count, rules)
    if here.stores.settings.local_repositories:
        return partial(judge_past, found.source, count, rules)
    raise RefusedError(409, "no_local_repositories", "This server reads no repositories of its own machine.")


def is_far(source: str) -> bool:
    """Whether the repository is behind a URL."""
    return source.startswith(("https://", "http://"))
