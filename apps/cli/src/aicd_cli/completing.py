"""What the shell completes besides commands and options: ids of jobs."""

import asyncio

import typer

from aicd_cli.runtime import load_settings, open_store
from aicd_core.db.pages import PageRequest
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.values import JobView
from aicd_core.settings import Settings
from aicd_core.text import one_line

MOST = 50
"""Jobs that are looked through, the newest first."""
TITLE = 60
PATIENCE = 5.0
"""Seconds that a shell waits for a database."""


def job_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The ids that begin so, each with its job's state and title; none where no database is or answers.

    Nothing is made for it: where no embedded database is yet, none is begun.
    """
    try:
        settings = load_settings(context.params.get("data_dir"))
        found = asyncio.run(_newest(settings)) if _has_database(settings) else ()
    except Exception:  # noqa: BLE001 # a shell that waits for a word shows no errors
        return []
    return [
        (str(job.id), f"{job.state.value}: {one_line(job.title, TITLE)}")
        for job in found
        if str(job.id).startswith(incomplete)
    ]


def _has_database(settings: Settings) -> bool:
    return settings.database_url is not None or (settings.resolved_data_dir() / "postgres").is_dir()


async def _newest(settings: Settings) -> tuple[JobView, ...]:
    async with asyncio.timeout(PATIENCE), open_store(settings) as store, store.database.read(store.tenant) as session:
        return tuple((await jobs.list_jobs(session, store.tenant, PageRequest(limit=MOST))).items)
