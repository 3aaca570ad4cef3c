"""`aicd policy`: trying a policy out before it decides."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson
from aicd_cli.past import Judged, counted, judge_past, read_rules, told
from aicd_cli.process import run_process, show

TEST_EXAMPLE = "Example:  aicd policy test --repo . --last 50"

app = typer.Typer(help="Try a policy out.", epilog=TEST_EXAMPLE, no_args_is_help=True)


@app.callback()
def policy() -> None:
    """Try a policy out."""


@app.command("test", epilog=TEST_EXAMPLE)
def past_command(
    repo: Annotated[str, typer.Option("--repo", metavar="PATH", help="A repository on this machine.")] = ".",
    last: Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many commits, the newest first.")] = 20,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="F", help="An organisation's rules as JSON; default: the built-in ones."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the policy would have said of past commits; nothing is changed.

    Each commit is judged by the .aicd.yml before it, as if a job had made it and planned exactly that. What a plan or a
    test run would have to tell (outside_plan, tests_red, wrong_base) is left out; new dependencies count as unplanned.
    """

    async def work() -> ExitCode:
        judged: list[Judged] = []
        async for item in judge_past(repo, last, read_rules(rules)):
            judged.append(item)
            if not as_json:
                sys.stdout.write(told(item) + "\n")
        counts = counted(judged)
        if as_json:
            show({"repo": repo, "counts": counts, "commits": [item.as_json() for item in judged]})
        else:
            sums = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
            sys.stdout.write(f"{len(judged)} commits: {sums}\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)
