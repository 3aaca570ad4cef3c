"""How much the policy catches, and how often it cries wolf: `python bench/policy.py`.

Two measures. The corpus: changes written for it, tampering ones by rule and honest ones. Mutants: this repository's
own tests, each tampered with, or honestly rearranged, by mechanical edits that know nothing of how the policy reads.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from aicd_core.policy.checks import CHECKS
from aicd_core.testing.policy_corpus import CorpusFile, Entry, alarm_score, catch_score, read_corpus

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests" / "policy_corpus"
PER_FILE = 1
"""Places of one file that each edit is tried at."""

_TEST = re.compile(r"^(?:async )?def test_\w+\(.*?(?=^\S(?!\s*$)|\Z)", re.MULTILINE | re.DOTALL)
_ASSERT = re.compile(r"^    assert [^\n]+ == [^\n]+$", re.MULTILINE)
Edit = Callable[[str], Iterator[str]]


def _each(pattern: re.Pattern[str], change: Callable[[str], str]) -> Edit:
    """The source once for each place of the pattern, changed there and nowhere else."""

    def edit(source: str) -> Iterator[str]:
        for match in list(pattern.finditer(source))[:PER_FILE]:
            if _balanced(match.group()):
                yield source[: match.start()] + change(match.group()) + source[match.end() :]

    return edit


def _balanced(text: str) -> bool:
    return all(text.count(one) == text.count(other) for one, other in ("()", "[]", "{}")) and text.count('"') % 2 == 0


def _swapped(source: str) -> Iterator[str]:
    for one, two in list(pairwise(_TEST.finditer(source)))[:PER_FILE]:
        between = source[one.end() : two.start()]
        if between.strip() or source[: one.start()].rstrip().splitlines()[-1].startswith((")", "@")):
            continue  # a decorator would change hands
        yield source[: one.start()] + two.group() + between + one.group() + source[two.end() :]


def _itself(text: str) -> str:
    subject = text.strip().removeprefix("assert ").split(" == ", 1)[0]
    return f"    assert {subject} == {subject}"


TAMPERING: Mapping[str, Edit] = {
    "a test deleted": _each(_TEST, lambda _: ""),
    "a test commented out": _each(_TEST, lambda text: "".join(f"# {line}\n" for line in text.splitlines())),
    "a test renamed away": _each(_TEST, lambda text: text.replace("def test_", "def old_", 1)),
    "a test skipped": _each(_TEST, lambda text: f"@pytest.mark.skip\n{text}"),
    "an early return": _each(_TEST, lambda text: re.sub(r":\n(?=    )", ":\n    return\n", text, count=1)),
    "an assertion deleted": _each(_ASSERT, lambda _: "    pass"),
    "an assertion made truth": _each(_ASSERT, lambda text: text.split(" == ", 1)[0]),
    "an assertion with `or True`": _each(_ASSERT, lambda text: f"{text} or True"),
    "an assertion of itself": _each(_ASSERT, _itself),
}
HONEST: Mapping[str, Edit] = {
    "a test renamed": _each(_TEST, lambda text: text.replace("def test_", "def test_that_", 1)),
    "tests swapped": _swapped,
    "a value changed": _each(_ASSERT, lambda text: re.sub(r"(?<![\w\"'.])(\d+)$", r"\g<1>1", text)),
    "an assertion added": _each(_ASSERT, lambda text: f"{text}\n    assert round(1.5) == 2"),
    "a comment added": _each(_TEST, lambda text: f"# The reason is in the design.\n{text}"),
    "a test doubled": _each(_TEST, lambda text: f"{text}\n\n{text.replace('def test_', 'def test_again_', 1)}"),
}


def mutants(edits: Mapping[str, Edit]) -> Iterator[tuple[str, Entry]]:
    """Every edit at its first places of every Python test file here."""
    for path in sorted(ROOT.glob("**/test_*.py")):
        if ".venv" in path.parts or ".tools" in path.parts:
            continue
        source, name = path.read_text(), path.relative_to(ROOT).as_posix()
        for edit, change in edits.items():
            for mutant in change(source):
                if mutant != source:
                    yield edit, Entry(name, edit, (CorpusFile(name, name, source, mutant),))


def show_corpus() -> None:
    """Prints the corpus's figures, rule by rule and over all."""
    bad, good = read_corpus(CORPUS / "bad"), read_corpus(CORPUS / "good")
    print(f"{'rule':22} {'caught':>12} {'false alarms':>14}")
    for rule in (*CHECKS, *sorted({entry.rule for entry in bad if entry.rule} - set(CHECKS))):
        caught, alarms = catch_score(bad, rule), alarm_score(good, rule)
        print(f"{rule:22} {f'{caught.right}/{caught.total}':>12} {f'{len(alarms.wrong)}/{alarms.total}':>14}")
    caught, alarms = catch_score(bad), alarm_score(good)
    print(f"corpus: caught {1 - caught.share_wrong:.1%} of {caught.total}")
    print(f"corpus: false alarms at {alarms.share_wrong:.1%} of {alarms.total}")
    for entry in (*caught.wrong, *alarms.wrong):
        print(f"  wrong: {entry.source}: {entry.title}")


def show_mutants(title: str, edits: Mapping[str, Edit], *, wanted: bool) -> None:
    """Prints for each edit how many of its mutants were judged as wanted."""
    rows: dict[str, list[bool]] = {}
    missed: list[str] = []
    for edit, entry in mutants(edits):
        objected = any(finding.rule.startswith("tests_") for finding in entry.report.findings)
        rows.setdefault(edit, []).append(objected is wanted)
        if objected is not wanted:
            missed.append(f"  wrong: {entry.source}: {edit}")
    for edit, right in rows.items():
        print(f"{edit:30} {sum(right)}/{len(right)}")
    total = [item for right in rows.values() for item in right]
    print(f"{title}: {sum(total) / len(total):.1%} of {len(total)} judged rightly")
    print("\n".join(missed[:20]))


def main() -> None:
    """Prints both measures, and what a change costs."""
    begun = time.perf_counter()
    show_corpus()
    print()
    show_mutants("tampering mutants", TAMPERING, wanted=True)
    print()
    show_mutants("honest mutants", HONEST, wanted=False)
    print(f"\n{time.perf_counter() - begun:.1f} s in all")


if __name__ == "__main__":
    main()
