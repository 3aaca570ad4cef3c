"""The coder: carries out a plan in the work tree."""

import json
from typing import Any

from pydantic import Field

from aicd_brain.catalogue import Prompt, load_prompt
from aicd_brain.fence import fence
from aicd_brain.loop.loop import Ended, Loop, Opening
from aicd_brain.loop.speaker import Speaker
from aicd_brain.models.messages import ToolSpec
from aicd_brain.roles.outside import outside_for_coder
from aicd_brain.roles.shown import commands_text, issue_text
from aicd_brain.tools.editing import editing_tools
from aicd_brain.tools.reading import reading_tools
from aicd_brain.tools.tool import Said, Tool, schema_of
from aicd_brain.tools.truncation import head_and_tail
from aicd_core.contracts import Answer, Change, Feedback, Plan, Task, Workspace
from aicd_core.contracts.values import Value

DIFF_SHOWN = 10_000


class DoneArguments(Value):
    summary: str = Field(min_length=1)
    complete: bool
    notes: tuple[str, ...] = ()


class DoneWithAnswers(DoneArguments):
    """How a round on feedback ends."""

    answers: tuple[Answer, ...] = ()


async def code(
    speaker: Speaker, task: Task, plan: Plan, feedback: Feedback | None, workspace: Workspace, turns: int
) -> Change:
    """Has the model change the tree; what it did until it was stopped counts, too.

    Args:
        turns: calls of the model at the most.
    """
    ending = Ending(plan, workspace, DoneWithAnswers if feedback and feedback.is_outside else DoneArguments)
    loop = Loop(speaker, tools_of(workspace, ending), opening(task, plan, feedback), turns, keeps=True)
    ending.shown = any(call.name == DONE for turn in loop.conversation.turns for call in turn.said.calls())
    return _change(await loop.run())


def _change(ended: Ended) -> Change:
    if isinstance(ended.result, DoneArguments):
        return Change(**ended.result.model_dump())
    note = f"The coder was stopped before it was done: {ended.why}."
    return Change(summary="An unfinished change.", complete=False, notes=(note,))


def opening(task: Task, plan: Plan, feedback: Feedback | None) -> Opening:
    """What the coder is told: the task and the plan, which are the same in each round, then why the last one fell."""
    prompt = load_prompt("coder_task")
    text = prompt.render(
        test_commands=fence("commands", "\n".join(task.test_commands) or "(none)"),
        issue=fence("issue", issue_text(task)),
        plan=fence("plan", plan.model_dump_json(indent=1)),
    )
    return Opening.of((prompt, text), *([] if feedback is None else _again(feedback)))


def _again(feedback: Feedback) -> list[tuple[Prompt, str]]:
    """Why the last round fell; of feedback from outside, what it says, also in the rounds that the critic asks for."""
    told = [] if feedback.outside is None else [outside_for_coder(feedback.outside)]
    return told if feedback.is_outside else [*told, _why(feedback)]


def _why(feedback: Feedback) -> tuple[Prompt, str]:
    findings = [finding.model_dump(exclude_none=True) for finding in feedback.review.findings]
    unmet = [result.model_dump() for result in feedback.review.criteria if not result.met]
    policy = [finding.model_dump(mode="json", exclude_none=True) for finding in feedback.policy.findings]
    prompt = load_prompt("coder_feedback")
    return prompt, prompt.render(
        round=feedback.round,
        tests=fence("commands", commands_text(feedback.tests)),
        policy=fence("policy", json.dumps(policy, indent=1)),
        review=fence("review", json.dumps({"findings": findings, "criteria_not_met": unmet}, indent=1)),
    )


DONE = "done"


class Ending:
    """The tool that ends coding: the first time it shows the diff and the criteria instead."""

    def __init__(self, plan: Plan, workspace: Workspace, arguments: type[DoneArguments] = DoneArguments) -> None:
        self._plan = plan
        self.arguments = arguments
        self._workspace = workspace
        self.shown = False

    async def use(self, arguments: dict[str, Any]) -> Said:
        claim = self.arguments.model_validate(arguments)
        if self.shown:
            return Said("", result=claim)
        self.shown = True
        diff = (await self._workspace.diff()).decode("utf-8", "replace")
        if not diff and self.arguments is DoneArguments:
            return Said(
                "The tree is as it was: nothing has been changed. Make the change, then call done.", failed=True
            )
        return Said(f"{self._checklist()}\n\n{fence('diff', head_and_tail(diff, DIFF_SHOWN))}")

    def _checklist(self) -> str:
        criteria = [f"- {one.id}: {one.text} (shown by: {one.verify})" for one in self._plan.acceptance_criteria]
        commands = ", ".join(self._plan.test_commands) or "none"
        claims = fence("plan", "\n".join([*criteria, f"- test commands: {commands}"]))
        return (
            "Not ended yet. Below is your whole change. Go through it once: each criterion met and seen to be met, no "
            "file outside of the plan without a note, nothing left behind, tests run. Mend what is wrong, then call "
            f"done again with what is true.\n\n{claims}"
        )


def tools_of(workspace: Workspace, ending: Ending) -> tuple[Tool, ...]:
    """The coder's six tools."""
    search, view, _ = reading_tools(workspace)
    spec = ToolSpec(DONE, "Ends your work.", schema_of(ending.arguments))
    return (search, view, *editing_tools(workspace), Tool(spec, ending.use))
