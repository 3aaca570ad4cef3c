"""What the platform found out about a change: commands run, policy findings."""

import zlib
from enum import StrEnum

from aicd_core.contracts.change import Change, ChangeSet
from aicd_core.contracts.egress import Denial
from aicd_core.contracts.outside import OutsideFeedback
from aicd_core.contracts.review import Review
from aicd_core.contracts.values import RepoPath, Value


class CommandResult(Value):
    """One command in the sandbox.

    `exit_code` is None when the command was ended from outside: `timed_out`, or `killed` by a limit whose
    name is in `killed`. `output` is stdout and stderr interleaved, head and tail kept when it was longer
    than the limit (`truncated_bytes` tells how much is missing; `log` is then the path, on the worker's machine,
    of a file with all of it up to the log's own limit, there until the job's work tree is removed; that of a declared
    command is kept in `TestLogs`). `duration` is
    in seconds. `denials` are the connections that the egress proxy refused, each once.
    """

    command: str
    exit_code: int | None
    output: str
    duration: float
    timed_out: bool = False
    killed: str | None = None
    truncated_bytes: int = 0
    log: str | None = None
    denials: tuple[Denial, ...] = ()

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    def outcome(self) -> str:
        """How it ended, in a few words: `passed`, `exit code 1`, `timed out`, `memory limit`."""
        if self.timed_out:
            return "timed out"
        if self.exit_code is None:
            return self.killed or "ended by a signal"
        return "passed" if self.ok else f"exit code {self.exit_code}"


class TestReport(Value):
    """The declared set-up and test commands, run by the platform on the changed tree, in order."""

    __test__ = False  # not a pytest class

    setup: tuple[CommandResult, ...] = ()
    tests: tuple[CommandResult, ...] = ()

    @property
    def passed(self) -> bool:
        """True when every command ended with 0; vacuously when none is declared."""
        return all(result.ok for result in (*self.setup, *self.tests))

    def first_failure(self) -> CommandResult | None:
        return next((result for result in (*self.setup, *self.tests) if not result.ok), None)


class CommandLog(Value):
    """All that a command printed whose output was too long for its result; `content` is compressed (zlib)."""

    command: str
    content: bytes

    def text(self) -> str:
        """What it printed; bytes that are not UTF-8 become U+FFFD."""
        return zlib.decompress(self.content).decode("utf-8", "replace")


class TestLogs(Value):
    """The whole logs of a round's set-up and test commands, of those whose results hold head and tail only."""

    __test__ = False  # not a pytest class

    logs: tuple[CommandLog, ...]


class PolicyVerdict(StrEnum):
    """What policy says of a change; the strictest finding decides."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class PolicyFinding(Value):
    """One thing that policy objects to: which rule, where, why, and the way out."""

    rule: str
    verdict: PolicyVerdict
    path: RepoPath | None = None
    line: int | None = None
    message: str
    remedy: str


class PolicyReport(Value):
    """What policy says of a change; `evaluated` are the ids of all rules that were asked, those with no finding too."""

    verdict: PolicyVerdict
    findings: tuple[PolicyFinding, ...] = ()
    evaluated: tuple[str, ...] = ()


class EarlierRound(Value):
    """A round that was not good enough: the patch from the base commit to its tree, and what was said of it."""

    round: int
    patch: bytes
    review: Review


class Evidence(Value):
    """All that a critic is shown of one round; `change` is the coder's own claim, `earlier` the rounds before it.

    `denials` are the connections that the egress proxy refused to the coder's commands; those of set-up and tests are
    with their results. `outside` is what people and checks said about the pull request that the round changes, and
    `inherited` the patch from the job's base commit to what `change_set` is measured from, where somebody pushed that.
    """

    round: int
    change: Change
    change_set: ChangeSet
    tests: TestReport
    policy: PolicyReport
    denials: tuple[Denial, ...] = ()
    earlier: tuple[EarlierRound, ...] = ()
    outside: OutsideFeedback | None = None
    inherited: bytes = b""

    def all_denials(self) -> tuple[Denial, ...]:
        """Every connection that was refused in this round, each once."""
        results = (*self.tests.setup, *self.tests.tests)
        return tuple(dict.fromkeys((*self.denials, *(denial for result in results for denial in result.denials))))


class Feedback(Value):
    """Why the round before was not good enough: handed to the coder of the next one.

    `outside` is what people and checks said about the pull request; in the round that begins with it (`is_outside`),
    the rest is of the round that was published, and there is nothing wrong with that but what is said there.
    """

    round: int
    review: Review
    tests: TestReport
    policy: PolicyReport
    outside: OutsideFeedback | None = None

    @property
    def is_outside(self) -> bool:
        """Whether the round begins with feedback from outside, and does not mend one that the critic rejected."""
        return self.outside is not None and self.outside.round == self.round + 1
