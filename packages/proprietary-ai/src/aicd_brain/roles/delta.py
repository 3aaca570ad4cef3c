"""Patches as a critic reads them: without binaries, and what is other than in the round before. Pure."""

import re

_BINARY = re.compile(r"^GIT binary patch\n(?:.+\n|\n(?=(?:literal|delta) ))+", re.MULTILINE)
_FILE = re.compile(r"^diff --git ", re.MULTILINE)


def patch_delta(before: str, after: str) -> str:
    """By file: which sections of the patch are new, other than before, as before, or gone.

    Both patches begin at the base commit, so a file whose section is the same has the same content in both rounds.
    """
    old, new = _sections(before), _sections(after)
    lines = [f"{_how(old.get(name), section)}: {name}" for name, section in new.items()]
    return "\n".join([*lines, *(f"as at the base commit again: {name}" for name in old if name not in new)])


def without_binaries(patch: str) -> str:
    """The patch with a note in place of each binary content, which no reader could judge."""
    return _BINARY.sub("[binary content]\n", patch)


def _how(before: str | None, after: str) -> str:
    if before is None:
        return "touched for the first time"
    return "as in the round before" if before == after else "changed since the round before"


def _sections(patch: str) -> dict[str, str]:
    """The patch by the first line of each file's section."""
    parts = _FILE.split(patch)[1:]
    return {part.partition("\n")[0]: part for part in parts}
