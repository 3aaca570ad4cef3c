"""Sums, the comparison with an earlier run, and the words for a person."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from aicd_brain.evals.values import COUNTED, Comparison, EvalReport, Outcome, TaskResult, Totals
from aicd_core.contracts import MICRO_USD, Usage
from aicd_core.errors import InvalidInputError

RESULTS_FILE = "results.json"


def total(results: Iterable[TaskResult]) -> Totals:
    """The sums of some results."""
    every = tuple(results)
    counted = [result for result in every if result.outcome in COUNTED]
    resolved = sum(result.outcome is Outcome.RESOLVED for result in counted)
    usage = sum((result.usage for result in every), Usage())
    return Totals(
        tasks=len(every),
        counted=len(counted),
        resolved=resolved,
        rate=resolved / len(counted) if counted else None,
        usage=usage,
        cost_usd=usage.cost_micro_usd / MICRO_USD,
        duration_s=round(sum(result.duration_s for result in every), 3),
    )


def compare(earlier: EvalReport, results: Sequence[TaskResult]) -> Comparison:
    """What changed since an earlier run, over the tasks that both counted."""
    before = {result.id: result for result in earlier.results if result.outcome in COUNTED}
    now = {result.id: result for result in results if result.outcome in COUNTED and result.id in before}
    solved_before = {name for name in now if before[name].outcome is Outcome.RESOLVED}
    solved_now = {name for name, result in now.items() if result.outcome is Outcome.RESOLVED}
    return Comparison(
        earlier_agent=earlier.agent,
        tasks=len(now),
        gained=tuple(sorted(solved_now - solved_before)),
        lost=tuple(sorted(solved_before - solved_now)),
        before=total(before[name] for name in now),
        now=total(now.values()),
    )


def read_report(place: Path) -> EvalReport:
    """An earlier run: its `results.json`, or the folder that holds it.

    Raises:
        InvalidInputError: it cannot be read.
    """
    file = place / RESULTS_FILE if place.is_dir() else place
    try:
        return EvalReport.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidInputError(f"{file} holds no results of `aicd eval`: {error}", code="bad_results") from error


def in_words(report: EvalReport) -> str:
    """The run as lines of text."""
    width = max(len(result.id) for result in report.results)
    lines = [_line(result, width) for result in report.results]
    lines += ["", f"{report.agent}: {_sums(report.totals)}"]
    if (change := report.comparison) is not None:
        lines += [
            f"Of {change.tasks} tasks also in the earlier run ({change.earlier_agent}):",
            f"  before  {_sums(change.before)}",
            f"  now     {_sums(change.now)}",
            f"  gained  {', '.join(change.gained) or 'none'}",
            f"  lost    {', '.join(change.lost) or 'none'}",
        ]
    return "\n".join(lines) + "\n"


def _line(result: TaskResult, width: int) -> str:
    failed = next((run for run in result.tests if not run.passed), None)
    why = result.reason or (f"{failed.command}: {failed.outcome}" if failed else "")
    figures = f"{result.duration_s:7.1f} s  {result.usage.cost_micro_usd / MICRO_USD:8.4f} $"
    return f"{result.id:{width}}  {result.outcome.value:15}  {figures}  {why}".rstrip()


def _sums(totals: Totals) -> str:
    rate = "no task was judged" if totals.rate is None else f"{100 * totals.rate:.1f} % resolved"
    usage = totals.usage
    read = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens
    return (
        f"{rate} ({totals.resolved} of {totals.counted}), {totals.cost_usd:.4f} $, {read} tokens in, "
        f"{usage.output_tokens} out, {totals.duration_s:.1f} s at work"
    )
