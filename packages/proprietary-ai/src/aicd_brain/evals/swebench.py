"""SWE-bench's formats: https://www.swebench.com/SWE-bench/guides/datasets/, and `…/guides/evaluation/`."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from aicd_brain.evals.values import EvalTask, TaskResult
from aicd_core.errors import InvalidInputError

TESTS_MARK = "{tests}"


def _names(value: Any) -> Any:
    """The lists of tests are JSON inside of the JSON in some editions."""
    return json.loads(value) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class _Instance(BaseModel):
    """The fields that are used of a line."""

    instance_id: str
    repo: str
    base_commit: str
    problem_statement: str
    patch: str = ""
    test_patch: str = ""
    FAIL_TO_PASS: Names = ()
    PASS_TO_PASS: Names = ()


def read_swebench(file: Path, clones: Path, test_command: str | None) -> tuple[EvalTask, ...]:
    """The tasks of a JSONL file.

    Args:
        clones: holds a clone of each repository, as `owner__name`, `owner/name` or `name`.
        test_command: judges here; `{tests}` in it stands for the names of the tests that must pass. None judges
            nothing: the predictions are for SWE-bench's own harness.

    Raises:
        InvalidInputError: the file cannot be read, a line is no instance, or a clone is missing.
    """
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file} cannot be read: {error}.", code="no_tasks") from error
    tasks = [_task(file, number, line, clones, test_command) for number, line in enumerate(lines, 1) if line.strip()]
    if not tasks:
        raise InvalidInputError(f"{file} holds no task.", code="no_tasks")
    return tuple(tasks)


def _task(file: Path, number: int, line: str, clones: Path, test_command: str | None) -> EvalTask:
    try:
        one = _Instance.model_validate_json(line)
    except ValidationError as error:
        raise InvalidInputError(f"{file}, line {number}, is no SWE-bench instance: {error}", code="bad_task") from error
    names = " ".join(shlex.quote(name) for name in (*one.FAIL_TO_PASS, *one.PASS_TO_PASS))
    return EvalTask(
        id=one.instance_id,
        issue=one.problem_statement,
        repository=_clone(clones, one.repo),
        base=one.base_commit,
        tests=None if test_command is None else (test_command.replace(TESTS_MARK, names),),
        test_patch=one.test_patch,
        solution=one.patch or None,
        timeout=1800.0,
    )


def _clone(clones: Path, repo: str) -> Path:
    owner, _, name = repo.partition("/")
    for place in (clones / f"{owner}__{name}", clones / owner / name, clones / (name or owner)):
        if place.is_dir():
            return place
    raise InvalidInputError(
        f"There is no clone of {repo} in {clones}. Put one at {clones / f'{owner}__{name}'}.", code="no_clone"
    )


def predictions(agent: str, results: Iterable[TaskResult]) -> str:
    """SWE-bench's predictions, a line for each task that was tried."""
    lines = [
        {"instance_id": result.id, "model_name_or_path": agent, "model_patch": result.patch}
        for result in results
        if result.job_id is not None
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)
