"""A corpus of changes for the policy: read from a compact notation, judged, and counted.

A file holds entries, a line that begins with `# ` each. Below it stand directives (`@plan only: a b`, `@deps name …`,
`@rule id`, `@policy {…}`, `@tests red`, `@base other`, `@mode path old new`) and files: `=== path` or
`=== old -> new`, and then all its lines, each marked ` ` (kept), `-` (before), `+` (after); `+*60 text {n}` stands for
sixty lines. `=== path binary 3200` is a binary file of so many bytes. `~~` is left out: it keeps what looks like a
credential from being one in the file.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from aicd_core.contracts import (
    ChangeSet,
    CommandResult,
    FileChange,
    FileOp,
    Plan,
    PolicyReport,
    TestReport,
)
from aicd_core.contracts.config import PolicySettings
from aicd_core.policy import DEFAULT_RULES, effective_rules, evaluate, paths_to_read, plan_of

BASE, OTHER, TREE = "a" * 40, "c" * 40, "b" * 40
_NO_MODE, _FILE_MODE = "000000", "100644"


@dataclass(frozen=True)
class CorpusFile:
    """One changed file; `old` and `new` are None where there is none, `binary` is the bytes of one that is no text."""

    path: str
    old_path: str
    old: str | None
    new: str | None
    binary: int | None = None
    modes: tuple[str, str] = (_FILE_MODE, _FILE_MODE)

    @property
    def op(self) -> FileOp:
        if self.old is None:
            return FileOp.CREATE
        if self.new is None:
            return FileOp.DELETE
        return FileOp.MODIFY if self.path == self.old_path else FileOp.RENAME

    def change(self) -> FileChange:
        """The file as the host would have measured it."""
        marks = [line[:1] for line in self._hunks() if not line.startswith(("+++", "---"))]
        return FileChange(
            path=self.path,
            op=self.op,
            old_path=self.old_path if self.op is FileOp.RENAME else None,
            old_mode=_NO_MODE if self.old is None else self.modes[0],
            new_mode=_NO_MODE if self.new is None else self.modes[1],
            added_lines=marks.count("+"),
            removed_lines=marks.count("-"),
            binary=self.binary is not None,
            new_size=self.binary if self.binary is not None else (None if self.new is None else len(self.new)),
        )

    def _hunks(self) -> list[str]:
        old, new = ((text or "").splitlines(keepends=True) for text in (self.old, self.new))
        return [] if self.binary is not None else list(difflib.unified_diff(old, new, "x", "y"))

    def patch(self) -> str:
        """The file's part of `git diff --binary --full-index`."""
        head = [f"diff --git a/{self.old_path} b/{self.path}"]
        if self.op is FileOp.CREATE:
            head.append(f"new file mode {self.modes[1]}")
        elif self.op is FileOp.DELETE:
            head.append(f"deleted file mode {self.modes[0]}")
        elif self.modes[0] != self.modes[1]:
            head += [f"old mode {self.modes[0]}", f"new mode {self.modes[1]}"]
        if self.op is FileOp.RENAME:
            head += ["similarity index 90%", f"rename from {self.old_path}", f"rename to {self.path}"]
        if self.binary is not None:
            head += [f"index {'0' * 40}..{TREE}", f"Binary files a/{self.old_path} and b/{self.path} differ"]
        hunks = "".join(self._hunks()[2:])
        if hunks:
            old_name = "/dev/null" if self.old is None else f"a/{self.old_path}"
            new_name = "/dev/null" if self.new is None else f"b/{self.path}"
            head += [f"index {BASE}..{TREE}", f"--- {old_name}", f"+++ {new_name}"]
        return "\n".join(head) + "\n" + hunks


@dataclass(frozen=True)
class Entry:
    """One change of the corpus; `rule` is what should object to it, None for an honest one."""

    source: str
    title: str
    files: tuple[CorpusFile, ...] = ()
    planned: tuple[str, ...] | None = None
    dependencies: tuple[str, ...] = ()
    rule: str | None = None
    policy: PolicySettings = field(default_factory=PolicySettings)
    red: bool = False
    base: str = BASE

    @cached_property
    def report(self) -> PolicyReport:
        """What the policy says of the change."""
        change = ChangeSet(
            base_sha=self.base,
            tree_sha=TREE,
            files=tuple(file.change() for file in self.files),
            patch="".join(file.patch() for file in self.files).encode(),
        )
        contents = {file.old_path: file.old.encode() for file in self.files if file.old is not None}
        base = {path: contents[path] for path in paths_to_read(change) if path in contents}
        result = CommandResult(command="make test", exit_code=int(self.red), output="", duration=1)
        rules = effective_rules(DEFAULT_RULES, self.policy)
        return evaluate(change, self.plan(), TestReport(tests=(result,)), rules, base)

    def plan(self) -> Plan:
        """A plan that names exactly what the change touches, unless the entry says otherwise."""
        files = [file.change() for file in self.files]
        if self.planned is not None:
            files = [FileChange(path=path, op=FileOp.MODIFY) for path in self.planned]
        return plan_of(files, BASE, self.title, self.dependencies)


def read_corpus(folder: Path) -> tuple[Entry, ...]:
    """Every entry of the folder's files, in order."""
    return tuple(entry for file in sorted(folder.glob("*.diffs")) for entry in _entries(file))


def _entries(file: Path) -> Iterator[Entry]:
    text = file.read_text().replace("~~", "")
    for part in f"\n{text}".split("\n# ")[1:]:
        title, _, body = part.partition("\n")
        head, *files = f"\n{body.rstrip()}\n".split("\n=== ")
        entry = Entry(f"{file.parent.name}/{file.name}", title, tuple(map(_file, files)))
        for directive in head.strip().splitlines():
            entry = _directed(entry, directive)
        yield entry


def _directed(entry: Entry, directive: str) -> Entry:
    name, _, value = directive.partition(" ")
    if name == "@mode":
        path, old, new = value.split(" ")
        files = tuple(replace(f, modes=(old, new)) if f.path == path else f for f in entry.files)
        return replace(entry, files=files)
    if name == "@plan":
        return replace(entry, planned=tuple(value.removeprefix("only:").split()))
    if name == "@deps":
        return replace(entry, dependencies=tuple(value.split()))
    if name == "@rule":
        return replace(entry, rule=value)
    if name == "@policy":
        return replace(entry, policy=PolicySettings.model_validate_json(value))
    if directive == "@tests red":
        return replace(entry, red=True)
    if directive == "@base other":
        return replace(entry, base=OTHER)
    raise ValueError(f"{entry.source}, {entry.title!r}: {directive!r} is no directive of the corpus")


def _file(text: str) -> CorpusFile:
    head, _, body = text.partition("\n")
    if " binary " in head:
        path, _, size = head.partition(" binary ")
        return CorpusFile(path, path, None, "", int(size))
    old_path, _, path = head.partition(" -> ")
    lines = (
        [line for raw in body.rstrip("\n").split("\n") for line in _unfolded(raw or " ")] if body.strip("\n") else []
    )
    kept = {mark: [line[1:] for line in lines if line[0] in (" ", mark)] for mark in "-+"}
    marks = {line[0] for line in lines if line.strip()}
    old = None if marks == {"+"} else "".join(f"{line}\n" for line in kept["-"])
    new = None if marks == {"-"} else "".join(f"{line}\n" for line in kept["+"])
    return CorpusFile(path or old_path, old_path, old, new)


def _unfolded(line: str) -> list[str]:
    """The line, or as many as `+*60 text` stands for."""
    if line[1:2] != "*" or not line[2:3].isdigit():
        return [line]
    count, _, text = line[2:].partition(" ")
    return [line[0] + text.replace("{n}", str(number)) for number in range(1, int(count) + 1)]


@dataclass(frozen=True)
class Score:
    """How many changes of a kind were judged as they should be; `wrong` are the others."""

    right: int
    wrong: tuple[Entry, ...]

    @property
    def total(self) -> int:
        return self.right + len(self.wrong)

    @property
    def share_wrong(self) -> float:
        return len(self.wrong) / self.total if self.total else 0.0


def catch_score(bad: tuple[Entry, ...], rule: str | None = None) -> Score:
    """Bad changes that their rule objected to; of one rule, or of all."""
    chosen = [entry for entry in bad if rule is None or entry.rule == rule]
    missed = tuple(entry for entry in chosen if entry.rule not in {f.rule for f in entry.report.findings})
    return Score(len(chosen) - len(missed), missed)


def alarm_score(good: tuple[Entry, ...], rule: str | None = None) -> Score:
    """Good changes that nothing, or that one rule, objected to."""
    alarmed = tuple(e for e in good if any(rule is None or f.rule == rule for f in e.report.findings))
    return Score(len(good) - len(alarmed), alarmed)
