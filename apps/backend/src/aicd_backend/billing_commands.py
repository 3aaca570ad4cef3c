"""`aicd billing`: plans and prices at Stripe, the exporter, and what to do when the books differ."""

import importlib
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import DataDir
from aicd_cli.process import run_process

SYNC_EXAMPLE = "Example:  AICD_STRIPE_KEY=sk_test_… aicd billing sync"
EXPORT_EXAMPLE = "Example:  aicd billing export --once"
RECONCILE_EXAMPLE = "Example:  aicd billing reconcile --day 2026-11-25"
RESEND_EXAMPLE = "Example:  aicd billing resend --org acme --all"
CANCEL_EXAMPLE = "Example:  aicd billing cancel --org acme --event 01a2… --reason 'charged by mistake'"
CREDIT_EXAMPLE = "Example:  aicd billing credit --org acme --micro-usd 5000000 --for ticket-17 --reason 'an outage'"
RELEASE_EXAMPLE = "Example:  aicd billing release --org acme --reason 'settled by bank transfer'"
PLAN_EXAMPLE = "Example:  aicd billing plan --org acme per_token"

Slug = Annotated[str, typer.Option("--org", metavar="SLUG", help="The organization.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the correction.")]

app = typer.Typer(help="Charge organizations through Stripe.", no_args_is_help=True)


@app.command("plans", epilog="Example:  aicd billing plans")
def plans_command(data_dir: DataDir = None) -> None:
    """Check the plans file and show what it says."""

    async def work() -> ExitCode:
        _say(_operating().show_plans(data_dir))
        return ExitCode.OK

    run_process(work, as_json=False)


@app.command("sync", epilog=SYNC_EXAMPLE)
def sync_command(data_dir: DataDir = None) -> None:
    """Make products, meters and prices at Stripe as the plans file has them. A second run changes nothing."""

    async def work(billing: Any) -> ExitCode:
        _say(await billing.sync() or ["all was right already"])
        return ExitCode.OK

    _run(data_dir, work)


@app.command("export", epilog=EXPORT_EXAMPLE)
def export_command(
    once: Annotated[bool, typer.Option("--once", help="Only what is due now, and end.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Charge what was done and tell Stripe, until SIGTERM or Ctrl-C. `aicd serve` and `aicd up` do it by themselves."""

    async def work(billing: Any) -> ExitCode:
        sent = await billing.export(once=once)
        if once:
            _say([f"{sent} meter event(s) sent"])
        return ExitCode.OK

    _run(data_dir, work, logs=True)


@app.command("reconcile", epilog=RECONCILE_EXAMPLE)
def reconcile_command(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="A day of UTC; default: yesterday.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Compare ledger, charges, what was sent and what Stripe counted. Exit code 1 when two of them differ."""

    async def work(billing: Any) -> ExitCode:
        lines = await billing.reconcile(wanted)
        _say(lines or ["nothing was charged on that day"])
        return ExitCode.UNEXPECTED if any(line.startswith("DIFFERS") for line in lines) else ExitCode.OK

    wanted: date = day.date() if day else datetime.now(UTC).date() - timedelta(days=1)
    _run(data_dir, work)


@app.command("dead", epilog="Example:  aicd billing dead --org acme")
def dead_command(org: Slug, data_dir: DataDir = None) -> None:
    """List the meter events that are not sent again by themselves, and why."""

    async def work(billing: Any) -> ExitCode:
        _say(await billing.dead(org) or ["none is dead"])
        return ExitCode.OK

    _run(data_dir, work)


@app.command("resend", epilog=RESEND_EXAMPLE)
def resend_command(
    org: Slug,
    event: Annotated[UUID | None, typer.Option(metavar="ID", help="One meter event, as `dead` lists it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Have dead meter events sent again, once what stood in their way is mended."""
    if (event is None) is not everything:
        raise typer.BadParameter("name one with --event, or say --all")

    async def work(billing: Any) -> ExitCode:
        _say([f"{await billing.resend(org, event)} meter event(s) will be sent again"])
        return ExitCode.OK

    _run(data_dir, work)


@app.command("cancel", epilog=CANCEL_EXAMPLE)
def cancel_command(
    org: Slug,
    event: Annotated[UUID, typer.Option(metavar="ID", help="The meter event.")],
    reason: Reason,
    data_dir: DataDir = None,
) -> None:
    """Take a meter event back that Stripe received in the last 24 hours."""

    async def work(billing: Any) -> ExitCode:
        await billing.cancel(org, event, reason)
        return ExitCode.OK

    _run(data_dir, work)


@app.command("credit", epilog=CREDIT_EXAMPLE)
def credit_command(
    org: Slug,
    micro_usd: Annotated[int, typer.Option(min=1, max=9_000_000_000_000, metavar="N", help="How much.")],
    subject: Annotated[str, typer.Option("--for", metavar="NAME", help="What it makes good; given once for a name.")],
    reason: Reason,
    data_dir: DataDir = None,
) -> None:
    """Give an organization credit, which is used up before anything is charged."""

    async def work(billing: Any) -> ExitCode:
        await billing.credit(org, micro_usd, subject, reason)
        return ExitCode.OK

    _run(data_dir, work)


@app.command("release", epilog=RELEASE_EXAMPLE)
def release_command(org: Slug, reason: Reason, data_dir: DataDir = None) -> None:
    """Have work done again for an organization whose payment was disputed, also where the dispute was lost.

    Only disputes until now are released; the next one stops its jobs again. They go on with the server's next look.
    """

    async def work(billing: Any) -> ExitCode:
        await billing.release(org, reason)
        return ExitCode.OK

    _run(data_dir, work)


@app.command("plan", epilog=PLAN_EXAMPLE)
def plan_command(org: Slug, plan: Annotated[str, typer.Argument(metavar="PLAN")], data_dir: DataDir = None) -> None:
    """Put an organization on a plan from now on, with the trial and credit of a first account."""

    async def work(billing: Any) -> ExitCode:
        await billing.put_on(org, plan)
        return ExitCode.OK

    _run(data_dir, work)


def _run(data_dir: Path | None, work: Callable[[Any], Awaitable[ExitCode]], *, logs: bool = False) -> None:
    async def whole() -> ExitCode:
        async with _operating().opened(data_dir, logs=logs) as billing:
            return await work(billing)

    run_process(whole, as_json=False)


def _operating() -> Any:
    return importlib.import_module("aicd_backend.billing.operating")


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
