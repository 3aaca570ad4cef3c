"""The composition root: from settings to a running orchestrator, and everything shut down again."""

import asyncio
import errno
import importlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast
from uuid import UUID

from aicd_core.agents.registry import load_agent
from aicd_core.contracts import Queue, Sandbox, SandboxLimits
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.ids import JobId
from aicd_core.migrations import is_current, migrate, require_current
from aicd_core.migrations.roles import APP, SYSTEM
from aicd_core.orchestrator import (
    CodeHosts,
    Dispatch,
    Observer,
    Parts,
    Progress,
    Worker,
    WorkerOptions,
    keeping_logs,
    redaction_of,
)
from aicd_core.settings import MIB, Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import ensure_organization
from aicd_github.local.host import LocalCodeHost
from aicd_sandbox import BubblewrapSandbox, ContainerSandbox

LOCAL_ORGANIZATION = "local"


class Workers(Protocol):
    """What `aicd_cli.workers` offers."""

    def open_queue(
        self, system: SystemDatabase, redis_url: str | None, *, concurrency: int
    ) -> AbstractAsyncContextManager[Queue]: ...

    def open_worker(
        self, parts: Parts, options: WorkerOptions, concurrency: int
    ) -> AbstractAsyncContextManager[Worker]: ...

    async def reach_redis(self, url: str) -> str: ...


@dataclass(frozen=True)
class Store:
    """The database of this process, as both its roles, and the tenant it works for."""

    database: Database
    system: SystemDatabase
    tenant: Tenant


class LocalHosts:
    """Code hosts of repositories on this machine or behind a git URL. A `CodeHosts`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sandbox = make_sandbox(settings)

    def at(self, source: str, tenant: Tenant | None = None) -> LocalCodeHost:
        place = self._settings.resolved_data_dir()
        return LocalCodeHost(
            source,
            place,
            self.sandbox,
            command_timeout=self._settings.command_timeout,
            caches=place / "caches" / str(tenant.org_id) if tenant else None,
        )


def make_sandbox(settings: Settings) -> Sandbox:
    """The sandbox of the settings, with their limits."""
    limits = SandboxLimits(
        memory=settings.sandbox_memory,
        processes=settings.sandbox_processes,
        file_size=settings.sandbox_file_size,
        output=settings.sandbox_output,
        log=settings.sandbox_log,
        tree_size=settings.sandbox_tree_size,
        tree_files=settings.sandbox_tree_files,
    )
    if settings.sandbox == "bubblewrap":
        return BubblewrapSandbox(limits)
    return ContainerSandbox(limits, engine=settings.sandbox, image=settings.sandbox_image)


def load_settings(data_dir: Path | None) -> Settings:
    """Settings from the environment; an option on the command line wins. Raises as `Settings.load`."""
    return Settings.load(data_dir=data_dir)


def prepare_data_dir(settings: Settings) -> Path:
    """The data directory, made if need be and proven writable.

    Raises:
        InvalidInputError: it cannot be made or written to.
    """
    place = settings.data_dir
    try:
        str(place).encode()
        place = settings.resolved_data_dir()
        probe = place / f".probe-{os.getpid()}"
        place.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"aicd")
        probe.unlink()
    except UnicodeEncodeError as error:
        message = f"The data directory {place!r} has a name that is not UTF-8. Name another one with --data-dir."
        raise InvalidInputError(message, code="data_dir_unwritable") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UnavailableError(f"The disk of {place} is full. Free some space.", code="no_disk_space") from error
        raise InvalidInputError(
            f"The data directory {place} cannot be written to ({error.strerror}). Name another one with --data-dir "
            "or AICD_DATA_DIR, or mend its permissions.",
            code="data_dir_unwritable",
        ) from error
    return place


def require_disk_space(settings: Settings) -> int:
    """Free bytes where the data directory is.

    Raises:
        UnavailableError: fewer than `min_free_disk`.
    """
    place = settings.resolved_data_dir()
    free = shutil.disk_usage(place).free
    if free < settings.min_free_disk:
        raise UnavailableError(
            f"Only {free // MIB} MiB are free at {place}, and a job needs {settings.min_free_disk // MIB} MiB. Free "
            "some space, choose another place with --data-dir, or lower AICD_MIN_FREE_DISK.",
            code="no_disk_space",
        )
    return free


@asynccontextmanager
async def open_store(settings: Settings, *, pool_size: int = 5) -> AsyncIterator[Store]:
    """The database, embedded if none is configured, at the right schema; left clean at the end.

    The embedded one is migrated when it is older than this code; one of the operator's own is refused then, since
    only `aicd migrate` has the right to change it.
    """
    place = prepare_data_dir(settings)
    if settings.database_url:
        async with _connected(settings.database_url, _system_url(settings), pool_size=pool_size) as store:
            yield store
        return
    embedded = EmbeddedPostgres(place / "postgres")
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # libpq would follow the person's own settings to another server
    # Where the server will listen is known beforehand, so the driver loads while it starts.
    starting = asyncio.ensure_future(asyncio.to_thread(embedded.start))
    try:
        async with _connected(embedded.url(APP), embedded.url(SYSTEM), starting, pool_size=pool_size) as store:
            yield store
    finally:
        await asyncio.wait({starting})
        embedded.stop()


def _system_url(settings: Settings) -> str:
    if settings.system_database_url:
        return settings.system_database_url
    raise InvalidInputError(
        "AICD_DATABASE_URL is set, and AICD_SYSTEM_DATABASE_URL is not. Set it to the same database as the role "
        f"{SYSTEM}, which `aicd migrate` makes.",
        code="system_database_missing",
    )


@asynccontextmanager
async def _connected(
    app_url: str, system_url: str, starting: Awaitable[str] | None = None, *, pool_size: int
) -> AsyncIterator[Store]:
    """The database at the schema of this code, and this process's tenant in it.

    Args:
        starting: resolves to the superuser's URL of an embedded server once that runs.
    """
    database = Database.connect(app_url, pool_size=pool_size)
    system = SystemDatabase.connect(system_url, pool_size=pool_size)
    try:
        if starting is None:
            await require_current(database)
        else:
            await _migrate_embedded(await asyncio.shield(starting), database)
        await database.refuse_unsafe_role()
        await system.refuse_unsafe_role()
        async with system.write() as session:
            tenant = await ensure_organization(session, LOCAL_ORGANIZATION)
        yield Store(database, system, tenant)
    finally:
        await database.close()
        await system.close()


async def _migrate_embedded(admin_url: str, database: Database) -> None:
    try:
        current = await is_current(database)
    except UnavailableError:
        current = False  # the roles are made by the first migration
    if not current:
        await migrate(admin_url)


def leftovers(settings: Settings) -> list[JobId]:
    """The jobs that have a work tree on this machine."""
    folder = settings.resolved_data_dir() / "jobs"
    found: list[JobId] = []
    for place in folder.iterdir() if folder.is_dir() else ():
        with suppress(ValueError):
            found.append(JobId(UUID(place.name)))
    return found


def make_parts(
    settings: Settings, store: Store, hosts: CodeHosts, observe: Observer, dispatch: Dispatch | None = None
) -> Parts:
    """What the orchestrator of this process is made of; without `dispatch`, it sends no worker for anything."""
    return Parts(
        database=store.database,
        system=store.system,
        hosts=hosts,
        agents=load_agent,
        settings=settings,
        observe=observe,
        dispatch=dispatch or Dispatch(),
        redact=redaction_of(settings, os.environ, remembered=0).text,
    )


@asynccontextmanager
async def observing(settings: Settings, store: Store, watch: Observer) -> AsyncIterator[Observer]:
    """An observer for a process that works on jobs: `watch` sees what is told, and it is kept (`aicd logs`)."""
    async with keeping_logs(store.system, redaction_of(settings, os.environ)) as keeper:

        def observe(progress: Progress) -> None:
            watch(progress)
            keeper.observe(progress)

        yield observe


@asynccontextmanager
async def open_dispatch(settings: Settings, store: Store) -> AsyncIterator[Dispatch]:
    """The way to send for workers: through Redis where AICD_REDIS_URL names one, else through Postgres itself."""
    if settings.redis_url is None:
        yield Dispatch(in_statement=True)
        return
    async with load_workers().open_queue(store.system, settings.redis_url, concurrency=1) as queue:
        yield Dispatch(queue)


def load_workers() -> "Workers":
    """The module `aicd_cli.workers`, loaded only where it is needed: BullMQ costs a sixth of a command's start."""
    return cast("Workers", importlib.import_module("aicd_cli.workers"))
