"""Pull requests of a repository that has no server for them: recorded as files beside the data.

`<number>.json` is the record, `<number>.md` what a person reads, and `<number>.evidence.json` the signed evidence
bundle, if there is one. `by-job/<job>` says which number a job
has. `pushed/<job>` lists the commits that a job was about to push and is written before the push, so that
after a crash the branch is known for the job's own.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aicd_core.contracts.code_host import Base, PullRequest, PullRequestDraft
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_github.faults import disk_errors
from aicd_github.filelock import locked

_PATIENCE = 60.0


class PullRequestBook:
    """The pull requests of one repository.

    Args:
        folder: made when the first thing is recorded.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, job_id: JobId) -> PullRequest | None:
        """The job's pull request, if it has one.

        Raises:
            UnavailableError: the records cannot be read.
        """
        number = self._number_of(job_id)
        return None if number is None else self._pull_request(self._record(number))

    async def record(
        self, job_id: JobId, branch: str, head_sha: str, base: Base, draft: PullRequestDraft
    ) -> PullRequest:
        """Records the job's pull request under the next free number, or brings its record up to date.

        Raises:
            UnavailableError: the disk refused.
        """
        self._make_folders()
        async with locked(self._folder / "lock", _PATIENCE):
            number = self._number_of(job_id) or self._next_number()
            record = {
                "job_id": str(job_id),
                "number": number,
                "title": draft.title,
                "body": draft.body,
                "draft": draft.draft,
                "branch": branch,
                "head_sha": head_sha,
                "base_branch": base.branch,
                "base_sha": base.sha,
                "evidence": f"{number}.evidence.json" if draft.evidence is not None else None,
            }
            with disk_errors(self._folder):
                if draft.evidence is not None:
                    _write_bytes(self._folder / f"{number}.evidence.json", draft.evidence)
                _write(self._folder / "by-job" / str(job_id), str(number))
                _write(self._folder / f"{number}.md", _page(record, self._folder))
                _write(self._folder / f"{number}.json", json.dumps(record, indent=2) + "\n")
                self._pushed_file(job_id).unlink(missing_ok=True)
            return self._pull_request(record)

    def note_push(self, job_id: JobId, head_sha: str) -> None:
        """Remembers that the job's branch may point to this commit from now on.

        Raises:
            UnavailableError: the disk refused.
        """
        self._make_folders()
        known = self.pushed(job_id)
        if head_sha not in known:
            with disk_errors(self._folder):
                _write(self._pushed_file(job_id), "".join(f"{sha}\n" for sha in (*known, head_sha)))

    def pushed(self, job_id: JobId) -> tuple[str, ...]:
        """The commits that the job was about to push since its pull request was last recorded."""
        with disk_errors(self._folder):
            try:
                return tuple(self._pushed_file(job_id).read_text().split())
            except FileNotFoundError:
                return ()

    def forget_pushes(self, job_id: JobId) -> None:
        """Drops what `note_push` remembered."""
        with disk_errors(self._folder):
            self._pushed_file(job_id).unlink(missing_ok=True)

    def _make_folders(self) -> None:
        with disk_errors(self._folder):
            for name in ("by-job", "pushed"):
                (self._folder / name).mkdir(parents=True, exist_ok=True)

    def _pushed_file(self, job_id: JobId) -> Path:
        return self._folder / "pushed" / str(job_id)

    def _number_of(self, job_id: JobId) -> int | None:
        with disk_errors(self._folder):
            try:
                number = int((self._folder / "by-job" / str(job_id)).read_text())
            except (FileNotFoundError, ValueError):
                return None
        # A crash can leave a number that was never used and was then given to another job.
        record = self._record(number) if (self._folder / f"{number}.json").exists() else {}
        return number if record.get("job_id") == str(job_id) else None

    def _next_number(self) -> int:
        with disk_errors(self._folder):
            names = (path.stem for path in self._folder.glob("*.json"))
            return max((int(name) for name in names if name.isdecimal()), default=0) + 1

    def _record(self, number: int) -> dict[str, Any]:
        path = self._folder / f"{number}.json"
        with disk_errors(path):
            try:
                record: dict[str, Any] = json.loads(path.read_text())
            except ValueError as error:
                raise UnavailableError(
                    f"The record {path} is damaged: {error}. Restore it from a backup or remove it.",
                    code="record_damaged",
                ) from error
        return record

    def _pull_request(self, record: Mapping[str, Any]) -> PullRequest:
        return PullRequest(
            url=(self._folder / f"{record['number']}.md").as_uri(),
            number=record["number"],
            draft=record["draft"],
            branch=record["branch"],
            head_sha=record["head_sha"],
            base_branch=record["base_branch"],
            evidence_url=(self._folder / record["evidence"]).as_uri() if record.get("evidence") else None,
        )


def _page(record: Mapping[str, Any], folder: Path) -> str:
    draft = "Draft pull request" if record["draft"] else "Pull request"
    evidence = f"\nSigned evidence: `{folder / record['evidence']}`\n" if record["evidence"] else ""
    return (
        f"# {record['title']}\n\n"
        f"{draft} #{record['number']}: `{record['branch']}` ({record['head_sha'][:12]}) "
        f"into `{record['base_branch']}` ({record['base_sha'][:12]})\n\n"
        f"{record['body'].rstrip()}\n{evidence}"
    )


def _write(path: Path, text: str) -> None:
    """Replaces a file so that a reader, or the disk after a power cut, has the old text or the new one."""
    _write_bytes(path, text.encode("utf-8", "replace"))


def _write_bytes(path: Path, content: bytes) -> None:
    half = path.with_name(f".{path.name}.new")
    with half.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
