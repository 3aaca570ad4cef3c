"""When a tree's sandbox begins and ends, and what each phase may."""

from pathlib import Path
from typing import Any

import pytest

from aicd_core.contracts import Denial, Phase
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId
from aicd_github.checkout import GitCheckout
from aicd_github.local.host import LocalCodeHost

DENIAL = Denial(host="evil.test", port=443, reason="the host is not on the allow-list")


@pytest.fixture
async def checkout(repo: Any, data_dir: Path, sandbox: Any, job_id: JobId) -> GitCheckout:
    return await opened(repo, data_dir, sandbox, job_id)


async def opened(repo: Any, data_dir: Path, sandbox: Any, job_id: JobId) -> GitCheckout:
    host = LocalCodeHost(str(repo.path), data_dir, sandbox, 60, caches=data_dir / "caches" / "org")
    return await host.open(job_id, (await host.resolve_base(None)).sha)


async def test_no_sandbox_is_opened_before_the_first_command_and_one_serves_many(
    checkout: GitCheckout, sandbox: Any
) -> None:
    assert sandbox.sessions == []
    await checkout.workspace.run("true")
    await checkout.workspace.run("true")
    assert len(sandbox.sessions) == 1


async def test_a_tree_laid_anew_gets_a_new_sandbox(checkout: GitCheckout, sandbox: Any) -> None:
    await checkout.workspace.run("true")
    await checkout.restore(None)
    assert not sandbox.sessions[0].alive
    await checkout.workspace.run("true")
    await checkout.workspace.reset()
    assert [session.alive for session in sandbox.sessions] == [False, False]


async def test_the_end_of_a_step_ends_the_sandbox_and_the_next_command_begins_another(
    checkout: GitCheckout, sandbox: Any
) -> None:
    await checkout.workspace.run("true")
    await checkout.close_sandbox()
    assert not sandbox.sessions[0].alive
    assert (await checkout.workspace.run("true")).ok


async def test_a_sandbox_that_a_command_brought_down_is_replaced(checkout: GitCheckout, sandbox: Any) -> None:
    await checkout.workspace.run("true")
    sandbox.sessions[0].alive = False
    assert (await checkout.workspace.run("true")).ok
    assert len(sandbox.sessions) == 2


async def test_only_the_hosts_of_the_phase_are_handed_on_and_only_when_asked_for(
    checkout: GitCheckout, sandbox: Any
) -> None:
    await checkout.enter(Phase.SETUP, ("pypi.org",))
    await checkout.workspace.run("true")
    await checkout.workspace.run("true", network=True)
    assert sandbox.sessions[0].hosts == [(), ("pypi.org",)]
    await checkout.enter(Phase.CODING, ())
    with pytest.raises(InvalidInputError, match=r"network\.coding") as caught:
        await checkout.workspace.run("true", network=True)
    assert caught.value.code == "network_refused"


async def test_denials_are_gathered_until_the_tree_is_laid_anew(checkout: GitCheckout, sandbox: Any) -> None:
    sandbox.refuses = (DENIAL,)
    await checkout.enter(Phase.CODING, ("pypi.org",))
    for _ in range(2):
        await checkout.workspace.run("true", network=True)
    assert checkout.denials == (DENIAL,)
    await checkout.restore(None)
    assert checkout.denials == ()


async def test_set_up_fills_a_cache_that_later_jobs_read(
    repo: Any, data_dir: Path, sandbox: Any, job_id: JobId, checkout: GitCheckout
) -> None:
    assert (await checkout.workspace.run("echo cache: $AICD_CACHE")).output == "cache:\n"
    await checkout.enter(Phase.SETUP, ())
    await checkout.workspace.run("echo downloaded > $AICD_CACHE/package")
    await checkout.keep_cache()
    await checkout.workspace.run("echo poisoned > $AICD_CACHE/package")
    await checkout.close_sandbox()
    later = await opened(repo, data_dir, sandbox, job_id)
    assert (await later.workspace.run("cat $AICD_CACHE/package")).output == "downloaded\n"
    assert not sandbox.sessions[-1].cache.writable


async def test_coding_keeps_nothing_in_the_cache(checkout: GitCheckout, data_dir: Path) -> None:
    await checkout.workspace.run("true")
    await checkout.keep_cache()
    await checkout.close_sandbox()
    assert list((data_dir / "caches").rglob("current")) == []
