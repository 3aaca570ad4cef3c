"""What the orchestrator counts of its work; see `aicd_core.telemetry.metrics` for what each figure means."""

import time
from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

from aicd_core.contracts import ModelReply, ModelRequest, Usage
from aicd_core.contracts.usage import MICRO_USD
from aicd_core.errors import AicdError
from aicd_core.ids import OrgId
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.values import JobView
from aicd_core.telemetry import metrics
from aicd_core.telemetry.tracing import JOB, ORG, SpanKind, span


class Ended(Protocol):
    """What a step gives back."""

    @property
    def event(self) -> JobEvent: ...


EndedT = TypeVar("EndedT", bound=Ended)

CHAT = "chat"
STOPS = frozenset({JobEvent.FAILED, JobEvent.GIVEN_UP, JobEvent.LIMIT_REACHED, JobEvent.RETRY_SCHEDULED})


def count_move(job: JobView, event: JobEvent) -> None:
    """An event has led a job to where it is now."""
    metrics.TRANSITIONS.labels(event.value, job.state.value).inc()
    if event in STOPS or job.status.is_stopped:
        metrics.STOPS.labels(event.value, metrics.CODES.of(job.code or "none")).inc()
    if event is JobEvent.PUBLISHED and not job.status.feedback_rounds:
        metrics.ROUNDS.observe(job.status.round)
        metrics.TIME_TO_PULL_REQUEST.observe(job.seconds_worked)
        metrics.ORGANIZATION_PULL_REQUESTS.labels(metrics.ORGANIZATIONS.of(str(job.org_id))).inc()


def count_cost(org_id: OrgId, usage: Usage) -> None:
    """So much is booked on the ledger."""
    if usage.cost_micro_usd:
        org = metrics.ORGANIZATIONS.of(str(org_id))
        metrics.ORGANIZATION_COST.labels(org).inc(usage.cost_micro_usd / MICRO_USD)


async def timed_step(job: JobView, step: Awaitable[EndedT]) -> EndedT:
    """Does the step of a job, and tells how long it took and how it ended."""
    began, event, state = time.monotonic(), "error", job.state.value
    about: dict[str, Any] = {JOB: str(job.id), ORG: str(job.org_id), "aicd.round": job.status.round}
    try:
        with span(f"step {state}", about) as told:
            result = await step
            event = result.event.value
            told.set_attribute("aicd.event", event)
        return result
    finally:
        metrics.STEP_SECONDS.labels(state, event).observe(time.monotonic() - began)


async def timed_call(request: ModelRequest, call: Awaitable[ModelReply]) -> ModelReply:
    """Makes the call, and tells how long it took, how it ended, and what it cost; where no model is asked, nothing."""
    if request.provider is None:
        return await call
    began, outcome, name = time.monotonic(), "error", metrics.MODELS.of(request.model)
    try:
        with span(f"{CHAT} {request.model}", _about(request.model, request.provider), kind=SpanKind.CLIENT) as told:
            reply = await call
            told.set_attributes(_told_of(reply.usage))
        outcome = "answered"
    except AicdError as error:
        outcome = metrics.CODES.of(error.code)
        raise
    finally:
        metrics.MODEL_CALL_SECONDS.labels(name, outcome).observe(time.monotonic() - began)
    _count_tokens(name, reply.usage)
    return reply


def _about(model: str, provider: str) -> dict[str, str]:
    """What those conventions require of a call."""
    return {"gen_ai.operation.name": CHAT, "gen_ai.provider.name": provider, "gen_ai.request.model": model}


def _told_of(usage: Usage) -> dict[str, int | float]:
    """A call's tokens in the words of OpenTelemetry's conventions, where those of the cache are input as well.

    https://github.com/open-telemetry/semantic-conventions-genai
    """
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "aicd.cost_usd": usage.cost_micro_usd / MICRO_USD,
    }


def _count_tokens(name: str, usage: Usage) -> None:
    tokens = {
        "input": usage.input_tokens,
        "cached_input": usage.cached_input_tokens,
        "cache_write": usage.cache_write_tokens,
        "output": usage.output_tokens,
    }
    for kind, count in tokens.items():
        metrics.MODEL_TOKENS.labels(name, kind).inc(count)
    metrics.MODEL_COST.labels(name).inc(usage.cost_micro_usd / MICRO_USD)
