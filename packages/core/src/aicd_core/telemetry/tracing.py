"""Spans: what was done for a job, from the webhook to the pull request, as one trace of OpenTelemetry.

A process that exports spans brings a provider (`aicd_cli.tracing`); in any other one `span` does next to nothing. The
provider is not OpenTelemetry's global one: frameworks and SDKs that trace by themselves would put into it what nobody
here has looked at.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    format_span_id,
    format_trace_id,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aicd_core.errors import AicdError

__all__ = ["JOB", "ORG", "Span", "SpanKind", "current", "span", "trace_with", "traceparent"]

JOB, ORG = "aicd.job", "aicd.org"
"""Attributes of spans that are about a job."""
_W3C = TraceContextTextMapPropagator()
_HEADER = "traceparent"
_tracers: list[Tracer] = []
"""The one that is used, or none."""


def trace_with(provider: TracerProvider | None) -> None:
    """Has this process trace; with None, not any more."""
    _tracers[:] = [] if provider is None else [provider.get_tracer("aicd")]


@contextmanager
def span(
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str | None = None,
) -> Iterator[Span]:
    """A span that lasts as long as the block, and is the parent of those within.

    An error that leaves the block is told by its code or class; its text only if it is one of ours.

    Args:
        parent: the span that this one belongs to where that was in another process, as `traceparent` gave it; None is
            the one around this one, if there is any.
    """
    if not _tracers:
        yield INVALID_SPAN
        return
    around = None if parent is None else _W3C.extract({_HEADER: parent})
    with _tracers[0].start_as_current_span(
        name, around, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except BaseException as error:
            _tell(made, error)
            raise


def traceparent() -> str | None:
    """The current span for another process, in the form of W3C's Trace Context; None where nothing is traced."""
    if not _tracers:
        return None
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get(_HEADER)


def current() -> tuple[str, str] | None:
    """The ids of the current trace and span, as collectors show them; None where nothing is traced."""
    context = get_current_span().get_span_context()
    return (format_trace_id(context.trace_id), format_span_id(context.span_id)) if context.is_valid else None


def _tell(made: Span, error: BaseException) -> None:
    ours = error if isinstance(error, AicdError) else None
    made.set_attribute("error.type", ours.code if ours else type(error).__qualname__)
    made.set_status(Status(StatusCode.ERROR, ours.message if ours else None))
