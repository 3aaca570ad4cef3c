"""Every figure that a process counts by itself, declared once; `aicd_core.monitoring` has those of the database.

Labels take few values. Those that come from data, such as the names of models, go through `Bounded`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

OTHER = "other"
MOST_MODELS = 50
MOST_ORGANIZATIONS = 500
MOST_CODES = 200
"""Different ones that a process tells apart. Each is some time series, kept until the process ends."""

REGISTRY = CollectorRegistry(auto_describe=True)

_REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CALLS = (0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_STEPS = (0.5, 1, 2.5, 5, 15, 30, 60, 120, 300, 600, 1200, 2400, 4800)
_LAG = (0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200)
"""Upper bounds of histograms, in seconds."""


class Bounded:
    """Values of a label: the first `most` different ones, and all others together as `other`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()
        self._lock = Lock()

    def of(self, value: str) -> str:
        """The label's value."""
        if value not in self._known:
            with self._lock:
                if len(self._known) >= self._most:
                    return OTHER
                self._known.add(value)
        return value


@dataclass(frozen=True)
class Declared:
    """A figure as the documents tell it; `name` is that of its samples."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str


DECLARED: list[Declared] = []


def _counter(name: str, about: str, labels: tuple[str, ...] = ()) -> Counter:
    DECLARED.append(Declared(f"{name}_total", "counter", labels, about))
    return Counter(name, about, labels, registry=REGISTRY)


def _gauge(name: str, about: str, labels: tuple[str, ...] = ()) -> Gauge:
    DECLARED.append(Declared(name, "gauge", labels, about))
    return Gauge(name, about, labels, registry=REGISTRY)


def _histogram(name: str, about: str, labels: tuple[str, ...] = (), *, buckets: Sequence[float]) -> Histogram:
    DECLARED.append(Declared(f"{name}_bucket", "histogram", labels, about))
    return Histogram(name, about, labels, registry=REGISTRY, buckets=buckets)


MODELS = Bounded(MOST_MODELS)
CODES = Bounded(MOST_CODES)
ORGANIZATIONS = Bounded(MOST_ORGANIZATIONS)

ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

TRANSITIONS = _counter(
    "aicd_job_transitions",
    "What happened to jobs: the event, and the state that it led to. That one is made or taken up is not counted.",
    ("event", "state"),
)
STOPS = _counter(
    "aicd_job_stops",
    "Jobs that failed, paused or were retried, by the reason's code.",
    ("event", "code"),
)
ROUNDS = _histogram(
    "aicd_job_rounds",
    "Rounds of coding that a job had taken when its pull request opened.",
    buckets=(1, 2, 3, 4, 5, 6, 8, 12),
)
TIME_TO_PULL_REQUEST = _histogram(
    "aicd_job_seconds_to_pull_request",
    "Seconds at work until a job's pull request was open.",
    buckets=_STEPS,
)
REVIEWS = _counter("aicd_reviews", "Reviews of changes, by verdict.", ("verdict",))
POLICY_VERDICTS = _counter("aicd_policy_verdicts", "What policies said of changes.", ("verdict",))
STEP_SECONDS = _histogram(
    "aicd_step_seconds",
    "How long steps took, by step and by the event that they ended with (`error`: tried again, or cut off).",
    ("step", "event"),
    buckets=_STEPS,
)
MODEL_CALL_SECONDS = _histogram(
    "aicd_model_call_seconds",
    "How long calls of models took; `outcome` is `answered`, or the code of the error.",
    ("model", "outcome"),
    buckets=_CALLS,
)
MODEL_TOKENS = _counter(
    "aicd_model_tokens",
    "Tokens of answered calls; `kind` is input, cached_input, cache_write or output, each counted once.",
    ("model", "kind"),
)
MODEL_COST = _counter("aicd_model_cost_usd", "What answered calls cost, in US dollars.", ("model",))
ORGANIZATION_COST = _counter(
    "aicd_organization_cost_usd",
    "What was booked on the ledger, in US dollars, by organization (its id).",
    ("org",),
)
ORGANIZATION_PULL_REQUESTS = _counter(
    "aicd_organization_pull_requests", "Pull requests opened, by organization (its id).", ("org",)
)
LEASES_HELD = _gauge("aicd_leases_held", "Jobs that this process works on.")
LEASES_LOST = _counter(
    "aicd_leases_lost",
    "Jobs that were taken from this process, or ended elsewhere, while it worked.",
)
LEASES_FREED = _counter("aicd_leases_freed", "Jobs that this process took from dead processes of its machine.")
DATA_FREE = _gauge("aicd_data_free_bytes", "Free bytes on the disk of this process's data directory; NaN without one.")
DATA_SIZE = _gauge("aicd_data_size_bytes", "Size of that disk in bytes; NaN without one.")
SANDBOX_DENIALS = _counter("aicd_sandbox_denials", "Connections that commands in sandboxes were refused.")
SANDBOX_COMMANDS = _counter(
    "aicd_sandbox_commands",
    "Commands run in sandboxes; `outcome` is passed, failed, killed or timed_out.",
    ("outcome",),
)
DELIVERIES_STORED = _counter(
    "aicd_deliveries_stored",
    "Webhooks taken in; `how` is stored, reopened or repeated.",
    ("source", "how"),
)
DELIVERIES = _counter(
    "aicd_deliveries",
    "Webhooks handled; `outcome` is handled, ignored, failed or postponed.",
    ("source", "outcome"),
)
DELIVERY_LAG = _histogram(
    "aicd_delivery_lag_seconds",
    "From a webhook's coming in to the end of its handling.",
    ("source",),
    buckets=_LAG,
)
HTTP_REQUESTS = _counter(
    "aicd_http_requests",
    "Requests answered, by method, route (`unmatched`: none) and status.",
    ("method", "route", "status"),
)
HTTP_SECONDS = _histogram(
    "aicd_http_request_seconds",
    "Until the answer to a request began.",
    ("method", "route"),
    buckets=_REQUESTS,
)
