"""The rule on licences: the project's own, those of its files, and those of what it takes in."""

import re
from collections import Counter
from collections.abc import Iterator

from aicd_core.contracts.change import FileOp
from aicd_core.patches import PatchError, parse_patch
from aicd_core.policy.case import Case, Objection, shown
from aicd_core.policy.manifests.files import ecosystem_of
from aicd_core.policy.manifests.locked import read_locked
from aicd_core.policy.rules import Rules

_FILE = re.compile(r"(?:^|/)(?:un)?(?:licen[cs]es?|copying|copyright|notice|patents)(?:[.-][\w.-]+)?$", re.IGNORECASE)
_CODE = re.compile(r"\.(?:py|js|ts|go|rs|java|rb|php|c|cc|cpp|h|tsx|jsx)$")
_SPDX = re.compile(r"SPDX-License-Identifier:\s*([\w.+-]+(?:\s+(?:OR|AND|WITH)\s+[\w.+-]+)*)")
_FIELD = re.compile(
    r"^\s*[\"']?licen[cs]e[\"']?\s*[:=]\s*(.+?),?\s*$|<licen[cs]e>\s*(.*)|<name>([^<]*Licen[cs]e[^<]*)", re.IGNORECASE
)
_NOTICE = re.compile(r"(?:\(c\)|©|\bcopyright\b)\s*(?:\(c\)|©)?\s*[\d,\s-]*\s*(?:by\s+)?(\w[\w .&,'-]*)", re.IGNORECASE)

_LONGEST_LINE = 500
"""Characters of a line that are looked at."""
_DECIDE = "Leave licences and notices as they are; a person decides on them."


def licence(case: Case) -> Iterator[Objection]:
    for file in case.change.files:
        for path in {file.path, file.old_path or file.path}:
            if _FILE.search(path) and not _CODE.search(path) and not _only_moved(file.op, file.added_lines):
                yield Objection("This file holds a licence or its notices.", _DECIDE, path)
    yield from _in_lines(case)
    yield from _of_packages(case)


def _only_moved(op: FileOp, added: int) -> bool:
    return op is FileOp.RENAME and added == 0


def _in_lines(case: Case) -> Iterator[Objection]:
    try:
        patches = parse_patch(case.change.patch_text())
    except PatchError:
        return
    for patch in patches:
        lines = [line for hunk in patch.hunks for line in hunk.lines]
        removed, added = (
            [" ".join(line[1:_LONGEST_LINE].split()) for line in lines if line[0] == mark] for mark in "-+"
        )
        if patch.kind.value == "delete":
            continue
        yield from _identifiers(case, patch.path, removed, added)
        if _names(removed) - _names(added):
            yield Objection("A copyright notice is taken out of this file.", _DECIDE, patch.path)
        kind = ecosystem_of(patch.path)
        declares = kind is not None and not kind[1] and patch.kind.value != "create"
        if declares and _fields(removed) != _fields(added):
            yield Objection("The manifest's licence changes.", _DECIDE, patch.path)


def _identifiers(case: Case, path: str, removed: list[str], added: list[str]) -> Iterator[Objection]:
    was = [found for line in removed for found in _SPDX.findall(line)]
    now = [found for line in added for found in _SPDX.findall(line)]
    if was and Counter(was) != Counter(now):
        yield Objection(f"The file was under {shown(was[0])} and no longer says so.", _DECIDE, path)
    for name in now:
        if name not in was and _is_denied(name, case.rules):
            message = f"The file is under {shown(name)}, which the rules deny."
            yield Objection(message, "Write the code anew, or let a person decide on its licence.", path)


def _names(lines: list[str]) -> frozenset[str]:
    """Whom copyright notices name; years may change."""
    return frozenset(" ".join(name.lower().split()) for line in lines for name in _NOTICE.findall(line))


def _fields(lines: list[str]) -> list[str]:
    found = (_FIELD.search(line) for line in lines)
    return sorted(next(group for group in match.groups() if group is not None) for match in found if match)


def _of_packages(case: Case) -> Iterator[Objection]:
    for version in case.versions:
        kind = ecosystem_of(version.file.path)
        if kind is None or not kind[1]:
            continue
        was, now = (read_locked(version.file.path, text) for text in (version.old, version.new))
        for key in now.keys() - was.keys():
            if now[key].licence and _is_denied(now[key].licence, case.rules):
                message = f"The package {shown(key[0])} is under {shown(now[key].licence)}, which the rules deny."
                yield Objection(message, "Use another package, or let a person decide.", version.file.path)


def _is_denied(expression: str, rules: Rules) -> bool:
    """True when every choice that an SPDX expression leaves is denied (https://spdx.org/licenses)."""
    choices = re.split(r"\s+OR\s+", expression.strip("() "))
    return all(any(_matches(part, rules) for part in re.split(r"\s+AND\s+", choice)) for choice in choices)


def _matches(name: str, rules: Rules) -> bool:
    plain = name.strip("() ").split(" ")[0].lower()
    return any(
        plain.startswith(denied[:-1].lower()) if denied.endswith("*") else plain == denied.lower()
        for denied in rules.denied_licences
    )
