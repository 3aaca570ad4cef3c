"""CODING: the agent changes the tree; the platform measures the change, runs the tests and asks the policy."""

import asyncio
import zlib
from pathlib import Path

from aicd_core.contracts import (
    Change,
    ChangeSet,
    CodedChange,
    CommandLog,
    CommandResult,
    Feedback,
    OutsideFeedback,
    Phase,
    Plan,
    PolicyReport,
    Review,
    TestLogs,
    TestReport,
)
from aicd_core.contracts.config import RepositoryConfig
from aicd_core.errors import StepFailedError
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.models import ArtifactKind
from aicd_core.orchestrator.checkpoints import Trail
from aicd_core.orchestrator.progress import CommandEnded, CommandStarted
from aicd_core.orchestrator.steps.asking import answer
from aicd_core.orchestrator.steps.context import StepContext, StepResult
from aicd_core.policy import evaluate, paths_to_read
from aicd_core.telemetry.metrics import POLICY_VERDICTS


async def run(step: StepContext) -> StepResult:
    """One round of coding, from whatever of it is stored already."""
    number = step.job.status.round
    config, plan = await step.config(), await step.plan()
    coded = await step.records.load(ArtifactKind.CHANGE, CodedChange, number)
    if coded is None:
        coded = await code(step, plan, number)
    tests = await step.records.load(ArtifactKind.TEST_REPORT, TestReport, number)
    if tests is None:
        report = await _test(step, config, coded.change_set)
        await keep_logs(step, number, report)
        tests = await step.records.keep(ArtifactKind.TEST_REPORT, number, report)
    if await step.records.load(ArtifactKind.POLICY_REPORT, PolicyReport, number) is None:
        verdict = await _judge(step, config, coded.change_set, plan, tests)
        await step.records.keep(ArtifactKind.POLICY_REPORT, number, verdict)
        POLICY_VERDICTS.labels(verdict.verdict.value).inc()
    return StepResult(JobEvent.CODED)


async def code(step: StepContext, plan: Plan, number: int) -> CodedChange:
    """Has the agent work on the tree of the last checkpoint or the round before, and measures what it did."""
    outside = step.outside
    begins = outside is not None and outside.round == number
    last = outside.published_round if outside is not None and begins else number - 1
    feedback = await _feedback(step, number, last) if number > 1 else None
    trail = Trail(step.records, step.checkout, step.session.journal, number, plan.paths())
    await trail.resume(await _laid(step, number, last))
    step.session.follow(trail)
    await step.enter(Phase.CODING, await step.config())
    if outside is not None and begins and outside.is_empty:
        change = Change(summary="What was asked for has been taken back.")
    else:
        call = step.agent.code(await step.task(), plan, feedback, step.checkout.workspace, step.session)
        change = await answer(call, Change, step.job.agent)
    change_set = await step.checkout.capture(plan.paths())
    _require_merged(outside, change_set)
    if not change_set.files and outside is None:
        raise StepFailedError(
            "The agent left the tree as it was at the base commit: there is nothing to open a pull request for. "
            "Perhaps the change is already there.",
            code="empty_change",
        )
    coded = CodedChange(change=change, change_set=change_set, denials=step.checkout.denials)
    return await step.records.keep(ArtifactKind.CHANGE, number, coded, step.session.drain())


async def _laid(step: StepContext, number: int, last: int) -> ChangeSet | None:
    """What the tree of a round begins with: the last round's change, or that of a merge with the base branch."""
    outside = step.outside
    if outside is not None and outside.round == number and outside.merged_sha is not None:
        return (await step.checkout.merged(outside.head_sha)).change_set
    before = await step.coded(last)
    return before.change_set if before else None


def _require_merged(outside: OutsideFeedback | None, change_set: ChangeSet) -> None:
    """Raises StepFailedError: both sides of a conflict still stand there."""
    if outside is None or outside.merged_sha is None:
        return
    left = {line.path for line in change_set.added() if line.text.startswith(("<<<<<<< ", ">>>>>>> "))}
    if left:
        raise StepFailedError(
            f"The base branch moved, and its conflict with this change still stands in {', '.join(sorted(left)[:5])}. "
            "Merge the base branch into this one by hand.",
            code="conflict_left",
        )


async def _judge(
    step: StepContext, config: RepositoryConfig, change_set: ChangeSet, plan: Plan, tests: TestReport
) -> PolicyReport:
    """Asks the policy; in a thread, since a large change takes a while and the lease must be renewed meanwhile."""
    rules = await step.rules(config)
    contents = {path: await step.checkout.read_at_base(path) for path in paths_to_read(change_set)}
    base = {path: content for path, content in contents.items() if content is not None}
    # A round on feedback can start from a later commit than the plan was made on; it is the same plan there.
    planned = plan.model_copy(update={"base_sha": step.base.sha})
    return await asyncio.to_thread(evaluate, change_set, planned, tests, rules, base)


async def _feedback(step: StepContext, number: int, last: int) -> Feedback:
    """Why the round before `number` was not good enough, or what is said about the one that was published."""
    found = await _kept(step, last)
    return found.model_copy(update={"round": number - 1, "outside": step.outside})


async def _kept(step: StepContext, number: int) -> Feedback:
    review = await step.records.load(ArtifactKind.REVIEW, Review, number)
    tests = await step.records.load(ArtifactKind.TEST_REPORT, TestReport, number)
    policy = await step.records.load(ArtifactKind.POLICY_REPORT, PolicyReport, number)
    assert review is not None, "a further round follows a review"
    assert tests is not None, "a review follows the tests"
    assert policy is not None, "a review follows the policy"
    return Feedback(round=number, review=review, tests=tests, policy=policy)


async def _test(step: StepContext, config: RepositoryConfig, change_set: ChangeSet) -> TestReport:
    """Runs the declared commands on exactly the tree that would be committed."""
    await step.checkout.restore(change_set)
    setup: tuple[CommandResult, ...] = ()
    if config.setup:
        network = await step.enter(Phase.SETUP, config)
        setup = await _run_all(step, config.setup, config, network=bool(network))
        if not all(result.ok for result in setup):
            return TestReport(setup=setup)
        await step.checkout.keep_cache()
    network = await step.enter(Phase.CODING, config)
    tests = await _run_all(step, config.tests or (), config, network=bool(network))
    return TestReport(setup=setup, tests=tests)


async def _run_all(
    step: StepContext, commands: tuple[str, ...], config: RepositoryConfig, *, network: bool
) -> tuple[CommandResult, ...]:
    """The results in order; a failed set-up or test command ends the row."""
    results: list[CommandResult] = []
    for command in commands:
        step.observe(CommandStarted(step.job.id, command))
        result = await step.checkout.workspace.run(command, timeout=config.command_timeout, network=network)
        step.observe(CommandEnded(step.job.id, command, result.outcome(), result.duration))
        results.append(result)
        if not result.ok:
            break
    return tuple(results)


async def keep_logs(step: StepContext, number: int, report: TestReport) -> None:
    """Stores the whole logs of commands whose results hold only head and tail; they lie on this machine alone."""
    spilled = [result for result in (*report.setup, *report.tests) if result.log]
    found = [CommandLog(command=r.command, content=await asyncio.to_thread(_packed, r.log)) for r in spilled if r.log]
    if found:
        await step.records.keep(ArtifactKind.TEST_LOGS, number, TestLogs(logs=tuple(found)))


def _packed(path: str) -> bytes:
    return zlib.compress(Path(path).read_bytes())
