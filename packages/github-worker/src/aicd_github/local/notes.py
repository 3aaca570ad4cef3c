"""What a user should know of a repository before a job starts from it."""

from aicd_github.git.environment import ANY_OWNER
from aicd_github.git.runner import Git, GitCall
from aicd_github.hosting.source import LocalSource


async def uncommitted_note(source: LocalSource, git: Git) -> str | None:
    """A sentence about changes that are not committed; None when there are none or it cannot be told.

    Nothing is written, not even a refreshed index, and no filter of the repository runs.
    """
    if source.bare:
        return None
    status = GitCall(
        ("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all", "--untracked-files=normal"),
        cwd=source.folder,
        settings=(ANY_OWNER, "status.submoduleSummary=false"),
        variables=_without_filters(await _filters(source, git)),
    )
    result = await git.run(status)
    count = result.stdout.count(b"\0") if result.returncode == 0 else 0
    if count == 0:
        return None
    if count == 1:
        return f"1 uncommitted change in {source.folder} is not part of the job."
    return f"{count} uncommitted changes in {source.folder} are not part of the job."


async def _filters(source: LocalSource, git: Git) -> set[str]:
    arguments = ("config", "--null", "--name-only", "--get-regexp", "^filter[.]")
    result = await git.run(GitCall(arguments, cwd=source.folder, settings=(ANY_OWNER,)))
    keys = result.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    return {key.removeprefix("filter.").rpartition(".")[0] for key in keys}


def _without_filters(names: set[str]) -> dict[str, str]:
    """Variables that switch filters off; unlike `-c` they allow any name (git-config(1), GIT_CONFIG_COUNT)."""
    values = [
        (f"filter.{name}.{key}", value)
        for name in sorted(names)
        for key, value in (("process", ""), ("clean", ""), ("required", "false"))
    ]
    variables = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (key, value) in enumerate(values):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables
