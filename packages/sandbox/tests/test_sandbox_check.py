import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aicd_core.contracts import Sandbox, SandboxLimits
from aicd_core.errors import UnavailableError
from aicd_sandbox import BubblewrapSandbox, ContainerSandbox, seccomp
from aicd_sandbox.diagnosis import Restrictions, explain, read_restrictions
from aicd_sandbox.programs import find_programs, parse_version


@pytest.fixture(params=["bubblewrap"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


FREE = Restrictions(no_user_namespaces=False, debian_switch_off=False, apparmor=False, in_container=False)


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


async def refusal(limits: SandboxLimits, path: str) -> str:
    with pytest.raises(UnavailableError) as caught:
        await BubblewrapSandbox(limits, path=path).check()
    assert caught.value.code == "sandbox_unavailable"
    return caught.value.message


async def test_a_check_starts_a_sandbox_and_tells_what_it_is(sandbox: Sandbox) -> None:
    line = await sandbox.check()
    version = find_programs(None).version_text
    uid = sandbox.owner[0] if sandbox.owner else os.getuid()
    assert line.startswith(f"bubblewrap {version}, as uid {uid}")


async def test_without_bubblewrap_the_check_says_how_to_install_it(limits: SandboxLimits, tmp_path: Path) -> None:
    message = await refusal(limits, str(tmp_path))
    assert "sudo apt-get install bubblewrap" in message


async def test_without_a_check_a_run_refuses_just_the_same(limits: SandboxLimits, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="apt-get install bubblewrap"):
        await BubblewrapSandbox(limits, path=str(tmp_path)).open(tmp_path)


async def test_an_old_bubblewrap_is_refused(limits: SandboxLimits, tmp_path: Path) -> None:
    script(tmp_path, "bwrap", "echo bubblewrap 0.4.1")
    message = await refusal(limits, str(tmp_path))
    assert "bubblewrap 0.4.1" in message
    assert "0.5.0 or newer" in message


async def test_something_else_called_bwrap_is_refused(limits: SandboxLimits, tmp_path: Path) -> None:
    script(tmp_path, "bwrap", "echo candy")
    assert "it said: 'candy'" in await refusal(limits, str(tmp_path))


@pytest.mark.parametrize("missing", ["setpriv", "prlimit"])
async def test_without_a_helper_the_check_names_it(limits: SandboxLimits, tmp_path: Path, missing: str) -> None:
    (tmp_path / "bwrap").symlink_to("/usr/bin/bwrap")
    message = await refusal(limits, str(tmp_path))
    assert "setpriv" in message
    assert "sudo apt-get install util-linux" in message
    script(tmp_path, missing, "exit 0")
    if missing == "setpriv":
        assert f"the one found is {tmp_path}/setpriv" in await refusal(limits, str(tmp_path))


async def test_a_bubblewrap_that_may_not_make_namespaces_is_explained(limits: SandboxLimits, tmp_path: Path) -> None:
    complaint = "bwrap: No permissions to create a new namespace"
    script(tmp_path, "bwrap", f'[ "$1" = --version ] && echo bubblewrap 0.8.0 && exit; echo "{complaint}" >&2; exit 1')
    message = await refusal(limits, f"{tmp_path}:/usr/bin")
    assert f"could not be started ({complaint})" in message


async def test_without_libseccomp_the_check_says_how_to_install_it(
    limits: SandboxLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    seccomp.filter_program.cache_clear()
    with pytest.raises(UnavailableError, match="sudo apt-get install libseccomp2"):
        await BubblewrapSandbox(limits).check()


async def test_without_an_engine_the_container_says_what_to_do(
    limits: SandboxLimits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="AICD_SANDBOX=podman is not installed"):
        await ContainerSandbox(limits, engine="podman", image="none").check()


async def test_an_engine_without_the_image_says_how_to_get_it(
    limits: SandboxLimits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script(tmp_path, "podman", 'if [ "$1" = version ]; then echo 5.0; else echo no such image >&2; exit 1; fi')
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"no such image.*Type `podman pull example/none`"):
        await ContainerSandbox(limits, engine="podman", image="example/none").check()


async def test_a_helper_that_fails_is_not_taken_for_the_command(limits: SandboxLimits, tmp_path: Path) -> None:
    text = 'if [ "$1" != --version ]; then echo "setpriv: setresuid failed" >&2; exit 127; fi; echo bubblewrap 0.8.0'
    script(tmp_path, "bwrap", text)
    sandbox = BubblewrapSandbox(limits, path=f"{tmp_path}:/usr/bin")
    with pytest.raises(UnavailableError, match="setresuid failed"):
        await sandbox.open(tmp_path)


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("no_user_namespaces", "sudo sysctl -w user.max_user_namespaces=15000"),
        ("debian_switch_off", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("apparmor", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        ("in_container", "--cap-add SYS_ADMIN"),
    ],
)
def test_each_restriction_has_its_way_out(field: str, typed: str) -> None:
    message = explain("bwrap: Operation not permitted", replace(FREE, **{field: True}), is_root=False)
    assert typed in message
    assert "Operation not permitted" in message


def test_settings_of_user_namespaces_are_no_matter_to_root() -> None:
    restrictions = replace(FREE, no_user_namespaces=True, debian_switch_off=True, apparmor=True)
    assert "sysctl" not in explain("bwrap: Operation not permitted", restrictions, is_root=True)


def test_restrictions_are_read_from_the_kernels_settings(tmp_path: Path) -> None:
    for name, value in {
        "user/max_user_namespaces": "0\n",
        "kernel/unprivileged_userns_clone": "0\n",
        "kernel/apparmor_restrict_unprivileged_userns": "1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value)
    read = read_restrictions(tmp_path)
    assert (read.no_user_namespaces, read.debian_switch_off, read.apparmor) == (True, True, True)
    absent = read_restrictions(tmp_path / "none")
    assert (absent.no_user_namespaces, absent.debian_switch_off, absent.apparmor) == (False, False, False)


@pytest.mark.parametrize(
    ("text", "version"),
    [("bubblewrap 0.8.0\n", (0, 8, 0)), ("bubblewrap 0.11", (0, 11, 0)), ("candy", None), ("", None)],
)
def test_a_version_is_read(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version
