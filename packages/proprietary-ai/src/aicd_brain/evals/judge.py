"""Running hidden tests, in the sandbox, on the tree of a pull request."""

import shlex
from collections.abc import Mapping

from aicd_brain.evals.values import EvalTask, TestRun
from aicd_core.contracts import ChangeSet, Checkout, Phase
from aicd_core.errors import InvalidInputError
from aicd_core.patches import parse_patch
from aicd_core.repo_config import FILE_NAME, parse_repository_config

TAIL = 2000
"""Characters kept of the output of a test that failed."""


async def missing_programs(task: EvalTask, checkout: Checkout) -> list[str]:
    """What the task needs and the sandbox lacks."""
    run = checkout.workspace.run
    return [name for name in task.needs if not (await run(f"command -v {shlex.quote(name)}")).ok]


async def judge(task: EvalTask, change: ChangeSet | None, checkout: Checkout) -> tuple[TestRun, ...]:
    """Each hidden test command on the base with the change, after the repository's own set-up.

    What the agent did to a file of the hidden tests is overwritten.

    Args:
        change: None judges the base as it is.
        checkout: of the task's base; whatever its tree holds is lost.

    Raises:
        InvalidInputError: code `bad_task`: the test patch does not apply to the base.
    """
    await checkout.restore(None)
    hidden = await _hidden_files(task, checkout)
    await checkout.restore(change)
    config = parse_repository_config(await checkout.read_at_base(FILE_NAME) or b"")
    await checkout.enter(Phase.SETUP, config.network.setup)
    commands: list[tuple[str, bool, float | None]] = [
        (command, bool(config.network.setup), None) for command in config.setup
    ]
    for path, content in hidden.items():
        if content is None:
            commands.append((f"rm -f -- {shlex.quote(path)}", False, None))
        else:
            await checkout.workspace.write(path, content)
    commands += [(command, False, task.timeout) for command in task.tests or ()]
    runs = []
    for command, network, timeout in commands:
        result = await checkout.workspace.run(command, timeout=timeout, network=network)
        output = "" if result.ok else result.output[-TAIL:]
        runs.append(TestRun(command=command, outcome=result.outcome(), passed=result.ok, output=output))
    return tuple(runs)


async def _hidden_files(task: EvalTask, checkout: Checkout) -> Mapping[str, bytes | None]:
    """The files of the hidden tests; None for one that they delete. The tree is the base, and is changed."""
    files: dict[str, bytes | None] = dict(task.hidden)
    if not task.test_patch:
        return files
    applied = await checkout.workspace.run("git apply --whitespace=nowarn -", stdin=task.test_patch.encode())
    if not applied.ok:
        raise InvalidInputError(
            f"The test patch of the task {task.id} does not apply to its base: {applied.output.strip()}",
            code="bad_task",
        )
    left = set(await checkout.workspace.list())
    for patch in parse_patch(task.test_patch):
        for path in {patch.path, patch.old_path or patch.path}:
            files[path] = await checkout.workspace.read(path) if path in left else None
    return files
