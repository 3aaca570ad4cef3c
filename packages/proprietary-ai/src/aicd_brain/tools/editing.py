"""Tools that change the tree: replace, write, shell."""

import asyncio
from typing import Any

from pydantic import Field

from aicd_brain.models.messages import ToolSpec
from aicd_brain.tools.near_miss import near_miss
from aicd_brain.tools.syntax import syntax_fault
from aicd_brain.tools.tool import Said, Tool, schema_of
from aicd_core.contracts import CommandResult, Workspace
from aicd_core.contracts.values import Value
from aicd_core.errors import InvalidInputError


class ReplaceArguments(Value):
    path: str
    old: str = Field(min_length=1, description="exact and unique, with its white space")
    new: str


class WriteArguments(Value):
    path: str
    content: str


class ShellArguments(Value):
    command: str = Field(min_length=1)
    timeout: float | None = Field(default=None, gt=0, description="seconds")


def editing_tools(workspace: Workspace) -> tuple[Tool, ...]:
    """`replace`, `write` and `shell` on a workspace."""

    async def replace(arguments: dict[str, Any]) -> Said:
        wanted = ReplaceArguments.model_validate(arguments)
        try:
            await workspace.replace(wanted.path, wanted.old, wanted.new)
        except InvalidInputError as error:
            if error.code != "no_match":
                raise
            content = (await workspace.read(wanted.path)).decode("utf-8", "replace")
            help_ = await asyncio.to_thread(near_miss, content, wanted.old)
            return Said(f"{error.message}\n{help_}", failed=True, outside=True)
        return await _checked(workspace, wanted.path, "Replaced.")

    async def write(arguments: dict[str, Any]) -> Said:
        wanted = WriteArguments.model_validate(arguments)
        await workspace.write(wanted.path, wanted.content.encode("utf-8", "surrogatepass"))
        return await _checked(workspace, wanted.path, "Written.")

    async def shell(arguments: dict[str, Any]) -> Said:
        wanted = ShellArguments.model_validate(arguments)
        result = await workspace.run(wanted.command, timeout=wanted.timeout)
        return Said(_report(result), failed=not result.ok, outside=True)

    return (
        Tool(ToolSpec("replace", "Swaps one text in a file.", schema_of(ReplaceArguments)), replace, changes=True),
        Tool(ToolSpec("write", "Creates or overwrites a file.", schema_of(WriteArguments)), write, changes=True),
        Tool(
            ToolSpec("shell", "Runs /bin/sh -c in the root.", schema_of(ShellArguments)),
            shell,
            changes=True,
            observes=True,
        ),
    )


async def _checked(workspace: Workspace, path: str, done: str) -> Said:
    fault = await syntax_fault(workspace, path, await workspace.read(path))
    if fault is None:
        return Said(done)
    return Said(f"{done} But the file is malformed now:\n{fault}", failed=True, outside=True)


def _report(result: CommandResult) -> str:
    """How a command ended and what it printed; not how long it took, which differs from run to run."""
    missing = f"\n[{result.truncated_bytes:,} bytes were not kept]" if result.truncated_bytes else ""
    return f"[{result.outcome()}]\n{result.output}{missing}"
