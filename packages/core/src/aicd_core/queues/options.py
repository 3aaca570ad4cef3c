"""What we ask of BullMQ: names, and settings, each with the fault that it guards against (docs/decisions/0006)."""

from collections.abc import Mapping
from types import MappingProxyType

JOBS = "aicd-jobs"
"""The queue of wakes."""
CHORES = "aicd-chores"
"""The queue of chores."""
DELIVERIES = "aicd-deliveries"
"""The queue of the bell that is rung when a delivery came in."""
WAKE = "wake"
"""The name of every entry of the queue of wakes."""

WORKER_OPTIONS: Mapping[str, object] = MappingProxyType(
    {
        # Taken up again 10 to 15 s after its worker was killed; with BullMQ's own settings after a minute.
        "lockDuration": 10_000,
        "stalledInterval": 5_000,
        # By itself BullMQ fails an entry for good whose worker is killed a second time.
        "maxStalledCount": 20,
        # Seconds that an idle worker blocks at a time.
        "drainDelay": 1,
        # Milliseconds before a lost connection is tried again.
        "runRetryDelay": 1_000,
        # We own the task and see how it ends.
        "autorun": False,
    }
)

ENTRY_OPTIONS: Mapping[str, object] = MappingProxyType(
    {
        "attempts": 3,
        "backoff": {"type": "exponential", "delay": 1_000},
        # An entry that is kept, completed or failed, silently swallows every later one with its key.
        "removeOnComplete": True,
        "removeOnFail": True,
    }
)
"""Of every entry; `migrations/wakes.py` writes them into the function that adds wakes inside Postgres."""

LONGEST_WAIT = 1.0
"""Seconds that a worker waits for a delayed entry before it looks again: the Postgres backend waits for the one it
saw, up to an hour, while an earlier one is added or the clock is set."""

HANDLERS_PER_WORKER: Mapping[str, int] = MappingProxyType({"postgres": 12, "redis": 25})
"""By backend. A BullMQ worker has one connection for all that its handlers report; past this, another worker is opened,
which asks for entries by itself, and often in vain. A Redis answers sooner, so there its connection serves more."""

REDIS_WORKER_TIMEOUT = 15
"""Seconds a worker's Redis connection may be silent. By redis-py's own 5 s it gives up a wait that the server has not
ended yet, and an idle worker sleeps for 5 to 15 s."""
REDIS_PRODUCER_TIMEOUT = 5
"""Seconds to add an entry to Redis; nothing blocks there."""
REDIS_RETRIES = 2
"""redis-py itself would go on for minutes; who supervises the worker tries again, and a producer says what is wrong."""
