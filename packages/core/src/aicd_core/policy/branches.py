"""Where results may be pushed to: branches of this product, and no other."""

from aicd_core.errors import StepFailedError

OWN_BRANCHES = "aicd/"
"""What the name of every branch that a job pushes begins with."""


def require_own_branch(branch: str, base_branch: str | None = None) -> None:
    """Refuses to push anything but a branch of this product; every code host asks before it pushes or deletes.

    Args:
        base_branch: what the pull request is to be merged into; never pushed, whatever its name.

    Raises:
        StepFailedError: code `foreign_branch`.
    """
    if not branch.startswith(OWN_BRANCHES) or branch == base_branch:
        raise StepFailedError(
            f"The branch {branch!r} is not one of a job: only branches below {OWN_BRANCHES} are pushed, never the "
            "default branch or the one that the pull request goes to. This is a defect of the code host; report it.",
            code="foreign_branch",
        )
