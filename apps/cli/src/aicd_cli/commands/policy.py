"""`aicd policy`: trying a policy out before it decides, and an organization's own."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.past import Judged, counted, judge_past, read_rules, told
from aicd_cli.process import run_process, show
from aicd_cli.runtime import LOCAL_ORGANIZATION, Store, load_settings, open_store
from aicd_core.policy import organization_rules, publish_rules
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations.service import require_by_slug
from aicd_core.tenancy.policies import service as policies
from aicd_core.text import number_of

TEST_EXAMPLE = "Example:  aicd policy test --repo . --last 50"

SHOW_EXAMPLE = "Example:  aicd policy show --org acme > rules.json"
PUBLISH_EXAMPLE = 'Example:  aicd policy publish rules.json --org acme --note "No new dependencies."'
OPERATOR = Actor(ActorKind.SYSTEM, "cli")

Slug = Annotated[str, typer.Option("--org", metavar="SLUG", help="The organization.")]

app = typer.Typer(
    help="Try a policy out; show and publish an organization's.", epilog=TEST_EXAMPLE, no_args_is_help=True
)


@app.command("show", epilog=SHOW_EXAMPLE)
def show_command(org: Slug = LOCAL_ORGANIZATION, data_dir: DataDir = None) -> None:
    """Print an organization's rules as JSON: those of its newest policy, or the built-in ones."""

    async def work() -> ExitCode:
        async with _tenant(data_dir, org) as (store, tenant), store.database.read(tenant) as session:
            rules, newest = await organization_rules(session, tenant), await policies.newest(session, tenant)
        sys.stdout.write(rules.model_dump_json(indent=2) + "\n")
        version = f"version {newest.version}" if newest else "none of its own: these are the built-in rules"
        sys.stderr.write(f"policy of {org}: {version}\n")
        return ExitCode.OK

    run_process(work, as_json=False)


@app.command("publish", epilog=PUBLISH_EXAMPLE)
def publish_command(
    file: Annotated[Path, typer.Argument(metavar="F", help="The rules as JSON, as `aicd policy show` prints them.")],
    org: Slug = LOCAL_ORGANIZATION,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays with the version.")] = "",
    expected: Annotated[
        int | None,
        typer.Option("--expected", min=0, metavar="N", help="Refuse unless this is the newest version; 0: none yet."),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make rules an organization's policy, as its next version. It holds for jobs at work, too, from their next step.

    Earlier versions are kept. To undo, publish what was there before.
    """

    async def work() -> ExitCode:
        rules = read_rules(file)
        async with _tenant(data_dir, org) as (store, tenant), store.database.write(tenant) as session:
            newest = await policies.newest(session, tenant)
            on_top_of = expected if expected is not None else newest.version if newest else 0
            made = await publish_rules(session, tenant, OPERATOR, rules, expected=on_top_of, note=note)
        if as_json:
            show({"org": org, "version": made.version})
        else:
            sys.stdout.write(f"The policy of {org} is at version {made.version}.\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


@asynccontextmanager
async def _tenant(data_dir: Path | None, slug: str) -> AsyncIterator[tuple[Store, Tenant]]:
    async with open_store(load_settings(data_dir)) as store:
        async with store.system.read() as session:
            tenant = await require_by_slug(session, slug)
        yield store, tenant


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
            sys.stdout.write(f"{number_of(len(judged), 'commit')}: {sums}\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)
