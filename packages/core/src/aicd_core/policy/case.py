"""What is judged, and what a rule says of it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from aicd_core.contracts.change import ChangeSet
from aicd_core.contracts.evidence import PolicyVerdict, TestReport
from aicd_core.contracts.plan import Plan
from aicd_core.patches import AddedLine, PatchError, parse_patch
from aicd_core.policy.conventions import is_test_file
from aicd_core.policy.rules import Rules
from aicd_core.policy.secrets import SecretHit, find_secrets
from aicd_core.policy.tampering.compare import Loss, compare
from aicd_core.policy.tampering.model import TestModule
from aicd_core.policy.tampering.reading import is_read, read_module
from aicd_core.policy.versions import MOST_BYTES, BaseFiles, Versions, versions_of
from aicd_core.text import one_line

_DEFINITION = re.compile(
    r"\b(?:def|class|function|func|fn|fun|const|let|var|interface|type|struct|enum)\s+(?:\([^)]{0,200}\)\s*)?(?:self\.)?(\w+)"
)


@dataclass(frozen=True)
class Case:
    """A change, its plan and its tests, under the rules; what several rules look at is found once."""

    change: ChangeSet
    plan: Plan
    tests: TestReport
    rules: Rules
    base: BaseFiles

    @cached_property
    def added(self) -> tuple[AddedLine, ...]:
        """Every added line."""
        return tuple(self.change.added())

    @cached_property
    def hits(self) -> tuple[SecretHit, ...]:
        """The credentials in added lines."""
        return tuple(find_secrets(self.added))

    @cached_property
    def versions(self) -> tuple[Versions, ...]:
        """Every changed file, before and after."""
        return versions_of(self.change, self.base)

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """What the tests no longer test."""
        return tuple(compare(self._modules[0], self._modules[1], self.gone_names))

    @cached_property
    def compared_tests(self) -> frozenset[str]:
        """The paths, before the change, in which tests were found."""
        return frozenset(m.path for m in self._modules[0] if any(r.collected for r in m.routines))

    @cached_property
    def _modules(self) -> tuple[list[TestModule], list[TestModule]]:
        read = [v for v in self.versions if _is_compared(v)]
        before = [read_module(v.old_path, v.old) for v in read]
        return before, [read_module(v.file.path, v.new) for v in read]

    @cached_property
    def gone_names(self) -> frozenset[str]:
        """Names that lines outside of tests defined and none defines any more."""
        removed: set[str] = set()
        added: set[str] = set()
        for mark, path, text in _lines(self.change):
            if not is_test_file(path):
                (added if mark == "+" else removed).update(_DEFINITION.findall(text))
        return frozenset(removed - added)


def _is_compared(versions: Versions) -> bool:
    sizes = [len(text) for text in (versions.old, versions.new) if text is not None]
    known = is_read(versions.old_path) or is_read(versions.file.path)
    return known and bool(sizes) and max(sizes) <= MOST_BYTES


def _lines(change: ChangeSet) -> Iterator[tuple[str, str, str]]:
    try:
        patches = parse_patch(change.patch_text())
    except PatchError:
        return
    for patch in patches:
        for hunk in patch.hunks:
            yield from ((line[0], patch.path, line[1:]) for line in hunk.lines if line[0] in "+-")


@dataclass(frozen=True)
class Objection:
    """One thing that a rule objects to. `verdict` is set only where it is stricter than the rule's own."""

    message: str
    remedy: str
    path: str | None = None
    line: int | None = None
    verdict: PolicyVerdict = PolicyVerdict.ALLOW


Check = Callable[[Case], Iterator[Objection]]


def shown(text: str) -> str:
    """Text from strangers, safe within a sentence: one line in back-quotes, cut when it is long."""
    quoted = one_line(text.replace("`", "'"), 200)
    return f"`{quoted}`"


def quoted(text: str | None) -> str:
    """`shown`, as the end of a sentence; nothing for text that holds a credential, which no finding repeats."""
    if text is None or any(find_secrets([AddedLine("", 1, text)])):
        return ""
    return f" {shown(text)}"
