"""What GitHub's refusals mean to the person who runs AI-CD. Pure."""

from aicd_core.errors import (
    AicdError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    StepFailedError,
    UnauthenticatedError,
    UnavailableError,
)
from aicd_github.hub.api import Answer


def refused(what: str, answer: Answer) -> AicdError:
    """The error for an answer that repeating does not mend.

    Codes: `github_unauthorized`, `installation_suspended`, `github_forbidden`, `github_not_found`, `github_moved`,
    `github_refused`.

    Args:
        what: the start of the sentence, such as "The pull request could not be opened".
    """
    said, status = answer.message, answer.status
    if status == 401:
        return UnauthenticatedError(
            f"{what}: GitHub does not accept the credentials ({said}). Check the App's key and this "
            "machine's clock, or the token (AICD_GITHUB_TOKEN) and whether it has expired.",
            code="github_unauthorized",
        )
    if status == 403 and "suspended" in said.lower():
        return ForbiddenError(
            f"{what}: the App's installation is suspended. Whoever owns the account can take it up again in its "
            "settings, under GitHub Apps.",
            code="installation_suspended",
        )
    if status == 403:
        return ForbiddenError(
            f"{what}: GitHub does not allow it ({said}). Give the App, or the token, the permission; a new permission "
            "of an App has to be accepted for each installation.",
            code="github_forbidden",
        )
    if status in (404, 410):
        return NotFoundError(
            f"{what}: GitHub has no such thing, or does not show it to these credentials. Check the name, and that the "
            "App is installed on the repository or the token reaches it.",
            code="github_not_found",
        )
    if status in (301, 307, 308):
        return moved(what)
    return StepFailedError(f"{what}: GitHub refused it: {said}.", code="github_refused")


def moved(what: str, alternative: str = "") -> ConflictError:
    """The error for a repository, or an issue, that has another address by now.

    Args:
        alternative: what else it may be.
    """
    return ConflictError(
        f"{what}: it was renamed or moved{alternative}. Use its new name; a job goes on by itself, once GitHub has "
        "told it.",
        code="github_moved",
    )


def out_of_reach(what: str, why: str) -> UnavailableError:
    """The error for a GitHub that does not answer, or only with faults of its own."""
    return UnavailableError(
        f"{what}: {why}. Look at https://www.githubstatus.com and the network; what was begun goes on where it was.",
        code="github_unavailable",
    )


def limited(what: str, wait: float) -> UnavailableError:
    """The error for a rate limit that asks for more time than there is."""
    return UnavailableError(
        f"{what}: GitHub's rate limit asks to wait for {wait:.0f} s, which is longer than this step waits. It goes on "
        "by itself later; fewer jobs at once meet the limit less often.",
        code="github_rate_limited",
    )
