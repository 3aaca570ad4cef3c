"""What an agent costs beside its model, on a scripted server that answers at once.

    .venv/bin/python packages/proprietary-ai/bench/agent_overhead.py [--steps 20 200] [--rounds N] [--mini PYTHON]

Each stack carries out so many shell commands, in turn in the same run: the floor is a loop on the bare SDK that
contains and records nothing; `aicd run` is the whole product, with journal, checkpoints, sandbox, plan and review;
mini-swe-agent runs where `--mini` names an interpreter that has it.

Times are taken from the server's clock: from the start of the process to the coder's first request, and from when an
answer is ready to the next request, so that what the server itself does with a long prompt is nobody's time. Memory is
the peak of the process, CPU is its own and its children's for the whole run, start and end included. `aicd run` starts
an embedded Postgres besides: the time until it is there counts, its memory and CPU do not.

The comparison is not between equals: the others run each command on the host, write down nothing that a second process
could go on from (mini-swe-agent writes its trajectory for people to read), and neither plan nor review.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from aicd_brain.testing.models import Served, serving
from aicd_brain.testing.scripts import ANY_ROLE, Script, Turn
from aicd_brain.testing.turns import done, planning, reviewing, using

HERE = Path(__file__).parent
AICD = Path(sys.executable).with_name("aicd")
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


@dataclass(frozen=True)
class Stack:
    """Something to be measured: how its tool is called, how it ends, what starts it. `role` is whose requests count."""

    name: str
    tool: str
    end: tuple[Turn, ...]
    role: str
    api: str = "anthropic"


@dataclass(frozen=True)
class Sample:
    """Seconds to the first request, milliseconds from an answer to the next (all, first and last ten), seconds of CPU,
    MiB, kB, part of prefixes."""

    start: float
    gap: float
    early: float
    late: float
    cpu: float
    peak: float
    first: float
    prefix: float


def script_for(stack: Stack, steps: int) -> Script:
    work = tuple(using(stack.tool, command=f"echo step {number} >> greet.txt") for number in range(steps))
    turns = ((*work, *stack.end),)
    if stack.role == ANY_ROLE:
        return Script(roles={ANY_ROLE: turns})
    return Script(roles={"planner": ((planning("greet.txt"),),), "coder": turns, "critic": ((reviewing("approve"),),)})


def make_repository(root: Path) -> Path:
    root.mkdir()
    (root / ".aicd.yml").write_text("version: 1\ntests: []\n")
    (root / "greet.txt").write_text("hello\n")
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-qm", "Begin"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return root


def command_for(stack: Stack, url: str, place: Path, mini: str | None) -> tuple[list[str], dict[str, str]]:
    if stack.name == "bare SDK":
        return [sys.executable, str(HERE / "bare_loop.py"), url], {}
    if stack.name == "mini-swe-agent":
        assert mini is not None, "it is only measured where it is installed"
        return [mini, str(HERE / "mini_loop.py"), url, str(place / "trajectory.json")], {"MSWEA_SILENT_STARTUP": "1"}
    options = ["--repo", str(place / "source"), "--data-dir", str(place.parent / "data"), "--json"]
    environment = {"AICD_ANTHROPIC_BASE_URL": url, "AICD_ANTHROPIC_API_KEY": "none", "AICD_CODER_TURNS": "1000"}
    return [str(AICD), "run", "--agent", "claude", "--issue", f"Steps {place.name}", *options], environment


def measure(stack: Stack, steps: int, place: Path, mini: str | None) -> Sample:
    place.mkdir(parents=True)
    source = make_repository(place / "source")
    with serving(script_for(stack, steps), place / "model") as server:
        command, added = command_for(stack, server.url, place, mini)
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=source, env={**os.environ, **added}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        served = [one for one in server.served() if one.role == stack.role]
    if process.returncode != 0 or len(served) < steps:
        raise SystemExit(
            f"{stack.name} ended with {process.returncode} after {len(served)} requests:\n{output.decode()}"
        )
    return sample_of(served[: steps + 1], started, usage)


def sample_of(served: Sequence[Served], started: float, usage: resource.struct_rusage) -> Sample:
    gaps = [1000 * (after.at - before.ready) for before, after in pairwise(served)]
    prompts = [[without_marks(message) for message in one.body["messages"]] for one in served]
    pairs = list(pairwise(prompts))
    return Sample(
        start=served[0].at - started,
        gap=statistics.median(gaps),
        early=statistics.median(gaps[:10]),
        late=statistics.median(gaps[-10:]),
        cpu=usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss / 1024,
        first=len(json.dumps(served[0].body)) / 1000,
        prefix=sum(after[: len(before)] == before for before, after in pairs) / len(pairs),
    )


def without_marks(value: object) -> object:
    """The message without the marks of where the vendor caches, which move and are no part of the prompt."""
    if isinstance(value, dict):
        return {name: without_marks(inner) for name, inner in value.items() if name != "cache_control"}
    return [without_marks(inner) for inner in value] if isinstance(value, list) else value


def median(samples: Sequence[Sample]) -> Sample:
    names = Sample.__dataclass_fields__
    return Sample(**{name: statistics.median(getattr(one, name) for one in samples) for name in names})


def report(steps: int, rounds: int, found: dict[str, Sample]) -> None:
    print(f"{steps} steps, {rounds} rounds in turn, medians; load {os.getloadavg()[0]:.1f}")
    names = f"{'start s':>8} {'gap ms':>8} {'first 10':>9} {'last 10':>8} {'CPU s':>6} {'MiB':>6} {'1st kB':>7}"
    print(f"  {'':16} {names} {'prefix':>7}")
    for name, one in found.items():
        print(
            f"  {name:16} {one.start:8.2f} {one.gap:8.1f} {one.early:9.1f} {one.late:8.1f} {one.cpu:6.1f} "
            f"{one.peak:6.0f} {one.first:7.1f} {one.prefix:7.0%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mini", metavar="PYTHON", help="An interpreter that has mini-swe-agent.")
    arguments = parser.parse_args()
    stacks = [
        Stack("bare SDK", "shell", (using("done"),), ANY_ROLE),
        Stack("aicd run", "shell", (done(), done()), "coder"),
    ]
    if arguments.mini:
        stacks.append(Stack("mini-swe-agent", "bash", (using("bash", command=SUBMIT),), ANY_ROLE))
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as place:
        measure(stacks[1], 1, Path(place) / "warm", None)
        for steps in arguments.steps:
            samples: dict[str, list[Sample]] = {stack.name: [] for stack in stacks}
            for number in range(arguments.rounds):
                for at, stack in enumerate(stacks):
                    folder = Path(place) / f"{steps}-{number}-{at}"
                    samples[stack.name].append(measure(stack, steps, folder, arguments.mini))
            report(steps, arguments.rounds, {name: median(taken) for name, taken in samples.items()})


if __name__ == "__main__":
    main()
