"""Who a repository wants to review which files: CODEOWNERS. Pure."""

from collections.abc import Iterable

from codeowners import CodeOwners

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub looks; the first one counts."""
MOST = 15
"""People and teams that GitHub takes for one pull request."""


def owners_of(text: str, paths: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Logins and teams' names that own any of the paths, each once, in order; owners by e-mail cannot be asked.

    A file that cannot be read as CODEOWNERS has no owners: GitHub shows its faults on its page.
    """
    try:
        rules = CodeOwners(text)
        found = [owner for path in paths for owner in rules.of(path)]
    except ValueError:
        return (), ()
    people = dict.fromkeys(name.removeprefix("@") for kind, name in found if kind == "USERNAME")
    teams = dict.fromkeys(name.rpartition("/")[2] for kind, name in found if kind == "TEAM")
    return tuple(people)[:MOST], tuple(teams)[:MOST]
