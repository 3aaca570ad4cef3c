"""What a verifier compares a statement with: the commit in a repository, and what is stored of the job. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from aicd_core.attestation.statement import CommandEvidence, LedgerLine, Predicate, Sha256
from aicd_core.contracts import PolicyVerdict, PromptUse, Usage

TEXTS_GONE = "(Only hashes were compared: the texts are gone, AICD_JOURNAL_DAYS after the job has ended.)"


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    DIFFERS = "differs"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `detail` says what was found, or why it was not looked at."""

    name: str
    result: Result
    detail: str


@dataclass(frozen=True)
class CommitFacts:
    """A commit as a repository has it; `committer` is `Name <address>`."""

    tree: str
    parents: tuple[str, ...]
    message: str
    committer: str = ""

    def trailer(self, key: str) -> str | None:
        """The value of a trailer of the message's last paragraph; None when it stands there not exactly once."""
        last = self.message.rstrip("\n").rpartition("\n\n")[2]
        values = [line.removeprefix(f"{key}: ") for line in last.split("\n") if line.startswith(f"{key}: ")]
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True)
class StoredFacts:
    """What is stored of a job.

    `journal` is the chain over as many calls as the statement counts, and `prompts` are those of these calls; None when
    there are fewer. `texts_gone`: the calls' texts were let go of, and only the hashes that are left were compared.
    """

    bundle: bytes | None
    issue_sha256: Sha256
    journal: Sha256 | None
    prompts: tuple[PromptUse, ...] | None
    entries: Sequence[LedgerLine]
    plan_sha256: Sha256 | None
    commands: tuple[CommandEvidence, ...] | None
    policy: PolicyVerdict | None
    texts_gone: bool = False


def check_commit(told: Predicate, found: CommitFacts | None) -> Iterator[Check]:
    """The head commit as the repository has it; None when it has no such commit."""
    where = told.repository
    if found is None:
        yield Check("commit", Result.DIFFERS, f"The repository has no commit {where.head_sha}.")
        return
    yield Check("commit", Result.OK, f"{where.head_sha} is in the repository.")
    yield _compared("tree", where.tree_sha, found.tree)
    yield _compared("base", ", ".join(where.parents or (where.base_sha,)), ", ".join(found.parents))
    yield _compared("trailer AI-CD-Job", told.job_id, found.trailer("AI-CD-Job"))
    yield _compared("trailer AI-CD-Plan", f"sha256:{told.plan_sha256}", found.trailer("AI-CD-Plan"))


def check_stored(told: Predicate, raw: bytes, found: StoredFacts) -> Iterator[Check]:
    """What the database holds of the job.

    A job may have gone on since: later calls and entries are no difference, changed or missing ones are.
    """
    same = found.bundle == raw
    kept = "The stored bundle of the round is the same." if same else "The stored bundle of the round is another one."
    yield Check("stored bundle", Result.OK if same else Result.DIFFERS, kept)
    calls = told.journal.calls
    stored = "fewer calls" if found.journal is None else found.journal
    journal = _compared(f"journal ({calls} calls)", told.journal.sha256, stored)
    yield replace(journal, detail=f"{journal.detail} {TEXTS_GONE}") if found.texts_gone and calls else journal
    yield _prompts(told, found)
    yield _ledger(told, found)
    yield _compared("issue", told.issue.sha256, found.issue_sha256)
    yield _compared("plan", told.plan_sha256, found.plan_sha256)
    yield _compared("policy", told.policy.verdict.value, found.policy.value if found.policy else None)
    agree = told.commands == found.commands
    said = f"commands and exit codes: {len(told.commands)}" if agree else "The stored test report tells otherwise."
    yield Check("tests", Result.OK if agree else Result.DIFFERS, said)


def _prompts(told: Predicate, found: StoredFacts) -> Check:
    if told.prompts is None:
        return Check("prompts", Result.SKIPPED, "The evidence is from before prompts were told in it.")
    if told.prompts != found.prompts:
        return Check("prompts", Result.DIFFERS, "The calls that are stored were made from other prompts than told.")
    return Check("prompts", Result.OK, ", ".join(f"{one.name} {one.version}" for one in told.prompts) or "none")


def _ledger(told: Predicate, found: StoredFacts) -> Check:
    stored = {line.key: line.usage for line in found.entries}
    wrong = [line.key for line in told.ledger.entries if stored.get(line.key) != line.usage]
    if wrong:
        return Check(
            "ledger", Result.DIFFERS, f"{len(wrong)} entries are missing or other than told, first {wrong[0]}."
        )
    total = sum((line.usage for line in told.ledger.entries), Usage())
    if total != told.ledger.total:
        return Check("ledger", Result.DIFFERS, "The sum that the evidence tells is not that of its entries.")
    return Check("ledger", Result.OK, f"entries: {len(told.ledger.entries)}, micro-USD: {total.cost_micro_usd}")


def _compared(name: str, told: str, found: str | None) -> Check:
    if told == found:
        return Check(name, Result.OK, told)
    return Check(name, Result.DIFFERS, f"The evidence tells {told}, and found is {found or 'nothing'}.")
