"""Sending spans to a collector by OTLP over HTTP: the only module that knows OpenTelemetry's SDK."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Status
from opentelemetry.util.types import Attributes

from aicd_core.orchestrator import Redaction
from aicd_core.telemetry.tracing import trace_with

EXPORT_SECONDS = 10.0
"""One batch's deadline, retries included; meanwhile spans wait, and what does not fit is dropped."""
FLUSH_SECONDS = 3.0
"""So long at most does a process that ends wait until its last spans are out."""
_log = logging.getLogger(__name__)


@asynccontextmanager
async def exporting(endpoint: str, ratio: float, service: str, redaction: Redaction) -> AsyncIterator[None]:
    """Traces and exports for as long as the block lasts, from a thread of its own: no work waits for the collector.

    Args:
        endpoint: the collector's address, to which `/v1/traces` is added.
        ratio: so many of the traces that begin here are kept; of one that began elsewhere, that was decided there.
        service: this process's name; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
    """
    known = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or service, "service.version": version("aicd-cli")}
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)), resource=Resource.create(known), shutdown_on_exit=False
    )
    out = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(MaskingExporter(out, redaction)))
    trace_with(provider)
    try:
        yield
    finally:
        trace_with(None)
        await _shut_down(provider)


async def _shut_down(provider: TracerProvider) -> None:
    """Sends the last spans; a collector that does not answer in time does without them."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        loop.call_soon_threadsafe(done.set)

    # A daemon, unlike the threads of asyncio's pool: nothing waits for it at the end of the process.
    threading.Thread(target=shut_down, name="last spans", daemon=True).start()
    try:
        await asyncio.wait_for(done.wait(), FLUSH_SECONDS)
    except TimeoutError:
        _log.warning("the collector did not take the last spans within %g s: they are lost", FLUSH_SECONDS)


class MaskingExporter(SpanExporter):
    """Takes secrets out of all texts of spans, and passes them on."""

    def __init__(self, out: SpanExporter, redaction: Redaction) -> None:
        self._out = out
        self._redaction = redaction

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._out.export([self._masked(span) for span in spans])

    def shutdown(self) -> None:
        self._out.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._out.force_flush(timeout_millis)

    def _masked(self, span: ReadableSpan) -> ReadableSpan:
        text, status = self._redaction.text, span.status
        events = [Event(text(event.name), self._attributes(event.attributes), event.timestamp) for event in span.events]
        return ReadableSpan(
            name=text(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=events,
            links=span.links,
            kind=span.kind,
            status=Status(status.status_code, text(status.description) if status.description else None),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Attributes) -> Attributes:
        masked: Mapping[str, Any] = attributes or {}
        return {
            name: self._redaction.text(value) if isinstance(value, str) else value for name, value in masked.items()
        }
