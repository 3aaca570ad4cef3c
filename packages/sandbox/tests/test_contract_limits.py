from collections.abc import Awaitable, Callable
from pathlib import Path

from aicd_core.contracts import CommandResult

MIB = 1024 * 1024
Run = Callable[..., Awaitable[CommandResult]]

FORKS = """
import os, time
made = 0
try:
    while made < 500:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except OSError as error:
    print(made, error.strerror)
"""


async def test_processes_are_limited(run: Run, tree: Path) -> None:
    (tree / "forks.py").write_text(FORKS)
    result = await run("python3 forks.py", processes=150)
    made, _, reason = result.output.strip().partition(" ")
    assert 0 < int(made) < 155
    assert reason == "Resource temporarily unavailable"


async def test_memory_is_limited(run: Run) -> None:
    result = await run("python3 -c 'bytearray(400 * 2**20)'", memory=256 * MIB)
    assert result.killed == "memory limit" or "MemoryError" in result.output or result.exit_code == 137
    assert (await run("python3 -c 'bytearray(100 * 2**20)'", memory=256 * MIB)).ok


async def test_a_program_that_reserves_much_more_than_it_uses_still_runs(run: Run) -> None:
    reserve = "mmap.mmap(-1, 64 << 30, mmap.MAP_PRIVATE | 0x4000, mmap.PROT_READ)"  # MAP_NORESERVE
    script = f"import mmap; {reserve}; print('reserved')"
    result = await run(f'python3 -c "{script}"', memory=256 * MIB)
    assert result.output == "reserved\n"


async def test_the_private_folders_in_memory_are_limited_too(run: Run) -> None:
    for folder in ("/tmp", "/dev/shm"):
        result = await run(f"head -c {64 * MIB} /dev/zero > {folder}/big", memory=128 * MIB)
        assert "No space left on device" in result.output


async def test_a_file_is_limited_in_size(run: Run, tree: Path) -> None:
    result = await run("head -c 3000000 /dev/zero > big", file_size=MIB)
    assert result.exit_code == 128 + 25  # SIGXFSZ
    assert (tree / "big").stat().st_size == MIB


async def test_no_core_is_dumped(run: Run) -> None:
    assert (await run("ulimit -c")).output == "0\n"


async def test_a_command_of_the_sandbox_goes_first_when_the_machine_runs_out_of_memory(run: Run) -> None:
    assert (await run("cat /proc/self/oom_score_adj")).output == "1000\n"


async def test_a_hundred_megabytes_of_output_are_cut(run: Run) -> None:
    result = await run("echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last", output=10_000)
    assert result.output.startswith("first\nxxx")
    assert result.output.endswith("xxx\nlast\n")
    assert f"\n[... {result.truncated_bytes} bytes left out ...]\n" in result.output
    assert len(result.output) < 10_100
    assert result.truncated_bytes == 100_000_000 + len("first\n\nlast\n") - 10_000
    assert result.ok


async def test_endless_output_ends_the_command(run: Run) -> None:
    result = await run("yes", timeout=60.0)
    assert (result.killed, result.exit_code, result.timed_out) == ("output limit", None, False)
    assert result.outcome() == "output limit"
