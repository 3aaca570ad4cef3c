"""Whether a file that was just edited can still be parsed; asked of its language's own program, in the sandbox."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from aicd_core.contracts import Workspace

DEADLINE = 10.0
NOT_FOUND = 127
"""What the shell says of a program that is not there: then nothing is known."""

CHECKERS: Mapping[str, str] = MappingProxyType(
    {
        ".py": "python3 -I -c 'import ast, sys; ast.parse(sys.stdin.buffer.read())'",
        ".json": "python3 -I -c 'import json, sys; json.load(sys.stdin.buffer)'",
        ".toml": "python3 -I -c 'import sys, tomllib; tomllib.load(sys.stdin.buffer)'",
        ".js": "node --check -",
        ".cjs": "node --check -",
        ".sh": "sh -n",
        ".bash": "bash -n",
        ".go": "gofmt -e -l",
        ".rb": "ruby -c",
        ".php": "php -l",
    }
)
"""By the end of a file's name: a command that reads the file from standard input and fails when it is malformed."""


async def syntax_fault(workspace: Workspace, path: str, content: bytes) -> str | None:
    """What is wrong with the content as a file of that name; None when nothing is, or nobody can tell."""
    command = CHECKERS.get(PurePosixPath(path).suffix)
    if command is None:
        return None
    result = await workspace.run(command, timeout=DEADLINE, stdin=content)
    if result.exit_code in {0, None, NOT_FOUND}:
        return None
    return "\n".join(result.output.strip().splitlines()[-4:])
