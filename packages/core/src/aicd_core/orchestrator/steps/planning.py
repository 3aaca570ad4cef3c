"""PLANNING: the repository's configuration, a plan, and the checks that it must pass."""

from functools import partial

from aicd_core.contracts import Plan, PolicyReport, PolicyVerdict
from aicd_core.contracts.config import RepositoryConfig
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.models import ArtifactKind
from aicd_core.orchestrator.asked import clean_comment, hidden_note
from aicd_core.orchestrator.plan_checks import PlanFault, check_plan, numbered
from aicd_core.orchestrator.steps.asking import answer
from aicd_core.orchestrator.steps.context import StepContext, StepResult
from aicd_core.policy import MAX_FINDINGS_PER_RULE, Rules, protection_finding, protection_reason
from aicd_core.repo_config import FILE_NAME, detect_test_commands, files_to_read, parse_repository_config
from aicd_core.tenancy.organizations.models import PlanApproval

BEFORE_ANY_ROUND = 0


async def run(step: StepContext) -> StepResult:
    """One attempt at a plan."""
    paths = await step.checkout.paths_at_base()
    config = await _configure(step, paths)
    attempt = step.job.status.plan_attempts
    rules = await step.rules(config)
    plan = await step.records.load(ArtifactKind.PLAN, Plan, attempt)
    if plan is None:
        plan = await ask(step, attempt, paths, config)
    faults = _check(step, plan, paths, rules, config)
    if not faults:
        return await _accepted(step, plan, config)
    # What a person sent back was valid: it is not counted against the planner.
    invalid = attempt + 1 - len(await step.records.comments(attempt))
    if invalid < step.settings.max_plan_attempts:
        return StepResult(JobEvent.PLAN_INVALID, "invalid_plan", " ".join(numbered(faults)))
    await _keep_denial(step, faults, config)
    return _refused(faults, f"No valid plan after {invalid} attempts.")


async def _accepted(step: StepContext, plan: Plan, config: RepositoryConfig) -> StepResult:
    """Goes on with a valid plan, or has a person look at it first, who also answers what it asks."""
    if plan.open_questions:
        reason = "The plan waits for answers: " + " ".join(plan.open_questions)
        return StepResult(JobEvent.APPROVAL_ASKED, "open_questions", reason)
    always = config.plan_approval == "always" or step.terms.plan_approval is PlanApproval.ALWAYS
    wants_person = always or await step.records.asks_approval()
    return StepResult(JobEvent.APPROVAL_ASKED if wants_person else JobEvent.PLAN_READY)


async def _configure(step: StepContext, paths: frozenset[str]) -> RepositoryConfig:
    """Reads `.aicd.yml` at the base commit once; where it names no tests, they are looked for."""
    stored = await step.records.load(ArtifactKind.CONFIG, RepositoryConfig, 0)
    if stored is not None:
        return stored
    text = await step.checkout.read_at_base(FILE_NAME)
    try:
        config = parse_repository_config(text or b"")
    except InvalidInputError as error:
        raise StepFailedError(error.message, code=error.code) from error
    if config.tests is None:
        contents = {path: await step.checkout.read_at_base(path) for path in files_to_read(paths)}
        tests = detect_test_commands(paths, contents.get)
        step.say(f"no tests in {FILE_NAME}; found: {', '.join(tests) or 'none'}")
        config = config.model_copy(update={"tests": tests})
    return await step.records.keep(ArtifactKind.CONFIG, 0, config)


async def ask(step: StepContext, attempt: int, paths: frozenset[str], config: RepositoryConfig) -> Plan:
    """Has the agent make a plan, told what was wrong with the one before."""
    before = await step.records.load(ArtifactKind.PLAN, Plan, attempt - 1) if attempt else None
    faults = _check(step, before, paths, await step.rules(config), config) if before else ()
    said = [await clean_comment(comment) for comment in await step.records.comments(attempt)]
    comments = tuple(f"A person sent the plan back: {comment}" for comment in said)
    asked = await step.asked()
    if note := hidden_note(asked.removed):
        step.say(note)
    await step.checkout.restore(None)
    try:
        errors = (*numbered(faults), *comments)
        task = asked.task.model_copy(update={"returned_plan": before})
        call = step.agent.plan(task, errors, step.checkout.workspace, step.session)
        plan = await answer(call, Plan, step.job.agent)
    except StepFailedError as error:
        if any(fault.by_policy for fault in faults):
            await _keep_denial(step, faults, config)
            raise StepFailedError(_words(faults), code="policy_denied") from error
        raise
    return await step.records.keep(ArtifactKind.PLAN, attempt, plan, step.session.drain())


def _check(
    step: StepContext, plan: Plan, paths: frozenset[str], rules: Rules, config: RepositoryConfig
) -> tuple[PlanFault, ...]:
    forbidden = partial(protection_reason, rules=rules)
    return check_plan(plan, step.job.base_sha, paths, forbidden, config.checkout.sparse)


async def _keep_denial(step: StepContext, faults: tuple[PlanFault, ...], config: RepositoryConfig) -> None:
    """Puts on the record what policy forbids of a plan that ends the job here: no change will be there to be judged."""
    paths = sorted({fault.forbidden for fault in faults if fault.forbidden is not None})
    rules = await step.rules(config)
    reasons = {path: protection_reason(path, rules) for path in paths}
    findings = tuple(protection_finding(path, reason) for path, reason in reasons.items() if reason is not None)
    if findings:
        report = PolicyReport(verdict=PolicyVerdict.DENY, findings=findings[:MAX_FINDINGS_PER_RULE])
        await step.records.keep(ArtifactKind.POLICY_REPORT, BEFORE_ANY_ROUND, report)


def _words(faults: tuple[PlanFault, ...]) -> str:
    return " ".join(numbered(faults))


def _refused(faults: tuple[PlanFault, ...], what: str) -> StepResult:
    code = "policy_denied" if any(fault.by_policy for fault in faults) else "invalid_plan"
    return StepResult(JobEvent.FAILED, code, f"{what} {_words(faults)}")
