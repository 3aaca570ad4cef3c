"""Answers about jobs: one that greets whoever calls."""

import base64
import json

from aicd_backend.answers import EventAnswer, JobAnswer, LineAnswer, UsageAnswer
from aicd_backend.examples.common import BASE_SHA, HEAD_SHA, JOB, REPOSITORY, THEN
from aicd_backend.routes.job_results import DiffAnswer, LogAnswer, PlanAnswer, PlanPrice, ReviewAnswer, TestsAnswer
from aicd_backend.routes.outcomes import OutcomesAnswer, OutcomesReport, OutcomesRow
from aicd_backend.routes.usage import UsageReport, UsageRow
from aicd_core.attestation import Envelope
from aicd_core.contracts import Plan, PolicyReport, PolicyVerdict, PullRequest, Review, ReviewVerdict, TestReport
from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.plan import AcceptanceCriterion, Estimate, PlannedFile, PlannedOp, PlanStep, Risk
from aicd_core.contracts.review import CriterionResult
from aicd_core.db.pages import cursor_of
from aicd_core.jobs.lists.values import Outcomes
from aicd_core.jobs.log.values import LogKind
from aicd_core.jobs.machine import JobEvent, JobState

PATCH = """\
diff --git a/greeting.txt b/greeting.txt
new file mode 100644
--- /dev/null
+++ b/greeting.txt
@@ -0,0 +1 @@
+Good morning
"""
TEST = "python3 -m unittest -q"

THE_OUTCOMES = Outcomes(made=5, opened=4, merged=3, closed=1, failed=1, seconds_to_pull=412.5)

THE_JOB = JobAnswer(
    id=JOB,
    repository_id=REPOSITORY,
    state=JobState.PR_OPEN,
    version=6,
    round=1,
    agent="dummy",
    title="Greet whoever calls",
    issue_number=12,
    base_branch="main",
    base_sha=BASE_SHA,
    branch=f"aicd/{JOB}",
    priority=0,
    code=None,
    reason=None,
    paused_from=None,
    seconds_worked=42.5,
    time_limit_seconds=3600.0,
    cost_limit_micro_usd=5_000_000,
    asks_approval=False,
    created_at=THEN,
    updated_at=THEN,
)
THE_EVENT = EventAnswer(
    version=1, event=JobEvent.ADMITTED, state=JobState.PLANNING, detail={"by": "admission"}, created_at=THEN
)
THE_PLAN = Plan(
    base_sha=BASE_SHA,
    problem="Nobody is greeted.",
    acceptance_criteria=(AcceptanceCriterion(id="greets", text="Whoever calls is greeted.", verify=TEST),),
    steps=(
        PlanStep(
            id="write",
            goal="Write the greeting.",
            files=(PlannedFile(path="greeting.txt", op=PlannedOp.CREATE),),
            criteria=("greets",),
        ),
    ),
    test_commands=(TEST,),
    risk=Risk(level="low"),
    estimate=Estimate(steps=1, usd=0.05),
)
THE_CHANGE = FileChange(path="greeting.txt", op=FileOp.CREATE, new_mode="100644", added_lines=1, new_size=13)
THE_REVIEW = Review(
    verdict=ReviewVerdict.APPROVE,
    criteria=(CriterionResult(id="greets", met=True, evidence="The test passes."),),
)
THE_USAGE = UsageAnswer(
    input_tokens=1200, cached_input_tokens=10400, cache_write_tokens=800, output_tokens=950, cost_micro_usd=23_400
)

JOB_ANSWERS = (
    THE_JOB,
    THE_EVENT,
    LineAnswer(cursor=cursor_of(12), said_at=THEN, kind=LogKind.COMMAND, text=TEST, outcome="exit code 0", seconds=0.4),
    THE_REVIEW,
    THE_USAGE,
    PlanAnswer(
        hash=THE_PLAN.structure_hash(),
        plan=THE_PLAN,
        price=PlanPrice(micro_usd=4_000_000, is_estimate=False, charged_micro_usd=0),
    ),
    DiffAnswer(base_sha=BASE_SHA, tree_sha=HEAD_SHA, summary="It greets.", files=(THE_CHANGE,), patch=PATCH),
    ReviewAnswer(round=1, review=THE_REVIEW),
    TestsAnswer(
        report=TestReport(tests=(CommandResult(command=TEST, exit_code=0, output="OK\n", duration=0.4),)),
        logs=(LogAnswer(command=TEST, text="OK\n"),),
    ),
    PolicyReport(verdict=PolicyVerdict.ALLOW, evaluated=("protected_paths", "size")),
    PullRequest(
        url="https://github.com/acme/shop/pull/34",
        number=34,
        draft=False,
        branch=f"aicd/{JOB}",
        head_sha=HEAD_SHA,
        base_branch="main",
    ),
    UsageReport(
        first=THEN.date(),
        last=THEN.date(),
        total=THE_USAGE,
        rows=(UsageRow(day=THEN.date(), entries=3, usage=THE_USAGE),),
    ),
    OutcomesReport(
        first=THEN.date(),
        last=THEN.date(),
        total=OutcomesAnswer.of(THE_OUTCOMES),
        rows=(OutcomesRow.of(THE_OUTCOMES, first=THEN.date()),),
    ),
)
"""One of each kind."""

_EVIDENCE = Envelope(
    payload_type="application/vnd.in-toto+json", payload=base64.b64encode(b"{}").decode(), signatures=()
)
TEXTS = {
    "get_patch": PATCH,
    "get_evidence": json.loads(_EVIDENCE.file()),
    "stream_job_events": f"id: {THE_EVENT.version}\ndata: {THE_EVENT.model_dump_json()}\n\n",
}
"""By operation: answers that no model makes."""
