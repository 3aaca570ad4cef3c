"""A whole run of `aicd eval`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aicd_brain.evals.folder import read_folder
from aicd_brain.evals.report import RESULTS_FILE, compare, in_words, read_report, total
from aicd_brain.evals.runner import TaskRunner
from aicd_brain.evals.swebench import predictions, read_swebench
from aicd_brain.evals.values import EvalReport, EvalTask, TaskResult
from aicd_cli.exit_codes import ExitCode
from aicd_cli.runtime import LocalHosts, load_settings, make_parts, open_store, prepare_data_dir, require_disk_space
from aicd_core.agents.registry import load_agent
from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator import Progress

PREDICTIONS_FILE = "predictions.jsonl"


@dataclass(frozen=True)
class EvalRequest:
    """What the person typed. `at_least` is the share of counted tasks that must be resolved for an exit code of 0."""

    tasks: Path
    agent: str | None
    only: tuple[str, ...]
    clones: Path | None
    test_command: str | None
    with_solutions: bool
    compare: Path | None
    output: Path | None
    at_least: float
    as_json: bool
    data_dir: Path | None


async def run(request: EvalRequest) -> ExitCode:
    """Checks everything that can be wrong before the first job, then runs the tasks; writes and says what came of it.

    Raises:
        AicdError: tasks, earlier results, agent, sandbox, database or disk cannot be used.
    """
    settings = load_settings(request.data_dir)
    agent = request.agent or settings.agent
    load_agent(agent)
    tasks = _chosen(request)
    earlier = read_report(request.compare) if request.compare else None
    place = prepare_data_dir(settings) / "evals" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    output = request.output or place
    _make(output)
    require_disk_space(settings)
    hosts = LocalHosts(settings)
    await hosts.sandbox.check()
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    results: list[TaskResult] = []
    async with open_store(settings) as store:
        parts = make_parts(settings, store, hosts, _unseen)
        runner = TaskRunner(parts, store, hosts, agent, place / "repositories", request.with_solutions)
        for number, task in enumerate(tasks, 1):
            result = await runner.run(task)
            results.append(result)
            sys.stderr.write(f"[{number}/{len(tasks)}] {task.id}: {result.outcome.value}\n")
            report = EvalReport(agent=agent, started_at=started_at, results=tuple(results), totals=total(results))
            if earlier is not None:
                report = report.model_copy(update={"comparison": compare(earlier, results)})
            _write(output, report)  # after each task: whatever ends the run, what was paid for is there
    _say(request, report, output)
    rate = report.totals.rate
    return ExitCode.OK if rate is None or rate >= request.at_least else ExitCode.JOB_FAILED


def _chosen(request: EvalRequest) -> Sequence[EvalTask]:
    if request.tasks.is_dir():
        tasks = read_folder(request.tasks)
    elif request.clones is None:
        raise InvalidInputError(
            f"{request.tasks} is no folder of tasks. If it is a SWE-bench file, name the folder with clones of its "
            "repositories with --repositories.",
            code="no_tasks",
        )
    else:
        tasks = read_swebench(request.tasks, request.clones, request.test_command)
    unknown = set(request.only) - {task.id for task in tasks}
    if unknown:
        raise InvalidInputError(f"{request.tasks} has no task {', '.join(sorted(unknown))}.", code="no_tasks")
    return [task for task in tasks if not request.only or task.id in request.only]


def _unseen(_: Progress) -> None:
    """Nobody watches the single steps; `aicd show JOB` tells them afterwards."""


def _make(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"{output} cannot be made ({error.strerror}). Name another --output.") from error


def _write(output: Path, report: EvalReport) -> None:
    (output / RESULTS_FILE).write_text(report.model_dump_json(indent=1) + "\n")
    (output / PREDICTIONS_FILE).write_text(predictions(report.agent, report.results))


def _say(request: EvalRequest, report: EvalReport, output: Path) -> None:
    if request.as_json:
        sys.stdout.write(report.model_dump_json() + "\n")
    else:
        sys.stdout.write(f"{in_words(report)}\nResults: {output / RESULTS_FILE}\n")
