"""Rules on tests: red, gone, not run, or asserting less."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.plan import PlannedOp
from aicd_core.policy.case import Case, Objection, quoted, shown
from aicd_core.policy.checks.paths import SYMLINK_MODE
from aicd_core.policy.conventions import is_test_file, subject_of
from aicd_core.policy.tampering.compare import Kind
from aicd_core.policy.versions import MOST_BYTES

_KEEP = "Keep the test, or let a person confirm that what it checked is gone or is checked elsewhere."
_RUN = "Let the test run, or let a person confirm that it need not."
_ASSERT = "Assert what was asserted before, or let a person confirm that less is right."


def tests_red(case: Case) -> Iterator[Objection]:
    for kind, results in (("set-up", case.tests.setup), ("test", case.tests.tests)):
        yield from (_red(kind, result) for result in results if not result.ok)


def _red(kind: str, result: CommandResult) -> Objection:
    return Objection(
        f"The {kind} command {shown(result.command)} did not pass: {result.outcome()}.",
        "Look at its output in the test report, and mend the change, or the command in .aicd.yml.",
    )


def tests_deleted(case: Case) -> Iterator[Objection]:
    told: set[str | None] = set()
    for file in case.change.files:
        message = _whole_file(case, file)
        if message is not None:
            told |= {file.path, file.old_path}
            yield Objection(message, _KEEP, file.old_path or file.path)
    yield from (found for found in _losses(case, Kind.DELETED, _KEEP) if found.path not in told)


def _whole_file(case: Case, file: FileChange) -> str | None:
    """What to say of a file all of whose tests are gone."""
    if file.op is FileOp.DELETE and is_test_file(file.path):
        return None if _goes_with_its_subject(case, file) else "This test file is deleted."
    if file.op is FileOp.MODIFY and is_test_file(file.path) and _is_hollow(file):
        return "This test file is emptied, or replaced by a link."
    if file.old_path is not None and is_test_file(file.old_path) and not is_test_file(file.path):
        return f"This test file is renamed to {shown(file.path)}, which test runners do not collect."
    return None


def _is_hollow(file: FileChange) -> bool:
    """Nothing is left of what the file held."""
    became_link = file.new_mode == SYMLINK_MODE != file.old_mode
    return became_link or (file.new_size == 0 and file.removed_lines > 0)


def _goes_with_its_subject(case: Case, file: FileChange) -> bool:
    """What the tests tested is deleted too, both as planned; or all of it is asserted elsewhere."""
    planned = {planned.path for step in case.plan.steps for planned in step.files if planned.op is PlannedOp.DELETE}
    gone = {other.path for other in case.change.files if other.op is FileOp.DELETE and not is_test_file(other.path)}
    if file.path in planned and subject_of(file.path) in {PurePosixPath(path).stem for path in gone & planned}:
        return True
    versions = next((v for v in case.versions if v.file is file), None)
    read = versions is not None and versions.old is not None and len(versions.old) <= MOST_BYTES
    lost = any(loss.path == file.path for loss in case.losses)
    return read and not lost and file.path in case.compared_tests


def tests_skipped(case: Case) -> Iterator[Objection]:
    yield from _losses(case, Kind.SKIPPED, _RUN)


def tests_weakened(case: Case) -> Iterator[Objection]:
    yield from _losses(case, Kind.WEAKENED, _ASSERT)
    for file in case.change.files:
        if file.op is FileOp.MODIFY and is_test_file(file.path) and (file.new_size or 0) > MOST_BYTES:
            message = f"This test file has more than {MOST_BYTES:,} bytes: what its tests assert was not compared."
            yield Objection(message, "Split the file, or let a person compare it.", file.path)


def _losses(case: Case, kind: Kind, remedy: str) -> Iterator[Objection]:
    for loss in case.losses:
        if loss.kind is kind:
            yield Objection(f"{shown_names(loss.message)}{quoted(loss.quote)}", remedy, loss.path, loss.line)


def shown_names(message: str) -> str:
    """A sentence with a test's name in it, on one line."""
    return shown(message).strip("`")
