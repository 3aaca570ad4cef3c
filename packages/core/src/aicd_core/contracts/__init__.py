"""The plug-in SDK: all that an agent, a code host or a sandbox has to know of AI-CD."""

from aicd_core.contracts.agent import Agent, AgentSession, Left
from aicd_core.contracts.change import Change, ChangeSet, CodedChange, FileChange, FileOp
from aicd_core.contracts.code_host import (
    Base,
    Checkout,
    CodeHost,
    CommitRequest,
    PullRequest,
    PullRequestDraft,
)
from aicd_core.contracts.egress import Denial
from aicd_core.contracts.evidence import (
    CommandLog,
    CommandResult,
    EarlierRound,
    Evidence,
    Feedback,
    PolicyFinding,
    PolicyReport,
    PolicyVerdict,
    TestLogs,
    TestReport,
)
from aicd_core.contracts.journal import Journal, ModelReply, ModelRequest, PromptUse
from aicd_core.contracts.plan import (
    AcceptanceCriterion,
    Estimate,
    Plan,
    PlannedFile,
    PlannedOp,
    PlanStep,
    Risk,
)
from aicd_core.contracts.queue import Bell, Chore, Queue, Scheduler, Wake, WakeHandler
from aicd_core.contracts.review import CriterionResult, Review, ReviewFinding, ReviewVerdict
from aicd_core.contracts.sandbox import CacheMount, Phase, Sandbox, SandboxLimits, SandboxSession
from aicd_core.contracts.task import Task
from aicd_core.contracts.tenant import Tenant
from aicd_core.contracts.usage import MICRO_USD, Usage
from aicd_core.contracts.workspace import Match, Workspace

__all__ = [
    "MICRO_USD",
    "AcceptanceCriterion",
    "Agent",
    "AgentSession",
    "Base",
    "Bell",
    "CacheMount",
    "Change",
    "ChangeSet",
    "Checkout",
    "Chore",
    "CodeHost",
    "CodedChange",
    "CommandLog",
    "CommandResult",
    "CommitRequest",
    "CriterionResult",
    "Denial",
    "EarlierRound",
    "Estimate",
    "Evidence",
    "Feedback",
    "FileChange",
    "FileOp",
    "Journal",
    "Left",
    "Match",
    "ModelReply",
    "ModelRequest",
    "Phase",
    "Plan",
    "PlanStep",
    "PlannedFile",
    "PlannedOp",
    "PolicyFinding",
    "PolicyReport",
    "PolicyVerdict",
    "PromptUse",
    "PullRequest",
    "PullRequestDraft",
    "Queue",
    "Review",
    "ReviewFinding",
    "ReviewVerdict",
    "Risk",
    "Sandbox",
    "SandboxLimits",
    "SandboxSession",
    "Scheduler",
    "Task",
    "Tenant",
    "TestLogs",
    "TestReport",
    "Usage",
    "Wake",
    "WakeHandler",
    "Workspace",
]
