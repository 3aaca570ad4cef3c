"""Reading a folder of tasks: in each sub-folder `task.toml`, `issue.md`, the repository and the hidden tests."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aicd_brain.evals.values import EvalTask
from aicd_core.errors import InvalidInputError

TASK_FILE = "task.toml"
ISSUE_FILE = "issue.md"
SOLUTION_FILE = "solution.diff"
HIDDEN_FOLDER = "hidden"


class _TaskFile(BaseModel):
    """What `task.toml` may say."""

    model_config = ConfigDict(extra="forbid", strict=True)

    language: str = ""
    repository: str = "repository"
    base: str | None = None
    tests: list[str] = Field(min_length=1)
    needs: list[str] = []
    timeout: float = Field(default=120.0, gt=0)


def read_folder(folder: Path) -> tuple[EvalTask, ...]:
    """Every task of a folder, by name.

    Raises:
        InvalidInputError: there is no task, or one is not complete.
    """
    found = tuple(_read(place.parent) for place in sorted(folder.glob(f"*/{TASK_FILE}")))
    if not found:
        raise InvalidInputError(
            f"{folder} holds no task: a task is a folder with {TASK_FILE}, {ISSUE_FILE} and a repository.",
            code="no_tasks",
        )
    return found


def _read(place: Path) -> EvalTask:
    try:
        said = _TaskFile.model_validate(tomllib.loads((place / TASK_FILE).read_text()))
        issue = (place / ISSUE_FILE).read_text()
        solution = place / SOLUTION_FILE
        hidden = place / HIDDEN_FOLDER
        return EvalTask(
            id=place.name,
            issue=issue,
            repository=_existing(place / said.repository),
            base=said.base,
            language=said.language,
            tests=tuple(said.tests),
            hidden={
                file.relative_to(hidden).as_posix(): file.read_bytes()
                for file in sorted(hidden.rglob("*"))
                if file.is_file()
            },
            needs=tuple(said.needs),
            solution=solution.read_text() if solution.exists() else None,
            timeout=said.timeout,
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidInputError(f"The task {place} cannot be used: {error}", code="bad_task") from error


def _existing(path: Path) -> Path:
    path.stat()
    return path
