"""Where control groups are looked for, on made-up systems; that they hold is what the contract's tests show."""

import os
from pathlib import Path

import pytest

from aicd_sandbox.cgroups import PREFIX, Cgroup, make_cgroup

MIB = 1024 * 1024

V1 = """\
30 24 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
32 24 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2 = "30 24 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"


def system(root: Path, groups: str, mounts: str, *folders: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    (root / "proc/self/mountinfo").write_text(mounts)
    for folder in folders:
        (root / "sys/fs/cgroup" / folder).mkdir(parents=True, exist_ok=True)
    return root


def made_by(root: Path) -> Cgroup:
    cgroup = make_cgroup(64 * MIB, 100, root=root)
    assert cgroup is not None
    return cgroup


def test_in_version_1_each_controller_gets_a_group_below_our_own(tmp_path: Path) -> None:
    root = system(tmp_path, "4:memory:/worker\n8:pids:/\n0::/\n", V1, "memory/worker", "pids", "unified")
    memory, pids = made_by(root).folders
    assert memory.parent == root / "sys/fs/cgroup/memory/worker"
    assert pids.parent == root / "sys/fs/cgroup/pids"
    assert (memory / "memory.limit_in_bytes").read_text() == str(64 * MIB)
    assert int((pids / "pids.max").read_text()) > 100


def test_in_version_2_it_is_the_nearest_group_that_is_delegated(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/system.slice/aicd.service/main\n", V2, "system.slice/aicd.service/main")
    service = root / "sys/fs/cgroup/system.slice/aicd.service"
    (service / "main/cgroup.subtree_control").write_text("")
    (service / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (folder,) = made_by(root).folders
    assert folder.parent == service


@pytest.mark.parametrize("enabled", ["", "cpu pids", "memory"])
def test_without_both_controllers_there_is_no_group(tmp_path: Path, enabled: str) -> None:
    root = system(tmp_path, "0::/\n", V2, ".")
    (root / "sys/fs/cgroup/cgroup.subtree_control").write_text(enabled)
    assert make_cgroup(64 * MIB, 100, root=root) is None


def test_without_proc_there_is_no_group(tmp_path: Path) -> None:
    assert make_cgroup(64 * MIB, 100, root=tmp_path) is None


def test_what_a_killed_worker_left_is_removed_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    root = system(tmp_path, "4:memory:/\n8:pids:/\n", V1, "memory", "pids")
    left = root / f"sys/fs/cgroup/memory/{PREFIX}4194305-1"  # above the kernel's largest process number
    used = root / f"sys/fs/cgroup/memory/{PREFIX}{os.getpid()}-1"
    left.mkdir()
    used.mkdir()
    made_by(root)
    assert (left.exists(), used.exists()) == (False, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [("memory.events", "low 0\noom 3\noom_kill 2\n"), ("memory.oom_control", "under_oom 0\noom_kill 2\n")],
)
def test_kills_for_want_of_memory_are_counted(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert Cgroup((tmp_path,)).memory_kills() == 2
    assert Cgroup((tmp_path / "none",)).memory_kills() == 0
