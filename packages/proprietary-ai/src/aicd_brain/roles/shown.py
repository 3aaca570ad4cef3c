"""What all roles are shown in the same way. Pure."""

from aicd_brain.tools.truncation import head_and_tail
from aicd_core.contracts import Task, TestReport

OUTPUT_SHOWN = 6_000


def issue_text(task: Task) -> str:
    """Title and body; what a person would not see of them, the platform has taken out."""
    return f"{task.title}\n\n{task.body}"


def commands_text(tests: TestReport) -> str:
    """The commands with how each ended; the output only of those that failed. Not how long they took."""
    shown = []
    for result in (*tests.setup, *tests.tests):
        output = "" if result.ok else f"\n{head_and_tail(result.output, OUTPUT_SHOWN)}"
        shown.append(f"$ {result.command}\n[{result.outcome()}]{output}")
    return "\n".join(shown) or "(none were declared)"
