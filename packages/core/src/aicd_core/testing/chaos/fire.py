"""Faults at random moments: processes killed and stopped, servers killed, restarted and emptied."""

import heapq
import itertools
import logging
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import psycopg

from aicd_core.jobs.machine import AT_WORK, JobState
from aicd_core.orchestrator.lease import LEASE_SECONDS
from aicd_core.testing.chaos.installation import AicdProcess, Installation, wait_until
from aicd_core.testing.chaos.repository import count_not_in

ENDED = frozenset(JobState) - AT_WORK
READY = "ready for"
"""What a worker says once it takes jobs."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intensity:
    """How hot it is. `rest` are seconds between two faults, at least and at most."""

    workers: int = 4
    concurrency: int = 2
    machines: int = 2
    rest: tuple[float, float] = (1.0, 2.5)


@dataclass
class Fire:
    """Keeps workers running on an installation and strikes at them and at their servers, each kind of fault in turn.

    `at_risk` counts the calls of the model that may have been in flight in the workers struck, each to be paid once
    more; `struck` says what was done, in order.
    """

    installation: Installation
    chance: random.Random
    intensity: Intensity = field(default_factory=Intensity)
    at_risk: int = 0
    struck: list[str] = field(default_factory=list)
    _workers: dict[int, AicdProcess] = field(default_factory=dict)
    _stopped: set[int] = field(default_factory=set)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def burn(self, strikes: int, timeout: float) -> None:
        """Starts the workers, strikes so many times, mends everything, and waits until no job is at work.

        Raises:
            TimeoutError: some job still is.
        """
        deadline = time.monotonic() + timeout
        for number in range(self.intensity.workers):
            self._start_worker(number)
        for strike in itertools.islice(self._strikes(), strikes):
            self._rest(self.chance.uniform(*self.intensity.rest))
            self.struck.append(strike.__name__.strip("_"))
            _log.info("strike: %s", self.struck[-1])
            strike()
        while self._due or not self._is_over():
            if time.monotonic() > deadline:
                raise TimeoutError(f"jobs are still at work after {timeout:g} s; struck: {', '.join(self.struck)}")
            self._rest(0.25)

    def drain(self) -> list[str]:
        """Tells every worker to stop, and waits for that; what those said that did not end as asked.

        One that was started a moment ago is let begin first: before it hears signals, one ends it as any process.
        """
        for worker in self._workers.values():
            wait_until(partial(_has_begun, worker), "a worker's start")
            worker.signal(signal.SIGTERM)
        return [worker.said() for worker in self._workers.values() if worker.end()]

    def _strikes(self) -> "itertools.chain[Callable[[], None]]":
        kinds = [
            *(self._kill_worker, self._kill_worker, self._stop_worker, self._kill_postgres, self._restart_postgres),
            self._refuse_calls,
        ]
        if self.installation.redis is not None:
            kinds += [self._flush_redis, self._kill_redis]
        return itertools.chain.from_iterable(self.chance.sample(kinds, len(kinds)) for _ in itertools.count())

    def _kill_worker(self) -> None:
        number = self._pick()
        self._workers[number].kill()
        self._later(self.chance.uniform(0, 2), lambda: self._start_worker(number))

    def _stop_worker(self) -> None:
        """Past its lease, while its commands go on in the sandbox."""
        number = self._pick()
        worker = self._workers[number]
        self._stopped.add(number)
        worker.signal(signal.SIGSTOP)

        def go_on() -> None:
            worker.signal(signal.SIGCONT)
            self._stopped.discard(number)

        self._later(LEASE_SECONDS + 2, go_on)

    def _kill_postgres(self) -> None:
        self.installation.kill_postgres()
        self._later(self.chance.uniform(0.2, 2), self._start_postgres)

    def _restart_postgres(self) -> None:
        self.installation.postgres.stop()
        self._start_postgres()

    def _start_postgres(self) -> None:
        self.installation.postgres.start()

    def _refuse_calls(self) -> None:
        self.installation.model.refuse(self.chance.randint(1, 4))

    def _flush_redis(self) -> None:
        assert self.installation.redis is not None, "only where there is one"
        self.installation.redis.flush()

    def _kill_redis(self) -> None:
        server = self.installation.redis
        assert server is not None, "only where there is one"
        server.kill()
        self._later(self.chance.uniform(0.2, 2), server.start)

    def _start_worker(self, number: int) -> None:
        options = ("--concurrency", str(self.intensity.concurrency), "--drain-timeout", "30")
        self._workers[number] = self.installation.worker(f"machine-{number % self.intensity.machines}", *options)

    def _pick(self) -> int:
        """One of the workers that run, struck now."""
        running = [number for number, one in self._workers.items() if one.process.poll() is None]
        self.at_risk += self.intensity.concurrency
        return self.chance.choice([number for number in running if number not in self._stopped] or running)

    def _later(self, seconds: float, mend: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), mend))

    def _rest(self, seconds: float) -> None:
        """Waits, and mends meanwhile what is due."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            while self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()
            time.sleep(0.05)

    def _is_over(self) -> bool:
        try:
            return count_not_in(self.installation.urls.admin, ENDED) == 0
        except psycopg.OperationalError:
            return False


def _has_begun(worker: AicdProcess) -> bool:
    """Whether it takes jobs, or has ended before it did."""
    return READY in worker.said() or worker.process.poll() is not None
