"""`git apply` inside the sandbox."""

import re
from typing import Final

from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.workspace import Workspace
from aicd_core.errors import StepFailedError

# No repository, no configuration: otherwise git would look for one above the tree, and .gitattributes or
# apply.whitespace would rewrite line ends. In this mode bytes are laid exactly as the diff gives them.
_ENVIRONMENT: Final = (
    "GIT_DIR=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 LC_ALL=C"
)
_APPLIED, _REFUSED, _MALFORMED = 0, 1, 128


async def git_apply(
    patch: str, workspace: Workspace, *, strip: int, check_only: bool = False, zero_context: bool = False
) -> CommandResult:
    """Applies a diff to the tree, whole or not at all; `check_only` just tries.

    `zero_context` lets a hunk without context stand elsewhere than at the file's end; its place must be known
    to be right, as git has nothing to check it by.

    Returns:
        The command's result: `ok`, or git's reasons in `output`.

    Raises:
        StepFailedError: code `git_apply_unavailable`: git did not get to judge the diff at all.
    """
    options = f"{'--check ' if check_only else ''}{'--unidiff-zero ' if zero_context else ''}"
    result = await workspace.run(
        f"{_ENVIRONMENT} git apply {options}--whitespace=nowarn -p{strip} -",
        stdin=patch.encode("utf-8", "surrogatepass"),
    )
    if result.exit_code not in (_APPLIED, _REFUSED, _MALFORMED):
        raise StepFailedError(
            f"git apply could not be run in the sandbox ({result.outcome()}): {result.output.strip()[-500:]}",
            code="git_apply_unavailable",
        )
    return result


def git_reasons(output: str, limit: int = 3) -> str:
    """The first few of git's own error lines, for the cases that need no better words."""
    lines = re.findall(r"^(?:error|fatal): (.+)$", output, re.MULTILINE)
    return "; ".join(line.rstrip(".") for line in lines[:limit]) or "git gives no reason"
