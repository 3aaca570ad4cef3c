"""Each command in each state of a job, and what is said of it in the one comment."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from steering_world import PLAN, Steered

from aicd_core.ids import DeliveryId, new_uuid
from aicd_core.jobs.machine import JobState

S = JobState
STATES: tuple[JobState | None, ...] = (None, *JobState)


ENDED = (S.FAILED, S.CANCELLED, S.CLOSED)
OPEN = tuple(state for state in JobState if state not in (*ENDED, S.MERGED))
ANEW = "a second job"
AFTER: dict[tuple[str, JobState | None], str | None] = {
    **{("plan", state): ANEW for state in (None, *ENDED, S.MERGED)},
    **{("plan", state): state.value for state in (S.QUEUED, S.PLANNING)},
    **{("go", state): ANEW for state in (None, *ENDED, S.MERGED)},
    ("go", S.AWAITING_APPROVAL): "coding",
    **{("stop", state): "cancelled" for state in OPEN},
    **{("retry", state): ANEW for state in ENDED},
    ("retry", S.PAUSED): "planning",
    **{("budget 9", state): state.value for state in OPEN},
    ("budget 9", S.PAUSED): "planning",
    **{("help", state): state and state.value for state in STATES},
}
"""What the job is then, by command and state; of what is not here, nothing changes, and that is said."""


@pytest.mark.parametrize("verb", ["plan", "go", "stop", "retry", "budget 9", "help"])
async def test_each_command_in_each_state(steered: Steered, verb: str):
    for state in STATES:
        steered.forget()
        paused = {"code": "job_budget"} if state is S.PAUSED else {}
        await steered.in_state(state, cost_limit=2_000_000, **paused)
        outcome = await steered.say(f"/aicd {verb}")
        before = [] if state is None else [state.value]
        obeyed, after = (verb, state) in AFTER, AFTER.get((verb, state))
        wanted = [*before, "queued"] if after == ANEW else [after] if after else before
        assert (outcome.code, steered.jobs()) == (None if obeyed else "not_obeyed", wanted), (state, outcome)
        assert steered.reactions() == ["+1" if obeyed else "confused"]
        assert f"To `/aicd {verb}`** of `alice`" in steered.living()
        if obeyed and verb == "budget 9":
            assert steered.column("cost_limit") == 9_000_000
        if obeyed and verb in ("plan", "go"):
            assert steered.column("asks_approval") == (verb == "plan")


async def test_a_job_that_was_stopped_goes_on_where_it_was_while_its_journal_is_kept(steered: Steered):
    for verb, gone, after in (("retry", False, ["coding"]), ("retry", True, ["cancelled", "queued"])):
        steered.ask("DELETE FROM model_calls")
        steered.forget()
        await steered.in_state(S.CANCELLED, paused_from="coding", code="payment_overdue", reason="Pay.")
        if gone:
            steered.ask(
                "INSERT INTO model_calls (org_id, job_id, step, number, request_hash, model, prompts, request_sha256, "
                "reply_sha256, shared, request_pieces, reply_pieces) "
                "SELECT org_id, id, 'plan/0', 0, '', 'a model', '[]', '', '', 0, '{}', '{}' FROM jobs"
            )
        await steered.say("/aicd help")
        assert "takes it up again where it was" in steered.living()
        await steered.say(f"/aicd {verb}")
        assert steered.jobs() == after


async def test_what_is_said_is_said_in_one_comment_and_names_nobody(steered: Steered):
    for text in ("/aicd help", "/aicd", "/aicd dance", "/aicd budget x", "/aicd go", "/aicd help", "/aicd go now"):
        await steered.say(text)
    assert "stands alone on its line" in steered.living()
    assert steered.jobs() == ["queued"]
    await steered.say("/aicd a\\`@someone")
    assert re.search(r"@\w", steered.living()) is None, steered.living()
    assert "someone" in steered.living()
    await steered.say("What is /aicd go?")
    await steered.say("```\n/aicd stop\n```")
    assert steered.jobs() == ["queued"]


async def test_the_plan_is_shown_where_it_cannot_act_with_its_cost_and_how_to_approve_it(steered: Steered):
    await steered.in_state(JobState.AWAITING_APPROVAL)
    steered.ask(
        "INSERT INTO usage_entries (org_id, job_id, entry_key, input_tokens, cached_input_tokens, "
        "cache_write_tokens, output_tokens, cost_micro_usd) "
        "SELECT org_id, id, 'plan/0', 1, 0, 0, 1, 1234500 FROM jobs"
    )
    await steered.say("/aicd help")
    said = steered.living()
    assert f"**Plan `{PLAN.structure_hash()[:12]}`.** `/aicd go`" in said
    assert "1.2345 USD" in said
    opening = said.index("`````text\n")
    assert opening < said.index("@everyone, fixes #3") < said.index("\n`````\n", opening + 1), (
        "a longer fence than any in it"
    )
    assert "modify greet.txt" in said
    await steered.say("/aicd go")
    assert "modify greet.txt" not in steered.living()
    assert steered.events()[-1][1]["plan_hash"] == PLAN.structure_hash()


async def test_a_plan_is_not_approved_by_who_cannot_have_seen_it(steered: Steered):
    before = datetime.now(UTC)
    await steered.in_state(JobState.AWAITING_APPROVAL)
    assert (await steered.say("/aicd go", at=before)).code == "not_obeyed"
    assert "before the plan" in steered.living()
    assert steered.jobs() == ["awaiting_approval"]
    await steered.say("/aicd go")
    assert steered.jobs() == ["coding"]


async def test_an_edit_counts_for_whoever_made_it_and_for_what_it_added(steered: Steered):
    await steered.say("Hm.")
    comment = steered.issue.comments[0]
    comment.body = "/aicd go"
    changes = {"body": {"from": "Hm."}}
    by_reader = steered.says.of_comment("edited", steered.issue, comment, "rita", changes=changes)
    assert (await steered.handle(by_reader)).code == "trigger_permission"
    await steered.handle(steered.says.of_comment("edited", steered.issue, comment, "alice", changes=changes))
    assert steered.jobs() == ["queued"]
    comment.body = "/aicd go\n\nPlease."
    more = {"body": {"from": "/aicd go"}}
    again = steered.says.of_comment("edited", steered.issue, comment, "alice", changes=more)
    assert (await steered.handle(again)).code == "no_command"


@pytest.mark.parametrize(
    ("text", "state", "after"),
    [
        ("/aicd go", None, ["queued"]),
        ("/aicd go", JobState.AWAITING_APPROVAL, ["coding"]),
        ("/aicd retry", JobState.FAILED, ["failed", "queued"]),
        ("/aicd stop\n\n/aicd retry", JobState.CODING, ["cancelled", "queued"]),
        ("/aicd plan\n\n/aicd budget 9", JobState.CLOSED, ["closed", "queued"]),
    ],
)
async def test_handled_twice_it_is_done_once(steered: Steered, text: str, state: JobState | None, after: list[str]):
    await steered.set_rules(job_budget=1_000_000)
    await steered.in_state(state)
    message, one = steered.says.commented(steered.issue, text, "alice"), DeliveryId(new_uuid())
    for attempts in (1, 2):
        assert (await steered.handle(message, delivery=one, attempts=attempts)).state == "handled"
        assert steered.jobs() == after
    assert len(steered.events()) == len({repr(event) for event in steered.events()})
    assert steered.reactions() == ["+1"]
    if "budget" in text:
        assert steered.column("cost_limit") == 9_000_000


async def test_a_command_that_comes_late_does_not_meet_a_later_job(steered: Steered):
    await steered.label()
    early = datetime.now(UTC) - timedelta(minutes=5)
    assert (await steered.say("/aicd stop", at=early)).code == "not_obeyed"
    assert steered.jobs() == ["queued"]
    assert "before this job began" in steered.living()


async def test_a_job_that_paused_for_another_reason_stays_so(steered: Steered):
    await steered.in_state(JobState.PAUSED, code="monthly_budget", cost_limit=1_000_000)
    await steered.say("/aicd budget 5")
    assert (steered.jobs(), steered.column("cost_limit")) == (["paused"], 5_000_000)
    assert "stays paused" in steered.living()
    await steered.say("/aicd budget 3")
    assert steered.column("cost_limit") == 5_000_000
    assert "only raised" in steered.living()


async def test_a_job_out_of_time_gets_as_much_again(steered: Steered):
    await steered.in_state(JobState.PAUSED, code="time_limit", seconds_worked=100.0, time_limit=100.0)
    await steered.say("/aicd retry")
    limit = steered.settings.job_time_limit
    assert (steered.jobs(), steered.column("time_limit")) == (["planning"], 100 + limit)


async def test_retry_asks_for_approval_again_where_the_job_did(steered: Steered):
    await steered.say("/aicd plan")
    await steered.say("/aicd stop")
    await steered.say("/aicd retry")
    assert steered.ask("SELECT asks_approval FROM jobs ORDER BY id") == [(True,), (True,)]


async def test_in_the_conversation_of_the_pull_request_its_job_is_steered(steered: Steered):
    pull = await steered.pull()
    stop = steered.says.commented(pull.issue, "/aicd stop", "alice")
    assert (await steered.handle(stop)).state == "handled"
    assert steered.jobs() == ["cancelled"]
    assert pull.issue.state == "open"
    assert pull.issue.comments[0].reactions
    assert "stays as it is" in steered.living()
    pull.head = "somebody/elses"
    assert (
        await steered.handle(steered.says.commented(pull.issue, "/aicd go", "alice"))
    ).code == "not_our_pull_request"
