"""The critic: judges a round by what the platform measured. Whatever goes wrong with that, it does not approve."""

from typing import Any, Literal

from pydantic import Field

from aicd_brain.catalogue import Prompt, load_prompt
from aicd_brain.fence import fence
from aicd_brain.loop.loop import Loop, Opening
from aicd_brain.loop.speaker import Speaker
from aicd_brain.models.messages import ToolSpec
from aicd_brain.roles.convergence import converged
from aicd_brain.roles.delta import patch_delta, without_binaries
from aicd_brain.roles.outside import outside_for_critic
from aicd_brain.roles.review_checks import faults_of, tests_failed
from aicd_brain.roles.shown import commands_text, issue_text
from aicd_brain.tools.tool import Said, Tool, schema_of
from aicd_brain.tools.truncation import head_and_tail
from aicd_core.contracts import (
    CriterionResult,
    Evidence,
    Plan,
    Review,
    ReviewFinding,
    ReviewVerdict,
    Task,
)
from aicd_core.contracts.values import RepoPath, Value

DIFF_SHOWN = 200_000
"""Characters, about 50,000 tokens; a person judges what is longer."""
CLAIM_SHOWN = 4_000
TURNS = 4
"""A review, and three corrections of one that does not hold together."""
SUBMIT = "submit"


class FindingArguments(Value):
    """A finding as the critic hands it in: what fails and how one gets there are fields of their own."""

    id: str = Field(min_length=1)
    severity: Literal["low", "medium", "high"]
    path: RepoPath
    line: int | None = None
    failure: str = Field(min_length=1)
    reached_by: str = Field(min_length=1)
    must_fix: bool

    def finding(self) -> ReviewFinding:
        message = f"{self.failure} Reached by: {self.reached_by}"
        return ReviewFinding(message=message, **self.model_dump(exclude={"failure", "reached_by"}))


class ReviewArguments(Value):
    verdict: ReviewVerdict
    findings: tuple[FindingArguments, ...]
    criteria: tuple[CriterionResult, ...]

    def review(self) -> Review:
        return Review(
            verdict=self.verdict, findings=tuple(one.finding() for one in self.findings), criteria=self.criteria
        )


async def review(speaker: Speaker, task: Task, plan: Plan, evidence: Evidence) -> Review:
    """The review of a round: red tests are rejected without a call of the model; a judgement that does not hold
    together, or does not come at all, goes to a person."""
    red = tests_failed(plan, evidence)
    if red is not None:
        return red
    patch = without_binaries(evidence.change_set.patch_text())
    if len(patch) > DIFF_SHOWN:
        return _unjudged(plan, f"The diff has {len(patch):,} characters, more than the critic is shown at once.")
    ended = await Loop(speaker, (submit_tool(plan, evidence),), opening(task, plan, evidence), TURNS).run()
    if isinstance(ended.result, Review):
        return converged(ended.result, evidence.earlier)
    return _unjudged(plan, f"The critic gave no review that holds together: {ended.why}.")


def submit_tool(plan: Plan, evidence: Evidence) -> Tool:
    """The one tool of the critic."""

    async def submit(arguments: dict[str, Any]) -> Said:
        given = ReviewArguments.model_validate(arguments).review()
        faults = faults_of(given, plan, evidence)
        if faults:
            words = "\n".join(f"{number}. {fault}" for number, fault in enumerate(faults, 1))
            return Said(f"The review does not hold together:\n{words}\nHand in the whole review again.", failed=True)
        return Said("", result=given)

    return Tool(ToolSpec(SUBMIT, "Hands the review in.", schema_of(ReviewArguments)), submit)


def _unjudged(plan: Plan, why: str) -> Review:
    """A review that approves nothing and asks for a person."""
    finding = ReviewFinding(id="not-judged", severity="high", message=why)
    criteria = tuple(CriterionResult(id=one.id, met=False, evidence=why) for one in plan.acceptance_criteria)
    return Review(verdict=ReviewVerdict.ESCALATE, findings=(finding,), criteria=criteria)


def opening(task: Task, plan: Plan, evidence: Evidence) -> Opening:
    """What the critic is shown: all of the round; from the second on, also what changed since and what is open."""
    change = evidence.change
    policy = evidence.policy.model_dump_json(indent=1)
    prompt = load_prompt("critic_task")
    text = prompt.render(
        round=evidence.round,
        issue=fence("issue", issue_text(task)),
        plan=fence("plan", plan.model_dump_json(indent=1)),
        tests=fence("commands", commands_text(evidence.tests)),
        policy=fence("policy", policy),
        diff=fence("diff", without_binaries(evidence.change_set.patch_text())),
        claim=fence("claim", head_and_tail("\n".join((change.summary, *change.notes)), CLAIM_SHOWN)),
    )
    outside = [] if evidence.outside is None else [outside_for_critic(evidence.outside, evidence.inherited)]
    return Opening.of((prompt, text), *outside, *([_again(evidence)] if evidence.earlier else []))


def _again(evidence: Evidence) -> tuple[Prompt, str]:
    before = evidence.earlier[-1]
    findings = "\n".join(finding.model_dump_json(exclude_none=True) for finding in before.review.findings)
    delta = patch_delta(before.patch.decode("utf-8", "replace"), evidence.change_set.patch_text())
    prompt = load_prompt("critic_again")
    return prompt, prompt.render(
        round=before.round,
        findings=fence("findings", findings or "(none)"),
        delta=fence("delta", delta),
    )
