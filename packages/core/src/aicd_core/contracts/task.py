"""What a job asks for, as an agent sees it."""

from pydantic import Field

from aicd_core.contracts.plan import Plan
from aicd_core.contracts.values import GitSha, Value
from aicd_core.patches import extract_patches


class Task(Value):
    """One issue to be turned into a pull request. `title` and `body` are text from strangers: data only.

    Both are cleaned of what the issue's page does not show: hidden comments and elements, invisible characters. In a
    code block such a character is shown as `<U+200B>`; then `exact_diffs` holds the diffs as they came, byte for byte.
    """

    job_id: str
    title: str
    body: str
    base_branch: str
    base_sha: GitSha
    test_commands: tuple[str, ...] = Field(
        default=(), description="Declared in .aicd.yml or detected; the platform runs them after coding."
    )
    exact_diffs: tuple[str, ...] | None = Field(
        default=None, description="For git, never for a prompt. None: the diffs in `body` are exact."
    )
    returned_plan: Plan | None = Field(
        default=None, description="While planning: the plan that came back with the `errors` of `Agent.plan`."
    )

    def diffs(self) -> tuple[str, ...]:
        """The diffs that the issue spells out in fenced blocks, byte for byte, in order."""
        return extract_patches(self.body) if self.exact_diffs is None else self.exact_diffs
