"""Drives jobs through their life: claim, act outside of transactions, commit a guarded result."""

from aicd_core.orchestrator.engine import Orchestrator
from aicd_core.orchestrator.foreground import ForegroundQueue
from aicd_core.orchestrator.intake import Intake, IssueText
from aicd_core.orchestrator.ports import CodeHosts, Parts
from aicd_core.orchestrator.progress import (
    CommandEnded,
    CommandStarted,
    Message,
    Observer,
    Progress,
    StateChanged,
)
from aicd_core.orchestrator.replay import Replay, Replayed
from aicd_core.orchestrator.report import JobReport, read_report

__all__ = [
    "CodeHosts",
    "CommandEnded",
    "CommandStarted",
    "ForegroundQueue",
    "Intake",
    "IssueText",
    "JobReport",
    "Message",
    "Observer",
    "Orchestrator",
    "Parts",
    "Progress",
    "Replay",
    "Replayed",
    "StateChanged",
    "read_report",
]
