"""The planner: reads the repository and writes a plan, which it hands in through a tool."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aicd_brain.catalogue import Prompt, load_prompt
from aicd_brain.fence import fence
from aicd_brain.loop.loop import Loop, Opening
from aicd_brain.loop.speaker import Speaker
from aicd_brain.models.messages import ToolSpec
from aicd_brain.retrieval.values import Passage
from aicd_brain.retriever import Retriever
from aicd_brain.roles.shown import issue_text
from aicd_brain.tools.reading import reading_tools
from aicd_brain.tools.tool import Said, Tool, schema_of
from aicd_brain.tools.truncation import head_and_tail
from aicd_core.contracts import Plan, Task, Workspace
from aicd_core.errors import InvalidInputError, NotFoundError, StepFailedError

GUIDES = ("AGENTS.md", "CLAUDE.md", "CONTRIBUTING.md", ".github/CONTRIBUTING.md", "docs/CONTRIBUTING.md")
GUIDE_SHOWN = 6_000
FOLDERS_SHOWN = 150
FILES_SHOWN = 150
"""A repository of no more files is shown file by file, a larger one by its folders."""
PASSAGES = 20
SUBMIT = "submit"
OURS = ("schema_version", "base_sha")
"""Fields of a plan that the model does not write: they are known."""


async def plan(
    speaker: Speaker, task: Task, errors: tuple[str, ...], workspace: Workspace, retriever: Retriever, turns: int
) -> Plan:
    """Has the model plan the change.

    Args:
        errors: what was wrong with the plan that came back, if one did.
        turns: calls of the model at the most.

    Raises:
        StepFailedError: code `no_plan`: the model gave none.
    """
    loop = Loop(speaker, tools_of(workspace, task.base_sha), await opening(task, errors, workspace, retriever), turns)
    ended = await loop.run()
    if isinstance(ended.result, Plan):
        return ended.result
    raise StepFailedError(
        f"The model {speaker.model!r} gave no plan: {ended.why}. Say more plainly in the issue what is wanted, or "
        "choose another model.",
        code="no_plan",
    )


def tools_of(workspace: Workspace, base_sha: str) -> tuple[Tool, ...]:
    """Three tools that read, and the one that hands the plan in."""

    async def submit(arguments: dict[str, Any]) -> Said:
        return Said("", result=Plan.model_validate({**arguments, "schema_version": 1, "base_sha": base_sha}))

    spec = ToolSpec(SUBMIT, "Hands the plan in.", schema_of(Plan, without=OURS))
    return (*reading_tools(workspace), Tool(spec, submit))


async def opening(task: Task, errors: tuple[str, ...], workspace: Workspace, retriever: Retriever) -> Opening:
    """What the planner is told: the task, which is the same for each attempt, then what was wrong with its plan."""
    issue = issue_text(task)
    passages = await retriever.find(issue, workspace, PASSAGES)
    prompt = load_prompt("planner_task")
    text = prompt.render(
        base_sha=task.base_sha,
        test_commands=fence("commands", "\n".join(task.test_commands) or "(none)"),
        guidance=fence("guidance", await _guidance(workspace) or "(none)"),
        repository=fence("repository", outline(await workspace.list(), passages)),
        issue=fence("issue", issue),
    )
    return Opening.of((prompt, text), *([_returned(task, errors)] if errors else []))


def _returned(task: Task, errors: tuple[str, ...]) -> tuple[Prompt, str]:
    returned = task.returned_plan.model_dump_json(indent=1, exclude=set(OURS)) if task.returned_plan else "(none)"
    prompt = load_prompt("planner_errors")
    return prompt, prompt.render(plan=fence("plan", returned), errors=fence("errors", "\n".join(errors)))


async def _guidance(workspace: Workspace) -> str:
    """What the repository tells contributors at the base commit: strangers' words, like everything in it."""
    found = []
    for path in GUIDES:
        try:
            text = (await workspace.read(path)).decode("utf-8", "replace")
        except (NotFoundError, InvalidInputError):
            continue
        found.append(f"{path}:\n{head_and_tail(text, GUIDE_SHOWN)}")
    return "\n\n".join(found)


def outline(paths: Sequence[str], passages: Sequence[Passage]) -> str:
    """The repository's files, or where there are many its folders with the number of files in each; then what was
    found for the issue."""
    folders = Counter("/".join(path.split("/")[:2]) if path.count("/") > 1 else path for path in paths)
    if len(paths) <= FILES_SHOWN:
        lines = list(paths)
    else:
        counted = sorted(folders.items())[:FOLDERS_SHOWN]
        lines = [f"{folder}/ ({count} files)" if count > 1 else folder for folder, count in counted]
    found = [f"{passage.path}:{passage.first}: {passage.text.strip()}" for passage in passages]
    return "\n".join([*lines, *(["", "Lines with words of the issue:", *found] if found else [])])
