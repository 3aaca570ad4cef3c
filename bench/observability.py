"""What tracing costs the orchestrator: off, sampled and whole, beside a tracing that was taken out.

    .venv/bin/python bench/observability.py [--rounds N] [--jobs N] [--ratio R]

A run is the race of bench/orchestrator.py with the real steps, on Postgres, in its own process on a fresh database;
spans go out by OTLP to a sink on the loopback address that reads and forgets them. The floor: the same process with
`span` replaced by a context manager that does nothing. Rounds are taken in turn, and a figure is the median of the
ratios to the floor in each round. CPU seconds of the worker's process are what tracing costs; pipelines per second
also hold what the sink and everything else on the machine did.
"""

import argparse
import asyncio
import gc
import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.trace import INVALID_SPAN

from aicd_core.telemetry import tracing
from aicd_core.testing.databases import TEMPLATE, TestUrls, fresh_urls, migrated_server
from aicd_core.testing.ending import clean_up_when_told_to_stop
from race.run import CONTENDERS
from race.spec import Outcome, Spec
from race.world import make_world

FLOOR, OFF, SAMPLED, WHOLE = "taken out", "off", "sampled", "whole"
MODES = (FLOOR, OFF, SAMPLED, WHOLE)
CONTENDER = "ours, Postgres, real steps"


@contextmanager
def sink() -> Iterator[str]:
    """Takes whatever is posted; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: it is measured."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def take_tracing_out() -> None:
    """Before anything else is imported that traces."""

    known = [name for name, module in sys.modules.items() if getattr(module, "span", None) is tracing.span]
    assert known == ["aicd_core.telemetry.tracing"], f"{known} have the real one already"

    @contextmanager
    def span(*_: Any, **__: Any) -> Iterator[Any]:
        yield INVALID_SPAN

    names: dict[str, Any] = {"span": span, "traceparent": lambda: None, "current": lambda: None}
    vars(tracing).update(names)


def exporting(mode: str, endpoint: str, ratio: float) -> AbstractAsyncContextManager[None]:
    """The exporter of `aicd worker`, masking and all."""
    from aicd_cli.trace_export import exporting as export  # noqa: PLC0415 - off, it is not loaded
    from aicd_core.orchestrator import redaction_of  # noqa: PLC0415
    from aicd_core.settings import Settings  # noqa: PLC0415

    redaction = redaction_of(Settings(), os.environ)
    return export(endpoint, 1.0 if mode == WHOLE else ratio, "aicd-bench", redaction)


def run_one(mode: str, endpoint: str, ratio: float, spec: Spec) -> None:
    """One run, in this process; the last line is the outcome."""
    if mode == FLOOR:
        take_tracing_out()
    ours = importlib.import_module("race.ours")

    async def work() -> Outcome:
        async with exporting(mode, endpoint, ratio) if mode in {SAMPLED, WHOLE} else nullcontext():
            outcome: Outcome = await getattr(ours, CONTENDERS[CONTENDER].function)(spec)
            return outcome

    gc.freeze()
    print(asyncio.run(work()), flush=True)


def one_run(urls: TestUrls, endpoint: str, mode: str, arguments: argparse.Namespace) -> Outcome:
    """The same in a process of its own; raises CalledProcessError."""
    spec = Spec(CONTENDER, urls.admin, urls.app, urls.system, None, arguments.jobs, 0, 50)
    command = [sys.executable, __file__, "--one", mode, endpoint, str(spec), f"--ratio={arguments.ratio}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Outcome.parse(done.stdout.splitlines()[-1])


def measure(arguments: argparse.Namespace) -> None:
    """All modes in turn, every other round backwards; prints the medians of each round's ratios."""
    results: dict[str, list[Outcome]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory() as folder,
        migrated_server(Path(folder, "server"), durable=True) as url,
        sink() as at,
    ):
        make_world(TestUrls.of(url, TEMPLATE).admin)
        for number in range(arguments.rounds):
            for mode in MODES[:: -1 if number % 2 else 1]:
                with fresh_urls(url) as urls:
                    results[mode].append(one_run(urls, at, mode, arguments))
                one = results[mode][-1]
                told = (
                    f"{arguments.jobs / one.seconds:6.0f} pipelines/s, {1e3 * one.cpu / arguments.jobs:5.2f} ms of CPU"
                )
                print(f"  round {number + 1}: tracing {mode:<10}{told}", file=sys.stderr)
    print(f"tracing, to the floor (taken out); {arguments.jobs} pipelines, medians of {arguments.rounds} rounds")
    for mode in MODES[1:]:
        pairs = list(zip(results[mode], results[FLOOR], strict=True))
        cpu = statistics.median(one.cpu / floor.cpu for one, floor in pairs)
        pace = statistics.median(floor.seconds / one.seconds for one, floor in pairs)
        name = f"{mode} {arguments.ratio:.0%}" if mode == SAMPLED else mode
        print(f"  {name:<12} CPU {cpu:.3f} of it, pipelines/s {pace:.3f} of it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=400, help="pipelines of each run")
    parser.add_argument("--ratio", type=float, default=0.1, help="share of traces that is kept where they are sampled")
    parser.add_argument("--one", nargs=3, metavar=("MODE", "ENDPOINT", "SPEC"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        mode, endpoint, spec = arguments.one
        run_one(mode, endpoint, arguments.ratio, Spec.parse(spec))
        return
    clean_up_when_told_to_stop()
    measure(arguments)


if __name__ == "__main__":
    main()
