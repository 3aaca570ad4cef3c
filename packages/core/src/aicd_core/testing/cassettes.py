"""Playing cassettes in tests: an agent, the calls of a job that was recorded once, and no server."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from aicd_core.contracts import Agent
from aicd_core.orchestrator import CodeHosts, Player, Replayed, read_cassette, redaction_of
from aicd_core.settings import Settings


async def play(
    cassette: Path, source: Path, agent: Agent, hosts: CodeHosts, settings: Settings, environment: Mapping[str, str]
) -> Replayed:
    """Has the agent make every result of a cassette again, in a checkout of the repository at `source`.

    Nothing is sent anywhere: what the cassette has no reply to is a difference.

    Args:
        environment: whose secrets are masked, as those of the recording process were.

    Raises:
        InvalidInputError: code `bad_cassette`.
    """
    content = await asyncio.to_thread(cassette.read_bytes)
    read = read_cassette(content, cassette.name, lambda patterns: redaction_of(settings, environment, patterns))
    return await Player(hosts, lambda _: agent, settings, lambda _: None).play(read, str(source))


def require_identical(found: Replayed) -> None:
    """Passes when every result was made again exactly.

    Raises:
        AssertionError: with the first difference: which request or result it is, and where it differs.
    """
    differing = [result for result in found.compared if not result.identical]
    if differing:
        first = differing[0]
        raise AssertionError(
            f"The cassette of job {found.job_id} no longer matches: {first.what}: {first.difference}. If that "
            f"is meant, record it anew. {len(differing)} of {len(found.compared)} differ."
        )
