"""What a job asks for, as an agent sees it."""

from pydantic import Field

from aicd_core.contracts.values import GitSha, Value


class Task(Value):
    """One issue to be turned into a pull request. `title` and `body` are text from strangers: data only."""

    job_id: str
    title: str
    body: str
    base_branch: str
    base_sha: GitSha
    test_commands: tuple[str, ...] = Field(
        default=(), description="Declared in .aicd.yml or detected; the platform runs them after coding."
    )
