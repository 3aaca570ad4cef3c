"""What a run is asked for: an issue of the command line's, or one on GitHub."""

from dataclasses import dataclass
from pathlib import Path

from aicd_cli.hosts import Hosts
from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator import IssueText
from aicd_core.settings import Settings
from aicd_github.hub.address import checked_api, parse_issue


@dataclass(frozen=True)
class Wanted:
    """The issue, wherever it came from; `number` where it has one on its code host."""

    source: str
    issue: IssueText
    number: int | None
    notes: tuple[str, ...]


async def read_wanted(
    settings: Settings, hosts: Hosts, repository: str, issue: IssueText | None, github: str | None
) -> Wanted:
    """The issue that was given, or the one on GitHub that was named.

    Raises:
        AicdError: it cannot be read.
    """
    if github is None:
        assert issue is not None, "one of both is given"
        host = hosts.local(repository)
        return Wanted((await host.source()).display, issue, None, await host.notes())
    # The name first: somebody who mistyped it need not set up GitHub to be told so.
    address, number = parse_issue(checked_api(settings.github_api_url), github)
    title, body = await hosts.github().read_issue(github)
    text = IssueText.parse(f"{title}\n\n{body}".encode(), max_bytes=settings.issue_max_bytes, name="The issue")
    return Wanted(address.clone_url, text, number, ())


def require_one_place(repo: str | None, github: str | None, issue: str | None, file: Path | None) -> None:
    """Raises InvalidInputError: the issue is named twice, or the repository not at all."""
    if (repo is None) == (github is None) or (github is not None and not (issue is None and file is None)):
        raise InvalidInputError(
            "Name either a repository with --repo and an issue with --issue or --issue-file, or an issue on GitHub "
            "with --github OWNER/REPO#N."
        )
