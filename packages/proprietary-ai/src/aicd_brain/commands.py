"""The command that this package adds to `aicd`; see `aicd_cli.plugins` for why nothing heavy is imported here."""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import Work, run_process

EVAL_EXAMPLE = "Example:  aicd eval tasks/ --agent dummy --with-solutions --compare last/results.json"


def register(app: typer.Typer) -> None:
    """Adds `aicd eval`."""
    app.command("eval", epilog=EVAL_EXAMPLE)(eval_command)


def eval_command(
    tasks: Annotated[Path, typer.Argument(metavar="FOLDER|JSONL", help="A folder of tasks, or a SWE-bench file.")],
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who is measured. [env: AICD_AGENT; default: dummy]")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="TASK", help="Only this task; may be repeated.")] = None,
    repositories: Annotated[
        Path | None, typer.Option(metavar="D", help="Clones of a SWE-bench file's repositories.")
    ] = None,
    test_command: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Judges a SWE-bench file here; {tests} stands for the tests' names."),
    ] = None,
    with_solutions: Annotated[
        bool, typer.Option("--with-solutions", help="Each issue spells out its solution: proves the harness.")
    ] = False,
    compare: Annotated[Path | None, typer.Option(metavar="EARLIER", help="Results of an earlier run.")] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="D", help="Where results go; default: a folder in the data directory.")
    ] = None,
    at_least: Annotated[
        float, typer.Option(min=0, max=1, metavar="RATE", help="End with 3 when a smaller share is resolved.")
    ] = 0.0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure an agent: run tasks as jobs, then their hidden tests on what came out.

    Writes results.json and predictions.jsonl (SWE-bench's format) after each task.

    Exit codes: 0 measured, 1 unexpected, 2 usage, 3 fewer resolved than --at-least, 130 cancelled.
    """

    def begin() -> Work:
        module = importlib.import_module("aicd_brain.evals.run")
        request = module.EvalRequest(
            tasks=tasks,
            agent=agent,
            only=tuple(only or ()),
            clones=repositories,
            test_command=test_command,
            with_solutions=with_solutions,
            compare=compare,
            output=output,
            at_least=at_least,
            as_json=as_json,
            data_dir=data_dir,
        )
        work: Work = module.run(request)
        return work

    run_process(begin, as_json=as_json)
