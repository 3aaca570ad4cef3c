"""Rules on how much a change brings, and in what form."""

from collections.abc import Iterator, Sequence

from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.contracts.evidence import PolicyVerdict
from aicd_core.policy.case import Case, Objection, shown
from aicd_core.policy.globs import first_match
from aicd_core.policy.rules import HARD_LIMIT_FACTOR

_SPLIT = "Split the issue into smaller ones, or keep generated files out of the change."
_KEEP_OUT = "Keep the file out of the repository, or store it elsewhere and refer to it."


def size(case: Case) -> Iterator[Objection]:
    rules = case.rules
    limits = (rules.max_files, rules.max_added_lines, rules.max_file_bytes)
    yield from _over_limits(case.change.files, limits, "")
    for limit in rules.path_limits:
        within = [file for file in case.change.files if first_match(limit.paths, file.path, ignore_case=True)]
        limits_there = (limit.max_files, limit.max_added_lines, limit.max_file_bytes)
        yield from _over_limits(within, limits_there, f" in {shown(', '.join(limit.paths))}")


def _over_limits(
    files: Sequence[FileChange], limits: tuple[int | None, int | None, int | None], where: str
) -> Iterator[Objection]:
    most_files, most_lines, most_bytes = limits
    lines = sum(file.added_lines for file in files)
    yield from _over(len(files), most_files, f"The change touches {{}} files{where}", _SPLIT)
    yield from _over(lines, most_lines, f"The change adds {{}} lines{where}", _SPLIT)
    for file in files:
        yield from _over(file.new_size or 0, most_bytes, "The file has {} bytes", _KEEP_OUT, file.path)


def _over(count: int, limit: int | None, said: str, remedy: str, path: str | None = None) -> Iterator[Objection]:
    if limit is None or count <= limit:
        return
    hard = limit * HARD_LIMIT_FACTOR
    counted = said.replace("{}", f"{count:,}", 1)
    if count > hard:
        message = f"{counted}, more than the {hard:,} above which a change is refused."
        yield Objection(message, remedy, path, verdict=PolicyVerdict.DENY)
    else:
        yield Objection(f"{counted}, more than the {limit:,} that pass unasked.", remedy, path)


def binary(case: Case) -> Iterator[Objection]:
    for file in case.change.files:
        if file.binary and file.op is not FileOp.DELETE:
            yield Objection(
                "This file is binary: neither the policy nor a reviewer can see in the diff what it holds.",
                "Leave it out, or let a person look at the file itself.",
                file.path,
            )
