"""Who a repository wants to review which files: CODEOWNERS. Pure."""

from collections.abc import Iterable

from codeowners import MASK, CodeOwners

from aicd_core.errors import InvalidInputError
from aicd_core.policy.patterns import compile_pattern

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub looks; the first one counts."""
MOST = 15
"""People and teams that GitHub takes for one pull request."""
LARGEST = 3_000_000
"""Bytes: https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners#codeowners-file-size."""


def owners_of(text: str, paths: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Logins and teams' names that own any of the paths, each once, in order; owners by e-mail cannot be asked.

    A file that cannot be read as CODEOWNERS has no owners: GitHub shows its faults on its page.
    """
    try:
        rules = CodeOwners(text).paths if len(text) <= LARGEST else []
        # In linear time: with `re`, one rule of many stars would hold up the worker, and with it all its leases.
        known = [(compile_pattern(_of_re2(rule.pattern)), owners) for rule, _, owners, *_ in rules]
    except (ValueError, InvalidInputError):
        return (), ()
    masked = [path.replace(" ", MASK) for path in paths]
    matches = (next((owners for rule, owners in known if rule.search(path)), ()) for path in masked)
    found = [owner for owners in matches for owner in owners]
    people = dict.fromkeys(name.removeprefix("@") for kind, name in found if kind == "USERNAME")
    teams = dict.fromkeys(name.rpartition("/")[2] for kind, name in found if kind == "TEAM")
    return tuple(people)[:MOST], tuple(teams)[:MOST]


def _of_re2(pattern: str) -> str:
    """What the library made of a rule, in re2's words for the end of a text."""
    if pattern.endswith(r"(?:\Z|/)"):
        return pattern.removesuffix(r"(?:\Z|/)") + r"(?:\z|/)"
    return pattern.removesuffix(r"\Z") + r"\z" if pattern.endswith(r"\Z") else pattern
