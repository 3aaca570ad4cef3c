"""The lines of a cassette: values, and JSON there and back. Pure."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, ValidationError

from aicd_core.contracts import CodedChange, OutsideFeedback, Plan, PolicyReport, Review, TestReport, Usage
from aicd_core.contracts.config import RepositoryConfig
from aicd_core.contracts.values import GitSha, Value
from aicd_core.errors import InvalidInputError
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.models import ArtifactKind
from aicd_core.orchestrator.comparison import common_ends
from aicd_core.policy import Rules

FORMAT, VERSION = "aicd-cassette", 1
LONGEST = 512 * 1024 * 1024
"""Bytes of a file. 200 steps with 2 kB of new output each make 1 MB."""
MOST_TEXT = 1024 * 1024 * 1024
"""Characters of all requests of a file together, each made by a line of it. 200 such steps have 50 MB."""

RESULTS: Mapping[ArtifactKind, type[Value]] = MappingProxyType(
    {
        ArtifactKind.CONFIG: RepositoryConfig,
        ArtifactKind.PLAN: Plan,
        ArtifactKind.CHANGE: CodedChange,
        ArtifactKind.TEST_REPORT: TestReport,
        ArtifactKind.POLICY_REPORT: PolicyReport,
        ArtifactKind.REVIEW: Review,
        ArtifactKind.FEEDBACK: OutsideFeedback,
    }
)
"""What steps make and go by."""


class RecordedJob(Value):
    """The job, as far as its steps go by it; cassettes from before there was feedback tell none."""

    id: UUID
    agent: str
    title: str
    body: str
    base_branch: str
    base_sha: GitSha
    state: JobState
    round: int
    plan_attempts: int
    feedback_rounds: int = 0
    first_round: int = 1


class Head(Value):
    """The first line. `returned`: for each plan that came back, what a person said, None where it was invalid."""

    format: Literal["aicd-cassette"] = "aicd-cassette"
    version: Literal[1] = 1
    job: RecordedJob
    rules: Rules
    returned: tuple[str | None, ...] = ()
    redact_patterns: tuple[str, ...] = ()


class Difference(Value):
    """A text, given the one before it: so many characters of that, then `new`, then so many of that one's end."""

    begins: int = Field(ge=0)
    ends: int = Field(ge=0)
    new: str

    @classmethod
    def between(cls, before: str, text: str) -> "Difference":
        begins, ends = common_ends(before, text)
        return cls(begins=begins, ends=ends, new=text[begins : len(text) - ends])

    def applied(self, before: str) -> str:
        """The text.

        Raises:
            ValueError: it takes more of the one before than there is; with that, each line could double the last.
        """
        if self.begins + self.ends > len(before):
            raise ValueError(f"it goes on from {self.begins:,} + {self.ends:,} of {len(before):,} characters")
        return before[: self.begins] + self.new + (before[-self.ends :] if self.ends else "")


class RecordedCall(Value):
    """One call. A text is `latin1` when its bytes are no UTF-8: each of its characters is one byte then."""

    step: str
    number: int
    model: str
    request: Difference
    request_latin1: bool = False
    reply: str
    reply_latin1: bool = False
    usage: Usage


class RecordedResult(Value):
    """One result, `value` being its JSON."""

    kind: ArtifactKind
    number: int
    value: dict[str, Any]


class End(Value):
    """The last line."""

    results: int
    calls: int


KINDS: Mapping[str, type[Value]] = MappingProxyType(
    {"head": Head, "result": RecordedResult, "call": RecordedCall, "end": End}
)


def written(content: bytes) -> tuple[str, bool]:
    """Bytes as text that JSON can hold, and whether that is Latin-1."""
    try:
        return content.decode(), False
    except UnicodeDecodeError:
        return content.decode("latin-1"), True


def bytes_of(text: str, *, latin1: bool) -> bytes:
    return text.encode("latin-1" if latin1 else "utf-8")


def read_lines(content: bytes, name: str) -> tuple[Head, list[Mapping[str, Value]]]:
    """The first line of a cassette, and all of them.

    Args:
        name: what the file is called in errors.

    Raises:
        InvalidInputError: code `bad_cassette`: it is none, of a newer version, or cut off; the line is named.
    """
    if len(content) > LONGEST:
        raise _bad(name, f"it is longer than {LONGEST:,} bytes")
    lines: list[Mapping[str, Value]] = []
    for number, text in enumerate(content.splitlines(), 1):
        try:
            lines.append(_parsed(json.loads(text), first=number == 1))
        except (ValueError, RecursionError) as error:
            raise bad_line(name, number, error) from error
    ends = [line["end"] for line in lines[-1:] if "end" in line]
    counts = End(**{f"{kind}s": sum(kind in line for line in lines) for kind in ("result", "call")})
    if ends != [counts]:
        raise _bad(name, "it is cut off, or lines were taken out of it")
    head = lines[0]["head"]
    assert isinstance(head, Head), "the first line is one"
    return head, lines


def _parsed(line: Any, *, first: bool) -> Mapping[str, Value]:
    (kind, value), *more = line.items() if isinstance(line, dict) and line else [("nothing", None)]
    if more or kind not in KINDS or first != (kind == "head"):
        raise ValueError(f"a line {'of the head' if first else 'of a result, a call or the end'} should stand there")
    if first and isinstance(value, dict) and value.get("version", VERSION) != VERSION:
        raise ValueError(f"it is of version {value['version']}, and this aicd reads version {VERSION}")
    return {kind: KINDS[kind].model_validate(value)}


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
    return str(error)


def bad_line(name: str, number: int, error: Exception) -> InvalidInputError:
    """The error for a line of a file that cannot be used."""
    return _bad(name, f"line {number}: {_why(error)}")


def _bad(name: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"{name} cannot be used as a cassette: {why}. `aicd journal export JOB --to FILE` writes them.",
        code="bad_cassette",
    )


def line_of(**one: Value) -> str:
    told = {kind: value.model_dump(mode="json") for kind, value in one.items()}
    return json.dumps(told, separators=(",", ":")) + "\n"
