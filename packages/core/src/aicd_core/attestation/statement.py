"""What is signed: an in-toto Statement v1 with a predicate of our own, which docs/evidence.md describes.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import json
from datetime import datetime
from typing import Final, Literal

from pydantic import ConfigDict, Field

from aicd_core.contracts import PolicyVerdict, PromptUse, ReviewVerdict, Usage
from aicd_core.contracts.values import GitSha, Value

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:aicd:evidence:v1"
Sha256 = str
"""64 hexadecimal digits."""


class Subject(Value):
    """What the statement is about: the commit and its tree, by their object names."""

    name: str
    digest: dict[Literal["gitCommit", "gitTree"], GitSha]


class Software(Value):
    """A program and its version; None when it is not installed as a package."""

    name: str
    version: str | None


class Issue(Value):
    """The issue as it was stored, and what an agent did not get to see of it, by kind."""

    title: str
    sha256: Sha256
    hidden: dict[str, int]


class Source(Value):
    """Where the change begins and what it became. `parents` of the commit, where they are not just where it begins."""

    source: str
    base_branch: str
    base_sha: GitSha
    head_sha: GitSha
    tree_sha: GitSha
    branch: str
    parents: tuple[GitSha, ...] | None = None


class PolicyEvidence(Value):
    """Policy's verdict and that of each rule that was evaluated, those that allowed too."""

    verdict: PolicyVerdict
    rules: dict[str, PolicyVerdict]


class CommandEvidence(Value):
    """One command that the platform ran on the tree; `exit_code` is None when it was ended from outside."""

    phase: Literal["setup", "test"]
    command: str
    exit_code: int | None


class LedgerLine(Value):
    """One entry of the job's ledger."""

    key: str
    usage: Usage


class Ledger(Value):
    """All entries so far and their sum; money is in micro-USD."""

    entries: tuple[LedgerLine, ...]
    total: Usage


class JournalEvidence(Value):
    """The chain over the first `calls` model calls of the job, in order (`aicd_core.journal.digest`)."""

    calls: int
    sha256: Sha256
    models: tuple[str, ...]


class Predicate(Value):
    """What was done for one round of one job.

    `prompts` are those of the agent that took part in the calls of the journal, by role, name and version; None in
    bundles that were made before they were told.
    """

    job_id: str
    round: int
    repository: Source
    issue: Issue
    agent: Software
    aicd: Software
    plan_sha256: Sha256
    policy: PolicyEvidence
    commands: tuple[CommandEvidence, ...]
    review: ReviewVerdict
    escalated: bool
    ledger: Ledger
    journal: JournalEvidence
    prompts: tuple[PromptUse, ...] | None = None
    job_created_at: datetime
    made_at: datetime
    seconds_worked: float


class Statement(Value):
    """The statement with its predicate; field names in JSON are in-toto's."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(default=STATEMENT_TYPE, alias="_type")
    subject: tuple[Subject, ...] = Field(min_length=1)
    predicate_type: Literal["urn:aicd:evidence:v1"] = Field(default=PREDICATE_TYPE, alias="predicateType")
    predicate: Predicate

    @classmethod
    def about(cls, predicate: Predicate) -> "Statement":
        """The statement whose subjects are the predicate's head commit and tree."""
        where = predicate.repository
        commit = Subject(name=where.branch, digest={"gitCommit": where.head_sha})
        tree = Subject(name=f"{where.branch}^{{tree}}", digest={"gitTree": where.tree_sha})
        return cls(subject=(commit, tree), predicate=predicate)

    def agrees_with_itself(self) -> bool:
        """Whether the subjects are the commit and the tree that the predicate names."""
        return self.subject == Statement.about(self.predicate).subject

    def payload(self) -> bytes:
        """JSON in ASCII with sorted keys and without blanks: the bytes that are signed."""
        values = self.model_dump(mode="json")
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
