"""The plan: what will be changed, why, and how each promise is checked."""

import hashlib
import json
from enum import StrEnum
from typing import Literal

from pydantic import Field

from aicd_core.contracts.values import GitSha, RepoPath, Value


class PlannedOp(StrEnum):
    """What a plan means to do with a path."""

    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"


class AcceptanceCriterion(Value):
    """One promise, with the way to check it."""

    id: str
    text: str
    verify: str


class PlannedFile(Value):
    path: RepoPath
    op: PlannedOp


class PlanStep(Value):
    """One part of the work; `depends_on` and `criteria` name ids of this plan."""

    id: str
    goal: str
    files: tuple[PlannedFile, ...] = ()
    depends_on: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()


class Risk(Value):
    level: Literal["low", "medium", "high"]
    reasons: tuple[str, ...] = ()


class Estimate(Value):
    steps: int = Field(ge=0)
    usd: float = Field(ge=0)


class Plan(Value):
    """The contract between planner, coder, critic and policy (design §3)."""

    schema_version: Literal[1] = 1
    base_sha: GitSha
    problem: str
    acceptance_criteria: tuple[AcceptanceCriterion, ...]
    steps: tuple[PlanStep, ...]
    test_commands: tuple[str, ...] = ()
    risk: Risk
    out_of_scope: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    open_questions: tuple[str, ...] = ()
    new_dependencies: tuple[str, ...] = ()
    estimate: Estimate

    def paths(self) -> frozenset[str]:
        """Every path that some step means to touch."""
        return frozenset(file.path for step in self.steps for file in step.files)

    def structure_hash(self) -> str:
        """SHA-256 (hex) of what an approval binds to: base, steps, criteria, tests and dependencies.

        Prose that changes nothing that will be done (assumptions, estimate, open questions) is left out.
        """
        binding = self.model_dump(
            mode="json",
            include={
                "schema_version",
                "base_sha",
                "acceptance_criteria",
                "steps",
                "test_commands",
                "new_dependencies",
            },
        )
        canonical = json.dumps(binding, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()
