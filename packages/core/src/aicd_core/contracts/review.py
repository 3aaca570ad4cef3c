"""The critic's answer."""

from enum import StrEnum
from typing import Literal

from aicd_core.contracts.values import RepoPath, Value


class ReviewVerdict(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    ESCALATE = "escalate"


class ReviewFinding(Value):
    id: str
    severity: Literal["low", "medium", "high"]
    path: RepoPath | None = None
    line: int | None = None
    message: str
    must_fix: bool = True


class CriterionResult(Value):
    id: str
    met: bool
    evidence: str


class Review(Value):
    verdict: ReviewVerdict
    findings: tuple[ReviewFinding, ...] = ()
    criteria: tuple[CriterionResult, ...] = ()
