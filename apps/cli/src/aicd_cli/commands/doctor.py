"""`aicd doctor`: is everything here that a job needs?"""

import platform
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import (
    load_settings,
    load_workers,
    make_sandbox,
    open_store,
    prepare_data_dir,
    require_disk_space,
)
from aicd_core.agents.registry import known_agents
from aicd_core.errors import AicdError, UnavailableError
from aicd_core.migrations import HEAD, revision_of
from aicd_core.settings import MIB, Settings

EXAMPLE = "Example:  aicd doctor --data-dir /srv/aicd"


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `detail` says what was found, or what to do."""

    name: str
    ok: bool
    detail: str


async def _python(_: Settings) -> str:
    return platform.python_version()


async def _git(_: Settings) -> str:
    place = shutil.which("git")
    if place is None:
        raise UnavailableError("git is not installed. Type:  apt-get install git")
    return place


async def _data_dir(settings: Settings) -> str:
    return str(prepare_data_dir(settings))


async def _disk(settings: Settings) -> str:
    return f"{require_disk_space(settings) // MIB} MiB free"


async def _database(settings: Settings) -> str:
    async with open_store(settings) as store:
        found = await revision_of(store.database)
        known = "" if found == HEAD else f", and this version knows {HEAD}; they fit"
        return f"{'configured' if settings.database_url else 'embedded'}, schema {found}{known}"


async def _queue(settings: Settings) -> str:
    if settings.redis_url is None:
        return "in the database"
    return f"Redis {await load_workers().reach_redis(settings.redis_url)}"


async def _sandbox(settings: Settings) -> str:
    return await make_sandbox(settings).check()


async def _agents(_: Settings) -> str:
    return ", ".join(known_agents())


CHECKS: tuple[tuple[str, Callable[[Settings], Awaitable[str]]], ...] = (
    ("python", _python),
    ("git", _git),
    ("data directory", _data_dir),
    ("disk space", _disk),
    ("database", _database),
    ("queue", _queue),
    ("sandbox", _sandbox),
    ("agents", _agents),
)


async def examine(settings: Settings) -> list[Finding]:
    """Every check's finding; one that fails does not stop the others."""
    findings: list[Finding] = []
    for name, check in CHECKS:
        try:
            findings.append(Finding(name, ok=True, detail=await check(settings)))
        except AicdError as error:
            findings.append(Finding(name, ok=False, detail=error.message))
    return findings


def command(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check that everything a job needs is here, and say what to do where it is not."""

    async def work() -> ExitCode:
        findings = await examine(load_settings(data_dir))
        if as_json:
            show({"checks": [asdict(finding) for finding in findings]})
        else:
            for finding in findings:
                sys.stdout.write(f"{'ok ' if finding.ok else 'BAD'}  {finding.name}: {finding.detail}\n")
        return ExitCode.OK if all(finding.ok for finding in findings) else ExitCode.UNEXPECTED

    run_process(work, as_json=as_json)
