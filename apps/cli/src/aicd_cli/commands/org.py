"""`aicd org`: a whole organization out as JSON Lines, or erased for good; its secrets under a new key."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer

from aicd_cli.commands.migrate import owner_url
from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import LOCAL_ORGANIZATION, Store, load_settings, open_store
from aicd_core.db.database import Database
from aicd_core.errors import InvalidInputError
from aicd_core.portability import Erasure, erase, export_lines
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations.repository import list_tenants
from aicd_core.tenancy.organizations.service import require_by_slug
from aicd_core.tenancy.secrets.keyring import Keyring
from aicd_core.tenancy.secrets.service import reencrypt

EXPORT_EXAMPLE = "Example:  aicd org export --org acme --output acme.jsonl"
DELETE_EXAMPLE = "Example:  aicd org delete --org acme --yes-erase-everything"
REENCRYPT_EXAMPLE = "Example:  AICD_SECRET_KEYS=k2:NEW,k1:OLD aicd org reencrypt"
OPERATOR = Actor(ActorKind.SYSTEM, "cli")
PAGE = 500

Slug = Annotated[str, typer.Option("--org", metavar="SLUG", help="The organization.")]

app = typer.Typer(
    help="Limit what an organization spends; take its data out, erase it, or encrypt its secrets anew.",
    epilog=EXPORT_EXAMPLE,
    no_args_is_help=True,
)


@app.command("export", epilog=EXPORT_EXAMPLE)
def export_command(
    org: Slug = LOCAL_ORGANIZATION,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="F", help="A new file; default: standard output.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write everything an organization has as JSON Lines, as of one moment.

    Left out: hashes of keys and invitations, the values of secrets, people's accounts, and files on disk.
    """

    async def work() -> ExitCode:
        async with open_store(load_settings(data_dir)) as store:
            tenant = await _tenant(store, org)
            with _opened(output) as file:
                async with store.database.snapshot(tenant) as session:
                    async for line in export_lines(session, tenant, datetime.now(UTC)):
                        file.write(line)
        return ExitCode.OK

    run_process(work, as_json=False)


@app.command("delete", epilog=DELETE_EXAMPLE)
def delete_command(
    org: Slug,
    sure: Annotated[
        bool, typer.Option("--yes-erase-everything", help="Say that it is meant; there is no way back.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Take jobs at work away from their workers.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Erase an organization for good; only the sums of its ledger are kept.

    It connects with AICD_MIGRATION_DATABASE_URL, or to the embedded database. Broken off, the same command goes on.
    Files under the data directory, and the accounts of people, are not touched; it ends with the folders to remove.
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        if not sure:
            raise InvalidInputError(
                f"This erases everything that {org} has, and nothing brings it back. Take a copy with `aicd org export "
                f"--org {org}`, then say --yes-erase-everything.",
                code="not_confirmed",
            )
        async with open_store(settings) as store, _owner(settings) as owner:
            tenant = await _tenant(store, org)
            _ask_again(org)
            await erase(owner, tenant, now=datetime.now(UTC), force=force, observe=_tell)
        folders = [f"{kind}/{tenant.org_id}" for kind in ("mirrors", "caches", "agents")]
        if as_json:
            show({"erased": org, "organization_id": str(tenant.org_id), "folders_left": folders})
        else:
            sys.stdout.write(
                f"{org} is erased; the sums of its ledger are kept under {tenant.org_id}. Files are left. In the data "
                f"directory of each machine of yours, remove:  {'  '.join(folders)}\n"
            )
        return ExitCode.OK

    run_process(work, as_json=as_json)


@app.command("reencrypt", epilog=REENCRYPT_EXAMPLE)
def reencrypt_command(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Encrypt every organization's secrets with the first key of AICD_SECRET_KEYS; then the others may go."""

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        keyring = Keyring.parse(settings.secret_keys.get_secret_value() if settings.secret_keys else None)
        newest, changed = keyring.newest, 0
        async with open_store(settings) as store:
            async for tenant in _all_tenants(store):
                async with store.database.write(tenant) as session:
                    changed += await reencrypt(session, tenant, OPERATOR, keyring)
        if as_json:
            show({"changed": changed, "key": newest})
        else:
            sys.stdout.write(f"{changed} secret(s) were encrypted anew; all are under the key {newest} now.\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


async def _tenant(store: Store, slug: str) -> Tenant:
    async with store.system.read() as session:
        return await require_by_slug(session, slug)


async def _all_tenants(store: Store) -> AsyncIterator[Tenant]:
    last: Tenant | None = None
    while True:
        async with store.system.read() as session:
            page = await list_tenants(session, last.org_id if last else None, PAGE)
        for tenant in page:
            yield tenant
        if len(page) < PAGE:
            return
        last = page[-1]


@asynccontextmanager
async def _owner(settings: Settings) -> AsyncIterator[Database]:
    async with owner_url(settings) as url:
        owner = Database.connect(url, pool_size=1)
        try:
            yield owner
        finally:
            await owner.close()


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """The file to write to, its owner's alone; it gets its name only when it is whole."""
    if output is None:
        yield sys.stdout
        return
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            yield file
        os.link(partial, output)  # unlike a rename, it does not replace a file
    except FileExistsError as error:
        raise InvalidInputError(f"{output} is there already. Name another file.", code="output_exists") from error
    except OSError as error:
        raise InvalidInputError(
            f"{output} cannot be written ({error.strerror}). Name another place.", code="output_unwritable"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _ask_again(slug: str) -> None:
    """At a terminal, has the slug typed once more."""
    if not sys.stdin.isatty():
        return
    if typer.prompt(f"Type {slug} to erase it for good", default="", show_default=False) != slug:
        raise InvalidInputError("That was another word. Nothing was erased.", code="not_confirmed")


def _tell(progress: Erasure) -> None:
    sys.stderr.write(f"{progress.table}: {progress.rows} rows erased\n")
