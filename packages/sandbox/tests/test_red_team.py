"""Commands that try to get out, to look in, or to bring the worker down. After each one the sandbox still works, or
another one does: that is asserted by `attack` for all of them."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aicd_core.contracts import CacheMount, CommandResult, Sandbox

MIB = 1024 * 1024
Attack = Callable[..., Awaitable[CommandResult]]
Find = Callable[[str], list[int]]

SYSCALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
result = libc.syscall(*(ctypes.c_long(int(word, 0)) for word in sys.argv[1:]))
print("let through" if result >= 0 else os.strerror(ctypes.get_errno()))
"""

# Numbers of x86-64; the other architectures' are in <asm/unistd.h>.
CALLS = {
    "keyctl": "250 0 -3 1",
    "add_key": "248 0 0 0 0 -3",
    "request_key": "249 0 0 0 -3",
    "io_uring_setup": "425 1 0",
    "ptrace": "101 0 0 0 0",
    "process_vm_readv": "310 1 0 0 0 0 0",
    "process_vm_writev": "311 1 0 0 0 0 0",
    "pidfd_getfd": "438 0 0 0",
    "bpf": "321 0 0 0",
    "perf_event_open": "298 0 0 -1 -1 0",
    "userfaultfd": "323 0",
    "mount": "165 0 0 0 0 0",
    "umount2": "166 0 0",
    "pivot_root": "155 0 0",
    "move_mount": "429 0 0 0 0 0",
    "open_tree": "428 -100 0 0",
    "open_tree_attr": "467 -100 0 0 0 0",
    "fsopen": "430 0 0",
    "mount_setattr": "442 0 0 0 0 0",
    "setns": "308 0 0",
    "unshare a user namespace": "272 0x10000000",
    "unshare a time namespace": "272 0x80",
    "clone into a user namespace": "56 0x10000011 0 0 0 0",
    "clone3": "435 0 0",
    "kexec_load": "246 0 0 0 0",
    "init_module": "175 0 0 0",
    "finit_module": "313 0 0 0",
    "open_by_handle_at": "304 0 0 0",
    "name_to_handle_at": "303 -100 0 0 0 0",
    "reboot": "169 0 0 0 0",
    "settimeofday": "164 0 0",
    "a vsock": "41 40 1 0",
    "a vsock behind a high bit": "41 0x100000028 1 0",
    "an AF_ALG socket": "41 38 5 0",
    "a packet socket": "41 17 3 0",
    "typing into the terminal": "16 0 0x5412 0",
}
REFUSED = {"Operation not permitted", "Function not implemented", "Address family not supported by protocol"}


@pytest.fixture
def attack(run: Attack) -> Attack:
    """Runs a hostile command, and an ordinary one after it."""

    async def attacked(command: str, **arguments: object) -> CommandResult:
        result = await run(command, **arguments)
        after = await run("echo the next command")
        assert (after.output, after.exit_code) == ("the next command\n", 0)
        return result

    return attacked


def start_holder(secret: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sleep", "60"], env={"TOKEN": secret})


def python(script: str) -> str:
    return f"python3 - <<'END'\n{script}\nEND"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86-64")
@pytest.mark.parametrize("name", CALLS)
async def test_a_dangerous_system_call_is_refused(attack: Attack, tree: Path, name: str) -> None:
    (tree / "call.py").write_text(SYSCALL)
    result = await attack(f"python3 call.py {CALLS[name]}")
    assert result.output.strip() in REFUSED


async def test_the_calls_above_would_be_told_apart_if_they_were_let_through(attack: Attack, tree: Path) -> None:
    (tree / "call.py").write_text(SYSCALL)
    assert (await attack("python3 call.py 39")).output.strip() == "let through"  # getpid


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 is x86")
async def test_the_calls_of_another_architecture_end_the_process(attack: Attack) -> None:
    code = "b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3'"  # mov eax, 20 (getpid of i386); int 0x80; ret
    script = (
        "import ctypes, mmap\n"
        f"page = mmap.mmap(-1, 4096, prot=7); page.write({code})\n"
        "address = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        "print('let through', ctypes.CFUNCTYPE(ctypes.c_int)(address)())"
    )
    assert "let through" not in (await attack(python(script))).output


async def test_other_processes_environments_and_memory_cannot_be_read(
    attack: Attack, tree: Path, host_processes: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = f"secret-{secrets.token_hex(16)}"
    with start_holder(secret) as holder:
        script = (
            "import glob\n"
            "for name in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline'):\n"
            "    try: print(name, open(name, 'rb').read())\n"
            "    except OSError as error: print(name, error)\n"
            "for number in (1, 2):\n"
            "    try: open(f'/proc/{number}/mem', 'rb').read(1)\n"
            "    except OSError as error: print('mem', error.strerror)\n"
        )
        result = await attack(python(script))
        holder.kill()
    assert secret not in result.output
    assert "/proc/1/environ [Errno 13]" in result.output
    assert "mem Permission denied" in result.output
    assert str(tree) not in result.output


async def test_the_command_servers_descriptors_are_out_of_reach(attack: Attack) -> None:
    result = await attack("ls /proc/1/fd /proc/1/cwd/ 2>&1; cat /proc/1/mem 2>&1; ls -l /proc/self/fd")
    assert result.output.count("Permission denied") >= 2
    assert "socket:" not in result.output


async def test_the_hosts_loopback_is_another_one(attack: Attack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3)"
        assert "Connection refused" in (await attack(python(script))).output


@pytest.mark.parametrize("address", ["169.254.169.254", "192.0.2.1", "8.8.8.8", "fd00:ec2::254", "::ffff:10.0.0.1"])
async def test_no_address_can_be_reached_directly(attack: Attack, address: str) -> None:
    script = (
        "import socket\n"
        f"for port in (53, 80, 443):\n"
        f"    try: socket.create_connection(({address!r}, port), 3); print('let through')\n"
        "    except OSError as error: print(error.strerror)\n"
        f"udp = socket.socket(socket.AF_INET6 if ':' in {address!r} else socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"try: udp.sendto(b'x', ({address!r}, 53)); print('let through')\n"
        "except OSError as error: print(error.strerror)\n"
    )
    result = await attack(python(script))
    assert set(result.output.splitlines()) <= {"Network is unreachable", "Cannot assign requested address"}
    assert len(result.output.splitlines()) == 4


async def test_no_name_can_be_looked_up(attack: Attack) -> None:
    result = await attack(python("import socket; print(socket.getaddrinfo('example.com', 443))"))
    assert "gaierror" in result.output


async def test_an_abstract_socket_of_the_host_cannot_be_reached(attack: Attack) -> None:
    name = f"aicd-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        script = f"import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + '{name}')"
        assert "Connection refused" in (await attack(python(script))).output


@pytest.mark.parametrize("path", ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/dbus"])
async def test_no_socket_of_the_machine_is_there(attack: Attack, path: str) -> None:
    assert "No such file" in (await attack(f"ls -l {path}")).output


async def require_other_user(attack: Attack, kind: str) -> None:
    """Leaves a test out where docker itself is rootless: it cannot map the tree's owner to another user inside."""
    if kind == "docker" and (await attack("id -u")).output == "0\n":
        pytest.skip("rootless docker has no keep-id: commands are root inside, and own the image's files and /dev")


async def test_no_password_file_of_the_host_can_be_read(attack: Attack, kind: str) -> None:
    await require_other_user(attack, kind)
    result = await attack("cat /etc/shadow; cat /etc/gshadow; wc -l < /etc/passwd")
    assert "root:" not in result.output
    assert "let through" not in result.output


@pytest.mark.parametrize(
    "command",
    [
        "mount -t tmpfs none /tmp",
        "mount --bind /usr /tmp",
        "mount -o remount,rw /",
        "umount /proc",
        "unshare --user true",
        "unshare --mount true",
        "unshare --map-root-user --net true",
        "/usr/sbin/chroot /work /bin/true",
        "mknod /tmp/disk b 8 0",
        "nsenter --target 1 --mount true",
        "dmesg",
    ],
)
async def test_what_takes_rights_is_refused(attack: Attack, command: str) -> None:
    result = await attack(command)
    assert result.exit_code not in {0, 127}


async def test_no_setuid_program_gives_rights(attack: Attack, tree: Path) -> None:
    result = await attack(
        "grep NoNewPrivs /proc/self/status; mount | grep -E '^[^ ]+ on /(usr|work) ' | grep -vc nosuid; "
        "cp /usr/bin/id mine && chmod 4755 mine && ./mine -u; id -u"
    )
    lines = result.output.splitlines()
    assert lines[0] == "NoNewPrivs:\t1"
    assert lines[-1] == lines[-2] != "0" or os.geteuid() != 0


async def test_only_harmless_devices_are_there(attack: Attack) -> None:
    result = await attack("find /dev -type b -o -type c | sort")
    allowed = {"full", "null", "ptmx", "pts", "random", "tty", "urandom", "zero", "console", "mqueue", "core", "stdin"}
    assert {Path(line).name for line in result.output.split()} <= allowed | {str(number) for number in range(10)}


@pytest.mark.parametrize("path", ["/", "/usr/bin", "/etc", "/proc/sys/kernel", "/proc/sysrq-trigger", "/dev"])
async def test_nothing_can_be_written_outside_of_the_tree(attack: Attack, kind: str, path: str) -> None:
    if path == "/dev":
        await require_other_user(attack, kind)
    target = path if path == "/proc/sysrq-trigger" else f"{path}/planted"
    assert (await attack(f"echo x > {target}")).exit_code not in {0, 127}


async def test_a_fork_bomb_ends_with_its_time(attack: Attack, host_processes: Find) -> None:
    result = await attack("bomb() { bomb | bomb & }; bomb; sleep 61.5", processes=40, timeout=1.0)
    assert result.duration < 61.5, "before its own end"
    assert host_processes("61.5") == []
    assert host_processes("bomb() { bomb | bomb & }; bomb; sleep 61.5") == []


async def test_forks_that_outrun_the_kill_are_all_dead_after_it(attack: Attack, host_processes: Find) -> None:
    word = f"again-{secrets.token_hex(8)}"
    again = (
        f"import os, sys\nif os.fork(): os._exit(0)\nos.execv(sys.executable, [sys.executable, 'again.py', '{word}'])"
    )
    result = await attack(
        f"cat > again.py <<'END'\n{again}\nEND\nfor n in 1 2 3 4; do python3 again.py {word} & done; sleep 0.5"
    )
    assert result.exit_code == 0
    assert host_processes(word) == []


async def test_a_memory_bomb_of_one_process_ends(attack: Attack) -> None:
    result = await attack(python("held = []\nwhile True: held.append(b'x' * 10_000_000)"), memory=128 * MIB)
    assert not result.ok


async def test_a_memory_bomb_of_many_processes_ends_and_the_worker_lives(attack: Attack) -> None:
    script = "import os, time\nfor _ in range(8): os.fork()\nheld = b'x' * 40_000_000\ntime.sleep(3)"
    result = await attack(python(script), memory=128 * MIB, processes=400, timeout=10.0)
    assert result.killed == "memory limit" or not result.ok or result.timed_out or "MemoryError" in result.output


async def test_a_disk_bomb_of_one_size_ends(attack: Attack, tree: Path) -> None:
    command = "for n in $(seq 1 100); do head -c 20000000 /dev/zero > big$n || exit; done; sleep 30"
    result = await attack(command, tree_size=100 * MIB, timeout=60.0)
    assert (result.killed, result.outcome()) == ("disk limit", "disk limit")
    held = sum(path.stat().st_blocks * 512 for path in tree.iterdir())
    assert held < 1900 * MIB


async def test_a_disk_bomb_of_many_small_files_ends(attack: Attack) -> None:
    script = "n = 0\nwhile True:\n    n += 1\n    open(f'small{n}', 'w').close()"
    result = await attack(python(script), tree_files=2000, timeout=60.0)
    assert result.killed == "disk limit"


async def test_a_disk_bomb_without_a_name_ends(attack: Attack) -> None:
    script = (
        "import os, time\nheld = []\n"
        "for n in range(100):\n"
        "    held.append(open('gone', 'wb')); os.unlink('gone'); held[-1].write(bytes(20_000_000)); held[-1].flush()\n"
        "time.sleep(30)"
    )
    result = await attack(python(script), tree_size=100 * MIB, timeout=60.0)
    assert result.killed == "disk limit"


async def test_after_a_disk_bomb_its_files_can_be_removed(attack: Attack, tree: Path) -> None:
    command = "for n in $(seq 1 100); do head -c 20000000 /dev/zero > big$n || exit; done; sleep 30"
    assert (await attack(command, tree_size=100 * MIB, timeout=60.0)).killed == "disk limit"
    assert (await attack("rm big*; sleep 0.3", tree_size=100 * MIB, timeout=60.0)).ok
    assert list(tree.iterdir()) == []


async def test_an_output_bomb_ends(attack: Attack) -> None:
    result = await attack("yes", timeout=120.0)
    assert result.killed == "output limit"
    assert len(result.output) < 70_000
    assert result.log is not None
    assert Path(result.log).stat().st_size == 4 * MIB


async def test_a_command_that_ignores_every_signal_ends_with_its_time(attack: Attack) -> None:
    script = "import signal, time\n[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 15)]\ntime.sleep(60)"
    assert (await attack(python(script), timeout=0.5)).timed_out


async def test_a_stopped_process_ends_all_the_same(attack: Attack, host_processes: Find) -> None:
    nap = f"600.{secrets.randbelow(10**12):012}"
    assert (await attack(f"sleep {nap} & kill -STOP $!; kill -STOP $$", timeout=0.5)).timed_out
    assert host_processes(nap) == []


async def test_a_folder_that_nobody_may_read_stops_nobody(attack: Attack, tree: Path) -> None:
    command = (
        "mkdir locked && echo x > locked/file && chmod 0 locked; mkdir -p $(printf 'd/%.0s' $(seq 1 500)); sleep 0.2"
    )
    assert (await attack(command, tree_files=600)).exit_code == 0


async def test_a_link_planted_as_a_log_or_in_the_tree_is_not_followed(
    attack: Attack, tree: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("untouched")
    result = await attack(f"ln -s {precious} link; ln -s / root; echo x > link; seq 1 50000", output=100)
    assert precious.read_text() == "untouched"
    assert result.log is not None
    assert not Path(result.log).is_symlink()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
async def test_a_hard_link_to_a_file_of_the_host_cannot_be_made(attack: Attack, tree: Path) -> None:
    result = await attack("ln /etc/hostname stolen; ln /usr/bin/env mine; ls")
    assert "stolen" not in result.output.splitlines()
    assert not (tree / "mine").exists()


async def test_a_disk_bomb_in_a_cache_ends_too(make: Callable[..., Sandbox], tree: Path, tmp_path: Path) -> None:
    sandbox = make(tree_size=100 * MIB)
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    if sandbox.owner is not None:
        os.chown(cache, *sandbox.owner)
    bomb = "for n in $(seq 1 100); do head -c 20000000 /dev/zero > /cache/big$n || exit; done; sleep 30"
    session = await sandbox.open(tree, cache=CacheMount(cache, writable=True))
    result = await session.run(bomb, timeout=60)
    await session.close()
    assert result.killed == "disk limit"


async def test_a_shared_cache_cannot_be_changed(make: Callable[..., Sandbox], tree: Path, tmp_path: Path) -> None:
    sandbox = make()
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o755)
    (cache / "package").write_text("good")
    if sandbox.owner is not None:
        os.chown(cache, *sandbox.owner)
        os.chown(cache / "package", *sandbox.owner)
    session = await sandbox.open(tree, cache=CacheMount(cache, writable=False))
    attacks = "cat $AICD_CACHE/package; echo bad > /cache/package; rm /cache/package; touch /cache/new; mv /cache /work"
    result = await session.run(attacks, timeout=20)
    await session.close()
    assert result.output.startswith("good")
    assert [path.name for path in cache.iterdir()] == ["package"]
    assert (cache / "package").read_text() == "good"
