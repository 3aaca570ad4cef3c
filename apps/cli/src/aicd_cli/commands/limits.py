"""`aicd org limits`: what an organization's jobs may cost, shown and set; what had paused at a limit goes on."""

import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import Annotated, Any

import typer

from aicd_cli.commands.control import tell
from aicd_cli.exit_codes import ExitCode
from aicd_cli.hosts import Hosts
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import LOCAL_ORGANIZATION, Store, load_settings, make_parts, open_dispatch, open_store
from aicd_core.contracts import MICRO_USD
from aicd_core.db.sessions import ReadSession
from aicd_core.errors import InvalidInputError, NotFoundError
from aicd_core.orchestrator import LIMIT_CODES, Control
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations.service import edit_settings, get_settings, require_by_slug
from aicd_core.tenancy.repositories import service as repositories
from aicd_core.tenancy.repositories.repository import find_repository
from aicd_core.tenancy.repositories.values import RepositoryView
from aicd_core.usage.budgets.values import Scope
from aicd_core.usage.repository import total_of_month

EXAMPLE = "Example:  aicd org limits --org acme --issue 20 --repository 300 --month 1000"
OPERATOR = Actor(ActorKind.SYSTEM, "cli")
NONE = "none"

Limits = Mapping[Scope, int | None]
"""Micro-USD; None is no limit."""
FIELDS = {
    Scope.JOB: "job_budget",
    Scope.ISSUE: "issue_budget",
    Scope.REPOSITORY: "repository_budget",
    Scope.ORGANIZATION: "monthly_budget",
}
LABELS = {
    Scope.JOB: "each new job",
    Scope.ISSUE: "each issue, all its jobs",
    Scope.REPOSITORY: "each repository, a month",
    Scope.ORGANIZATION: "the organization, a month",
}
OF_REPOSITORY = {Scope.ISSUE: "issue_budget", Scope.REPOSITORY: "monthly_budget"}


def command(
    org: Annotated[str, typer.Option("--org", metavar="SLUG", help="The organization.")] = LOCAL_ORGANIZATION,
    repo: Annotated[
        str | None,
        typer.Option("--repo", metavar="SOURCE", help="Only this repository, which may be given less than the others."),
    ] = None,
    job: Annotated[str | None, typer.Option(metavar="USD", help="What a new job may cost; `none`: no limit.")] = None,
    issue: Annotated[str | None, typer.Option(metavar="USD", help="What all jobs of one issue may cost.")] = None,
    repository: Annotated[
        str | None, typer.Option(metavar="USD", help="What one repository may cost in a calendar month of UTC.")
    ] = None,
    month: Annotated[
        str | None, typer.Option(metavar="USD", help="What the organization may cost in a calendar month of UTC.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what jobs may cost, or change it: in US dollars, or `none`.

    A change holds at once, also for jobs at work. Jobs that had paused at a limit that is set here go on; the budget of
    a job that exists is raised by `aicd resume JOB --budget`.
    """

    async def work() -> ExitCode:
        given = {Scope.JOB: job, Scope.ISSUE: issue, Scope.REPOSITORY: repository, Scope.ORGANIZATION: month}
        wanted = {scope: _micro_usd(text) for scope, text in given.items() if text is not None}
        settings = load_settings(data_dir)
        async with open_store(settings) as store:
            async with store.system.read() as session:
                tenant = await require_by_slug(session, org)
            if wanted and repo is None:
                await _limit_organization(store, tenant, wanted)
            elif wanted and repo is not None:
                await _limit_repository(store, tenant, repo, wanted)
            resumed = await _resume(settings, store, tenant, wanted)
            await _show(store, tenant, repo, resumed, as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


def _micro_usd(text: str) -> int | None:
    if text == NONE:
        return None
    try:
        amount = Decimal(text)
        micro = amount.quantize(1 / Decimal(MICRO_USD))
        if micro == amount and amount >= 0:
            return int(micro * MICRO_USD)
    except (DecimalException, ValueError, OverflowError):
        pass
    raise InvalidInputError(
        f"{text[:40]!r} is no limit. Give US dollars, such as 20 or 0.50, with at most six decimals, or none.",
        code="bad_budget",
    )


async def _limit_organization(store: Store, tenant: Tenant, wanted: Limits) -> None:
    async with store.database.write(tenant) as session:
        now = await get_settings(session, tenant)
        changed: dict[str, Any] = {FIELDS[scope]: most for scope, most in wanted.items()}
        values = replace(now.values, **changed)
        await edit_settings(session, tenant, OPERATOR, values, revision=now.revision)


async def _limit_repository(store: Store, tenant: Tenant, source: str, wanted: Limits) -> None:
    if not wanted.keys() <= OF_REPOSITORY.keys():
        raise InvalidInputError(
            "Of one repository only --issue and --repository can be limited. Leave --repo out for the others.",
            code="not_of_a_repository",
        )
    async with store.database.write(tenant) as session:
        found = await repository_of(session, tenant, source)
        limits = {name: wanted.get(scope, getattr(found, name)) for scope, name in OF_REPOSITORY.items()}
        await repositories.limit(session, tenant, OPERATOR, found.id, revision=found.revision, **limits)


async def repository_of(session: ReadSession, tenant: Tenant, source: str) -> RepositoryView:
    """The repository of a clone URL or a path, which may be relative; raises NotFoundError."""
    for name in _names(source):
        if (found := await find_repository(session, tenant, name)) is not None:
            return found
    raise NotFoundError(
        f"No job has run on a repository {source!r}. Give its clone URL, or the path of its root.",
        code="no_such_repository",
    )


def _names(source: str) -> tuple[str, str]:
    """What a person may mean: a clone URL, or a path, which may be relative."""
    return source, str(Path(source).resolve())


async def _resume(settings: Settings, store: Store, tenant: Tenant, wanted: Collection[Scope]) -> list[str]:
    """The jobs that go on now, of those that had paused at one of these limits."""
    if not wanted:
        return []
    async with open_dispatch(settings, store) as dispatch:
        control = Control(make_parts(settings, store, Hosts(settings), tell, dispatch), tenant, "cli")
        shared = set(wanted) - {Scope.JOB}
        return [str(job.id) for job in await control.resume_those_at({LIMIT_CODES[scope] for scope in shared})]


async def _show(store: Store, tenant: Tenant, repo: str | None, resumed: list[str], *, as_json: bool) -> None:
    async with store.database.read(tenant) as session:
        values = (await get_settings(session, tenant)).values
        spent = (await total_of_month(session, tenant)).cost_micro_usd
        limits: Limits = {scope: getattr(values, name) for scope, name in FIELDS.items()}
        if repo is not None:
            found = await repository_of(session, tenant, repo)
            limits = {scope: getattr(found, name) for scope, name in OF_REPOSITORY.items()}
    if as_json:
        told = {f"{scope.value}_usd": None if most is None else most / MICRO_USD for scope, most in limits.items()}
        show({**told, "spent_this_month_usd": spent / MICRO_USD, "resumed": resumed})
        return
    whose = "" if repo is None else f" (the limits of {repo} itself, beside those of its organization)"
    lines = [f"{LABELS[scope]:<26} {NONE if most is None else _usd(most)}\n" for scope, most in limits.items()]
    lines.append(f"spent by the organization this month: {_usd(spent)}{whose}\n")
    lines += [
        f"Job {job} goes on. A worker takes it, or the `aicd run` that made it, typed again.\n" for job in resumed
    ]
    sys.stdout.writelines(lines)


def _usd(micro: int) -> str:
    """At least two decimals, and more only where they are needed: a limit of 0.001 is not shown as nothing."""
    places = 6 if micro % 10_000 else 2
    return f"{micro / MICRO_USD:.{places}f} USD"
