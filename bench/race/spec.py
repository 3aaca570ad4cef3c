"""One run of one contender: what it is told, and what it answers."""

import json
import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import Self
from uuid import UUID

from aicd_core.ids import OrgId, RepositoryId
from aicd_core.tenancy import Tenant
from race.usage import Servers, own_seconds

TENANTS = 20
"""Jobs are spread over so many organizations, in turn."""
SHA = "a" * 40
CONNECTIONS = 20
"""Of each pool: the floor's, the one of every peer's steps and its own, and ours as either role."""
WARM_UP = 50
"""Jobs before the clock starts: imports, connections, prepared statements."""


def org_id(number: int) -> OrgId:
    """The organization of the nth job."""
    return OrgId(UUID(f"00000001-0000-7000-8000-{number % TENANTS:012x}"))


def repository_id(number: int) -> RepositoryId:
    """The repository of the nth job's organization."""
    return RepositoryId(UUID(f"00000002-0000-7000-8000-{number % TENANTS:012x}"))


def tenant(number: int) -> Tenant:
    """Whose the nth job is."""
    return Tenant(org_id(number))


@dataclass(frozen=True)
class Spec:
    """What a contender is told.

    Args:
        jobs: pipelines to complete, from the making of the job to its pull request.
        starts: jobs given to the idle worker one by one, to see how long each takes to start.
        concurrency: jobs at work at once.
    """

    contender: str
    admin_url: str
    app_url: str
    system_url: str
    redis_url: str | None
    jobs: int
    starts: int
    concurrency: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str` wrote."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Outcome:
    """What a contender answers, for all jobs: seconds, CPU seconds of its process and of the servers; and milliseconds
    to each start."""

    seconds: float = 0.0
    cpu: float = 0.0
    servers: float = 0.0
    starts: list[float] = field(default_factory=list)
    missing: str | None = None
    """Why the contender could not run at all."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str` wrote."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return json.dumps(asdict(self))


class Stopwatch:
    """Wall clock and CPU time of this process and of the run's servers since it was made."""

    def __init__(self, spec: Spec) -> None:
        self._servers = Servers(spec.admin_url, spec.redis_url)
        self._began, self._cpu, self._served = time.perf_counter(), own_seconds(), self._servers.seconds()

    def outcome(self, starts: list[float]) -> Outcome:
        """What went by until now."""
        seconds, cpu = time.perf_counter() - self._began, own_seconds() - self._cpu
        return Outcome(seconds, cpu, self._servers.seconds() - self._served, starts)


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies; 0 when there are none."""
    if not values:
        return 0.0
    return statistics.quantiles(values, n=1000, method="inclusive")[max(0, round(share * 1000) - 1)]
