"""Drives jobs through their life: claim, act outside of transactions, commit a guarded result."""

from aicd_core.orchestrator.budget import LIMIT_CODES
from aicd_core.orchestrator.cassette import Cassette, read_cassette
from aicd_core.orchestrator.cassette_format import LONGEST
from aicd_core.orchestrator.control import JOURNAL_GONE, Control
from aicd_core.orchestrator.dispatch import Dispatch, wake_for
from aicd_core.orchestrator.exporting import export_cassette
from aicd_core.orchestrator.foreground import Foreground, ForegroundQueue
from aicd_core.orchestrator.intake import DirectOrder, Intake, IssueText, Order
from aicd_core.orchestrator.log_keeper import keeping_logs
from aicd_core.orchestrator.notices import watch_jobs
from aicd_core.orchestrator.ports import CodeHosts, Parts
from aicd_core.orchestrator.progress import (
    CommandEnded,
    CommandStarted,
    Message,
    Observer,
    Progress,
    StateChanged,
)
from aicd_core.orchestrator.redaction import Redaction, redaction_of
from aicd_core.orchestrator.replay import Player, Replay, Replayed
from aicd_core.orchestrator.report import JobReport, read_logs, read_report
from aicd_core.orchestrator.verification import read_bundle, read_stored_facts
from aicd_core.orchestrator.worker import Worker, WorkerOptions

__all__ = [
    "JOURNAL_GONE",
    "LIMIT_CODES",
    "LONGEST",
    "Cassette",
    "CodeHosts",
    "CommandEnded",
    "CommandStarted",
    "Control",
    "DirectOrder",
    "Dispatch",
    "Foreground",
    "ForegroundQueue",
    "Intake",
    "IssueText",
    "JobReport",
    "Message",
    "Observer",
    "Order",
    "Parts",
    "Player",
    "Progress",
    "Redaction",
    "Replay",
    "Replayed",
    "StateChanged",
    "Worker",
    "WorkerOptions",
    "export_cassette",
    "keeping_logs",
    "read_bundle",
    "read_cassette",
    "read_logs",
    "read_report",
    "read_stored_facts",
    "redaction_of",
    "wake_for",
    "watch_jobs",
]
