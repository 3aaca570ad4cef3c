"""`aicd verify`: whether a pull request's signed evidence holds, and whether repository and database agree with it."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from aicd_cli.bundles import Named, keys_for, named, read_file
from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, open_store
from aicd_core.attestation import Check, Predicate, Result, check_commit, check_stored, open_envelope
from aicd_core.attestation.envelope import ENVELOPE_MAX, BadEnvelopeError
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId
from aicd_core.orchestrator import read_bundle, read_stored_facts
from aicd_core.settings import Settings
from aicd_core.text import number_of, one_line
from aicd_github.local.commits import read_commit

EXAMPLE = "Example:  aicd verify 1.evidence.json --key aicd-public-keys.txt --repo ."
DETAIL_SHOWN = 300


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PR-OR-FILE", help="A job's id, an evidence file, or a recorded pull request's path or file:// URL."
        ),
    ],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Public keys, as `aicd keys show` prints them.")
    ] = None,
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="PATH", help="The repository; default: the one the evidence names.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check a pull request's signed evidence: signature, shape, commit and trailers, and what is stored of the job.

    Without --key the keys of this installation count. What cannot be looked at here (a repository elsewhere, a job of
    another database) is named as skipped.

    Exit codes: 0 all that was checked holds, 1 unexpected, 2 usage, 3 something differs.
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        checks, told = await _checks(settings, named(what), key, repo)
        if as_json:
            show(_as_json(checks, told))
        else:
            _print(checks, told)
        return ExitCode.JOB_FAILED if _differing(checks) else ExitCode.OK

    run_process(work, as_json=as_json)


async def _checks(
    settings: Settings, which: Named, key: Path | None, repo: str | None
) -> tuple[list[Check], Predicate | None]:
    """All checks in order; the predicate is None when the envelope could not be opened."""
    raw = await _read(settings, which)
    try:
        opened = open_envelope(raw, keys_for(settings, key))
    except BadEnvelopeError as error:
        return [Check(error.check, Result.DIFFERS, error.message)], None
    told = opened.statement.predicate
    checks = [
        Check("signature", Result.OK, f"signed with the key {opened.key_id}"),
        Check("statement", Result.OK, f"{opened.statement.predicate_type} of job {told.job_id}, round {told.round}"),
        *await _of_commit(told, repo),
        *await _of_store(settings, told, raw),
    ]
    if which.job_id is not None and str(which.job_id) != told.job_id:
        checks.append(Check("job", Result.DIFFERS, f"The evidence is of job {told.job_id}."))
    return checks, told


async def _read(settings: Settings, which: Named) -> bytes:
    if which.path is not None:
        return read_file(which.path, ENVELOPE_MAX)
    assert which.job_id is not None
    async with open_store(settings) as store:
        return await read_bundle(store.database, store.tenant, which.job_id)


async def _of_commit(told: Predicate, repo: str | None) -> Sequence[Check]:
    """A repository that the person names must be readable; the one that the evidence names may be elsewhere."""
    where = repo or told.repository.source
    try:
        found = await read_commit(where, told.repository.head_sha)
    except InvalidInputError as error:
        if repo is not None:
            raise
        return [Check("commit", Result.SKIPPED, f"{error.message} The commit was not looked at.")]
    return list(check_commit(told, found))


async def _of_store(settings: Settings, told: Predicate, raw: bytes) -> Sequence[Check]:
    """A database is looked at where there is one; none is made for it."""
    if settings.database_url is None and not (settings.resolved_data_dir() / "postgres").exists():
        return [Check("stored bundle", Result.SKIPPED, "There is no database here; what is stored was not looked at.")]
    async with open_store(settings) as store:
        found = await read_stored_facts(store.database, store.tenant, _job_id(told), told)
    if found is None:
        return [Check("stored bundle", Result.SKIPPED, f"Job {told.job_id} is not in this installation's database.")]
    return list(check_stored(told, raw, found))


def _job_id(told: Predicate) -> JobId:
    return JobId(UUID(told.job_id))


def _differing(checks: Sequence[Check]) -> int:
    return sum(check.result is Result.DIFFERS for check in checks)


def _as_json(checks: Sequence[Check], told: Predicate | None) -> dict[str, Any]:
    return {
        "verified": not _differing(checks),
        "job_id": told.job_id if told else None,
        "round": told.round if told else None,
        "head_sha": told.repository.head_sha if told else None,
        "checks": [asdict(check) for check in checks],
    }


def _print(checks: Sequence[Check], told: Predicate | None) -> None:
    width = max(len(check.name) for check in checks)
    lines = [f"{c.name:<{width}}  {c.result.value:<7}  {one_line(c.detail, DETAIL_SHOWN)}\n" for c in checks]
    differing = _differing(checks)
    whose = f"Evidence of job {told.job_id}, round {told.round}" if told else "This evidence"
    if differing:
        lines.append(f"{whose}: {differing} of {len(checks)} checks differ. Do not trust it.\n")
    else:
        skipped = sum(check.result is Result.SKIPPED for check in checks)
        lines.append(f"{whose}: holds, {number_of(len(checks) - skipped, 'check')}, {skipped} skipped.\n")
    with suppress(OSError):  # nobody may be reading any more
        sys.stdout.writelines(lines)
