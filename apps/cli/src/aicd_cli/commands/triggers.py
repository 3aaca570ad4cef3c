"""`aicd org triggers`: what jobs begin with that GitHub starts, and who may start them; shown and set."""

import sys
from dataclasses import replace
from typing import Annotated

import typer

from aicd_cli.commands.limits import OPERATOR, repository_of
from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import LOCAL_ORGANIZATION, Store, load_settings, open_store
from aicd_core.agents.registry import load_agent
from aicd_core.errors import InvalidInputError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import edit_settings, get_settings, require_by_slug
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.tenancy.repositories.following import set_base
from aicd_core.tenancy.triggers import RepositoryPermission

EXAMPLE = "Example:  aicd org triggers --org acme --permission write --allow-bot 'renovate[bot]'"
NONE = "none"


def command(
    org: Annotated[str, typer.Option("--org", metavar="SLUG", help="The organization.")] = LOCAL_ORGANIZATION,
    permission: Annotated[
        RepositoryPermission | None, typer.Option(help="What a person needs on the repository, triage at the least.")
    ] = None,
    allow_bot: Annotated[
        list[str] | None, typer.Option(metavar="LOGIN", help="A bot that may start work, too; as often as need be.")
    ] = None,
    refuse_bot: Annotated[list[str] | None, typer.Option(metavar="LOGIN", help="A bot that may not any more.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="NAME", help="The agent of jobs that begin there.")] = None,
    repo: Annotated[str | None, typer.Option("--repo", metavar="SOURCE", help="A repository, for --base.")] = None,
    base: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="What its jobs are based on; `none`: its default branch.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show who may start jobs from GitHub and what they begin with, or change it. It holds from the next event on."""

    async def work() -> ExitCode:
        if (repo is None) != (base is None):
            raise InvalidInputError("--repo and --base go together: the branch is one of that repository's.")
        if agent is not None:
            load_agent(agent)
        async with open_store(load_settings(data_dir)) as store:
            async with store.system.read() as session:
                tenant = await require_by_slug(session, org)
            if permission or allow_bot or refuse_bot or agent:
                await _edit(store, tenant, permission, allow_bot or [], refuse_bot or [], agent)
            if repo is not None:
                async with store.database.write(tenant) as session:
                    found = await repository_of(session, tenant, repo)
                    await set_base(session, tenant, OPERATOR, found, None if base == NONE else base)
            await _show(store, tenant, repo, as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


async def _edit(
    store: Store,
    tenant: Tenant,
    permission: RepositoryPermission | None,
    allow: list[str],
    refuse: list[str],
    agent: str | None,
) -> None:
    async with store.database.write(tenant) as session:
        now = await get_settings(session, tenant)
        values = replace(
            now.values,
            minimum_permission=permission or now.values.minimum_permission,
            allowed_bots=_bots(now.values, allow, refuse),
            agent=agent or now.values.agent,
        )
        await edit_settings(session, tenant, OPERATOR, values, revision=now.revision)


def _bots(now: SettingsValues, allow: list[str], refuse: list[str]) -> tuple[str, ...]:
    refused = {login.lower() for login in refuse}
    kept = [login for login in now.allowed_bots if login.lower() not in refused]
    known = {login.lower() for login in kept}
    return (*kept, *(login for login in allow if login.lower() not in known))


async def _show(store: Store, tenant: Tenant, repo: str | None, *, as_json: bool) -> None:
    async with store.database.read(tenant) as session:
        values = (await get_settings(session, tenant)).values
        base = (await repository_of(session, tenant, repo)).base_branch if repo is not None else None
    told = {"permission": values.minimum_permission.value, "bots": list(values.allowed_bots), "agent": values.agent}
    if as_json:
        show({**told, **({} if repo is None else {"repository": repo, "base": base})})
        return
    lines = [
        f"{'people need':<12} {values.minimum_permission.value}\n",
        f"{'bots':<12} {', '.join(values.allowed_bots) or NONE}\n",
        f"{'agent':<12} {values.agent}\n",
    ]
    if repo is not None:
        lines.append(f"{'base':<12} {base or 'the default branch'} (of {repo})\n")
    sys.stdout.writelines(lines)
