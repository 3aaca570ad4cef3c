"""`aicd billing`: plans and prices at Stripe, the exporter, and what to do when the books differ."""

import importlib
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show

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

_COMPARED = (
    "{mark} {organization_id} {day} {meter}: ledger {ledger}, charged {charged}, billable {billable}, sent {sent}, "
    "Stripe {provider}"
)
_DEAD = "{id} {meter} {quantity} {date}: {code}: {reason}"

app = typer.Typer(help="Charge organizations through Stripe.", no_args_is_help=True)


@app.command("plans", epilog="Example:  aicd billing plans")
def plans_command(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Check the plans file and show what it says."""

    async def work() -> ExitCode:
        told = _operating().show_plans(data_dir)
        _say(told, _plan_lines(told), as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


@app.command("sync", epilog=SYNC_EXAMPLE)
def sync_command(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Make products, meters and prices at Stripe as the plans file has them. A second run changes nothing."""

    async def work(billing: Any) -> ExitCode:
        made = await billing.sync()
        _say({"made": made}, made or ["all was right already"], as_json)
        return ExitCode.OK

    _run(data_dir, work, as_json)


@app.command("export", epilog=EXPORT_EXAMPLE)
def export_command(
    once: Annotated[bool, typer.Option("--once", help="Only what is due now, and end.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Charge what was done and tell Stripe, until SIGTERM or Ctrl-C. `aicd serve` and `aicd up` do it by themselves.

    --json is for --once; without that there is no result.
    """

    async def work(billing: Any) -> ExitCode:
        sent = await billing.export(once=once)
        if once:
            _say({"sent": sent}, [f"{sent} meter event(s) sent"], as_json)
        return ExitCode.OK

    _run(data_dir, work, as_json, logs=True)


@app.command("reconcile", epilog=RECONCILE_EXAMPLE)
def reconcile_command(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="A day of UTC; default: yesterday.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Compare ledger, charges, what was sent and what Stripe counted. Exit code 1 when two of them differ."""

    async def work(billing: Any) -> ExitCode:
        rows = await billing.reconcile(wanted)
        lines = [_COMPARED.format(mark="DIFFERS" if row["differs"] else "same   ", **row) for row in rows]
        _say({"day": wanted.isoformat(), "meters": rows}, lines or ["nothing was charged on that day"], as_json)
        return ExitCode.UNEXPECTED if any(row["differs"] for row in rows) else ExitCode.OK

    wanted: date = day.date() if day else datetime.now(UTC).date() - timedelta(days=1)
    _run(data_dir, work, as_json)


@app.command("dead", epilog="Example:  aicd billing dead --org acme")
def dead_command(org: Slug, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the meter events that are not sent again by themselves, and why."""

    async def work(billing: Any) -> ExitCode:
        rows = await billing.dead(org)
        lines = [_DEAD.format(date=row["occurred_at"][:10], **row) for row in rows]
        _say({"meter_events": rows}, lines or ["none is dead"], as_json)
        return ExitCode.OK

    _run(data_dir, work, as_json)


@app.command("resend", epilog=RESEND_EXAMPLE)
def resend_command(
    org: Slug,
    event: Annotated[UUID | None, typer.Option(metavar="ID", help="One meter event, as `dead` lists it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Have dead meter events sent again, once what stood in their way is mended."""
    if (event is None) is not everything:
        raise typer.BadParameter("name one with --event, or say --all")

    async def work(billing: Any) -> ExitCode:
        count = await billing.resend(org, event)
        _say({"resent": count}, [f"{count} meter event(s) will be sent again"], as_json)
        return ExitCode.OK

    _run(data_dir, work, as_json)


@app.command("cancel", epilog=CANCEL_EXAMPLE)
def cancel_command(
    org: Slug,
    event: Annotated[UUID, typer.Option(metavar="ID", help="The meter event.")],
    reason: Reason,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Take a meter event back that Stripe received in the last 24 hours."""

    async def work(billing: Any) -> ExitCode:
        await billing.cancel(org, event, reason)
        _say({"cancelled": str(event)}, [], as_json)
        return ExitCode.OK

    _run(data_dir, work, as_json)


@app.command("credit", epilog=CREDIT_EXAMPLE)
def credit_command(
    org: Slug,
    micro_usd: Annotated[int, typer.Option(min=1, max=8_000_000_000_000, metavar="N", help="How much.")],
    subject: Annotated[str, typer.Option("--for", metavar="NAME", help="What it makes good; given once for a name.")],
    reason: Reason,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give an organization credit, which is used up before anything is charged."""

    async def work(billing: Any) -> ExitCode:
        await billing.credit(org, micro_usd, subject, reason)
        _say({"credited_micro_usd": micro_usd, "for": subject}, [], as_json)
        return ExitCode.OK

    _run(data_dir, work, as_json)


@app.command("release", epilog=RELEASE_EXAMPLE)
def release_command(org: Slug, reason: Reason, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Have work done again for an organization whose payment was disputed, also where the dispute was lost.

    Only disputes until now are released; the next one stops its jobs again. They go on with the server's next look.
    """

    async def work(billing: Any) -> ExitCode:
        await billing.release(org, reason)
        _say({"released": org}, [], as_json)
        return ExitCode.OK

    _run(data_dir, work, as_json)


@app.command("plan", epilog=PLAN_EXAMPLE)
def plan_command(
    org: Slug, plan: Annotated[str, typer.Argument(metavar="PLAN")], as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Put an organization on a plan from now on, with the trial and credit of a first account."""

    async def work(billing: Any) -> ExitCode:
        await billing.put_on(org, plan)
        _say({"org": org, "plan": plan}, [], as_json)
        return ExitCode.OK

    _run(data_dir, work, as_json)


def _run(
    data_dir: Path | None, work: Callable[[Any], Awaitable[ExitCode]], as_json: bool, *, logs: bool = False
) -> None:
    async def whole() -> ExitCode:
        async with _operating().opened(data_dir, logs=logs) as billing:
            return await work(billing)

    run_process(whole, as_json=as_json)


def _operating() -> Any:
    return importlib.import_module("aicd_backend.billing.operating")


def _plan_lines(told: dict[str, Any]) -> Iterator[str]:
    for name, plan in told["plans"].items():
        yield f"{name}: {plan['title']}{' (default)' if name == told['default'] else ''}"
        yield from (f"  {price['meter']}: {price['unit_usd']} USD" for price in plan["prices"])


def _say(found: dict[str, Any], lines: Iterable[str], as_json: bool) -> None:
    """A result as one object, or as lines for a person."""
    if as_json:
        show(found)
        return
    for line in lines:
        sys.stdout.write(f"{line}\n")
