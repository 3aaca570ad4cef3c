"""Tools that only look: search, view, list."""

from typing import Any

from pydantic import Field

from aicd_brain.models.messages import ToolSpec
from aicd_brain.tools.tool import Said, Tool, schema_of
from aicd_core.contracts import Workspace
from aicd_core.contracts.values import Value
from aicd_core.errors import InvalidInputError

MAX_MATCHES = 100
MAX_LINES = 400
MAX_PATHS = 300


class SearchArguments(Value):
    pattern: str = Field(description="Python regular expression")
    glob: str | None = Field(default=None, description="e.g. *.py or src/**/*.ts")


class ViewArguments(Value):
    path: str
    first: int = Field(default=1, ge=1, description="line, from 1")
    last: int | None = None


class ListArguments(Value):
    prefix: str = Field(default="", description="a folder; empty for all")


def reading_tools(workspace: Workspace) -> tuple[Tool, ...]:
    """`search`, `view` and `list` on a workspace."""

    async def search(arguments: dict[str, Any]) -> Said:
        wanted = SearchArguments.model_validate(arguments)
        found = await workspace.search(wanted.pattern, glob=wanted.glob, limit=MAX_MATCHES + 1)
        lines = [f"{match.path}:{match.line}: {match.text}" for match in found[:MAX_MATCHES]]
        if len(found) > MAX_MATCHES:
            lines.append(f"[more than {MAX_MATCHES} lines match; narrow the pattern or give a glob]")
        return Said("\n".join(lines), outside=True) if lines else Said("No line matches.")

    async def view(arguments: dict[str, Any]) -> Said:
        wanted = ViewArguments.model_validate(arguments)
        return Said(numbered_lines(await workspace.read(wanted.path), wanted), outside=True)

    async def list_files(arguments: dict[str, Any]) -> Said:
        wanted = ListArguments.model_validate(arguments)
        paths = await workspace.list(wanted.prefix)
        more = [f"[{len(paths) - MAX_PATHS} more; give a longer prefix]"] if len(paths) > MAX_PATHS else []
        return Said("\n".join([*paths[:MAX_PATHS], *more]), outside=True) if paths else Said("There is no such file.")

    return (
        Tool(ToolSpec("search", "Lines that match, as path:line: text.", schema_of(SearchArguments)), search),
        Tool(ToolSpec("view", "A file, or lines of it, with line numbers.", schema_of(ViewArguments)), view),
        Tool(ToolSpec("list", "Paths of files.", schema_of(ListArguments)), list_files),
    )


def numbered_lines(content: bytes, wanted: ViewArguments) -> str:
    """The lines that are wanted, each with its number and a tab.

    Raises:
        InvalidInputError: the file is binary, or has no such line.
    """
    if b"\0" in content[:8000]:
        raise InvalidInputError(f"{wanted.path!r} is binary.", code="binary_file")
    lines = content.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    if lines and wanted.first > len(lines):
        raise InvalidInputError(f"{wanted.path!r} has only {len(lines)} lines.", code="no_such_line")
    last = min(wanted.last or len(lines), len(lines), wanted.first + MAX_LINES - 1)
    shown = [f"{number}\t{line}" for number, line in enumerate(lines[wanted.first - 1 : last], wanted.first)]
    rest = [f"[{len(lines) - last} more lines]"] if last < len(lines) and wanted.last is None else []
    return "\n".join([*shown, *rest]) or "[the file is empty]"
