"""The rule on a repository's own checks: linters, types, coverage, test runners."""

import re
from collections.abc import Iterator

from aicd_core.contracts.change import FileOp
from aicd_core.patches import FilePatch, PatchError, parse_patch
from aicd_core.policy.case import Case, Objection, quoted
from aicd_core.policy.globs import first_match
from aicd_core.policy.loosening.commands import gone_calls, loosened_lines
from aicd_core.policy.loosening.files import COMMANDS, IGNORE_LISTS, SCRIPTS, is_settings_file, is_structured
from aicd_core.policy.loosening.settings import loosened_settings

_REMEDY = "Mend the code instead, or let a person decide that the check may go."

_BLANKET = re.compile(
    r"#\s*ruff:\s*noqa\b|#\s*flake8:\s*noqa\b|#\s*mypy:\s*(?:ignore-errors|disable-error-code)|"
    r"#\s*type:\s*ignore\s*$|"
    r"#\s*noqa\s*$|#\s*pylint:\s*(?:skip-file|disable=all)|#\s*pyright:\s*(?:basic|ignore\s*$)|#\s*nosec\s*$|"
    r"/\*\s*eslint-disable\s*\*/|//\s*eslint-disable-(?:next-)?line\s*$|@ts-nocheck|biome-ignore-all|"
    r"/\*\s*(?:istanbul|c8|v8) ignore (?:file|start)|//\s*nolint\s*$|//\s*nolint:all|//\s*lint:file-ignore|"
    r"#!\[allow\((?:warnings|clippy::all|unused|dead_code)|@SuppressWarnings\(\"all\"\)|#\s*rubocop:disable all|"
    r"//\s*@phpstan-ignore-next-line\s*$|#pragma warning disable\s*$|/\*\s*stylelint-disable\s*\*/|"
    r"#\s*coverage:\s*skip-file"
)
"""Comments that take a whole file, or all rules of a line, out of a check; one that names its rule is left alone."""

_CODE = re.compile(r"\.(?:py|pyi|js|jsx|ts|tsx|mjs|cjs|vue|svelte|go|rs|java|kt|rb|php|cs|css|scss)$")
_OFF = re.compile(
    r"[\"'](?:off|warn)[\"']|\b(?:rules|severity)\b.*\b0\b|passWithNoTests|[iI]gnore(?:Patterns|s)?\b|\bexclude\b|"
    r"testIgnore|\bskip(?:Tests|Files)?\b|\bretries\s*:|\bretry\s*:|ignoreFailures\s*=?\s*true|"
    r"testFailureIgnore>\s*true|enabled\s*=\s*false|bail\s*:\s*false"
)
_NUMBER = re.compile(r"\b(branches|functions|lines|statements|minimum|threshold\w*)\b\W{1,6}(\d+(?:\.\d+)?)")


def checks_loosened(case: Case) -> Iterator[Objection]:
    yield from _deleted(case)
    for version in case.versions:
        if is_structured(version.file.path) and version.file.op is not FileOp.DELETE:
            for said in loosened_settings(version.file.path, version.old, version.new):
                yield Objection(f"A check is loosened:{quoted(said)}.", _REMEDY, version.file.path)
    for patch in _patches(case):
        yield from _in_ignore_list(patch)
        yield from _in_script(patch)
        yield from _in_commands(patch)
    for line in case.added:
        if _CODE.search(line.path) and (match := _BLANKET.search(line.text[-2_000:])):
            message = (
                f"This comment takes a whole file, or every rule of a line, out of a check:{quoted(match.group())}."
            )
            yield Objection(message, "Name the one rule that does not fit, or mend the code.", line.path, line.line)


def _deleted(case: Case) -> Iterator[Objection]:
    for file in case.change.files:
        gone = file.path if file.op is FileOp.DELETE else file.old_path
        if (
            gone is not None
            and _is_only_settings(gone)
            and not (file.op is FileOp.RENAME and is_settings_file(file.path))
        ):
            yield Objection("The settings of a check are deleted.", _REMEDY, gone)


def _is_only_settings(path: str) -> bool:
    mixed = ("package.json", "pyproject.toml", "Cargo.toml", "setup.cfg", "pom.xml", "build.gradle*", "vite.config.*")
    return is_settings_file(path) and first_match((*mixed, *IGNORE_LISTS), path) is None


def _patches(case: Case) -> tuple[FilePatch, ...]:
    try:
        return parse_patch(case.change.patch_text())
    except PatchError:
        return ()


def _sides(patch: FilePatch) -> tuple[list[str], list[str], list[int]]:
    """Removed lines, added lines, and the added ones' numbers."""
    removed = [line[1:] for hunk in patch.hunks for line in hunk.lines if line[0] == "-"]
    added = list(patch.added_lines())
    return removed, [line.text for line in added], [line.line for line in added]


def _in_ignore_list(patch: FilePatch) -> Iterator[Objection]:
    if first_match(IGNORE_LISTS, patch.path) is None:
        return
    for line in patch.added_lines():
        if line.text.strip() and not line.text.lstrip().startswith(("#", "//", "!")):
            yield Objection(f"This line takes files out of a check:{quoted(line.text)}.", _REMEDY, line.path, line.line)


def _in_script(patch: FilePatch) -> Iterator[Objection]:
    """Settings written as code: told by what the lines say."""
    if first_match(SCRIPTS, patch.path) is None or patch.kind.value == "create":
        return
    removed, added, numbers = _sides(patch)
    was = {word for line in removed for word in _OFF.findall(line[:2_000])}
    for text, number in zip(added, numbers, strict=True):
        if any(word not in was for word in _OFF.findall(text[:2_000])):
            yield Objection(f"This line may loosen a check:{quoted(text)}.", _REMEDY, patch.path, number)
    floors = dict(pair for line in removed for pair in _NUMBER.findall(line[:2_000]))
    now = dict(pair for line in added for pair in _NUMBER.findall(line[:2_000]))
    for name, floor in floors.items():
        if float(now.get(name, 0)) < float(floor):
            yield Objection(
                f"A floor is lowered: {name} goes from {floor} to {now.get(name, 'nothing')}.", _REMEDY, patch.path
            )
    if any(re.search(r"[\"']error[\"']", line) for line in removed) and not any("error" in line for line in added):
        yield Objection("A rule that was an error is so no longer.", _REMEDY, patch.path)


def _in_commands(patch: FilePatch) -> Iterator[Objection]:
    """Calls of checks in scripts: let fail, or taken out."""
    structured = is_structured(patch.path)
    if first_match(COMMANDS, patch.path) is None or structured or patch.kind.value in {"create", "delete"}:
        return
    removed, added, numbers = _sides(patch)
    for index, said in loosened_lines(removed, added):
        yield Objection(f"A check is loosened: {said}.", _REMEDY, patch.path, numbers[index])
    for line in gone_calls(removed, added):
        yield Objection(f"A check is no longer called:{quoted(line)}.", _REMEDY, patch.path)
