"""Whole jobs with a scripted model server: real SDKs, database, sandbox and git."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from aicd_brain.agents import claude, openai
from aicd_brain.agents.brain import BrainAgent
from aicd_brain.settings import BrainSettings
from aicd_brain.testing.models import ModelServer, serving
from aicd_brain.testing.scripts import Script
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.orchestrator import JobReport
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from conftest import Body
from histories import make_greeting

KEY = "a-key-of-the-tests"
CLAUDE, GPT = "claude-sonnet-5-5", "gpt-6.1-sol"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_greeting(tmp_path / "source")


@pytest.fixture
def body(database: Database, system: SystemDatabase, tenant: Tenant, tmp_path: Path) -> Body:
    return Body(database, system, tenant, Settings(data_dir=tmp_path / "data", command_timeout=60))


@dataclass
class Stage:
    """Runs jobs with an agent whose model is a scripted server."""

    body: Body
    source: Path
    server: ModelServer
    agent: BrainAgent

    async def run(self, issue: str = "Greet the world") -> JobReport:
        self.body.agents = lambda name: self.agent
        return await self.body.run(self.source, issue)


Play = Callable[..., Stage]


@pytest.fixture
def play(body: Body, source: Path, tmp_path: Path) -> Iterator[Play]:
    """`play(script, api="anthropic", **settings)` is a stage with a server of its own."""
    with ExitStack() as stack:

        def begin(script: Script, api: str = "anthropic", **settings: Any) -> Stage:
            server = stack.enter_context(serving(script, tmp_path / "model"))
            return Stage(body, source, server, agent_for(server, api, **settings))

        yield begin


def agent_for(server: ModelServer, api: str, **settings: Any) -> BrainAgent:
    quick = {"model_retry_longest": 0.05, "model_stall": 5.0, **settings}
    if api == "anthropic":
        given = {"anthropic_base_url": server.url, "anthropic_api_key": SecretStr(KEY), **quick}
        return BrainAgent(BrainSettings(**given), claude.connect, CLAUDE)
    given = {"openai_base_url": f"{server.url}/v1", "openai_api_key": SecretStr(KEY), "openai_api": api, **quick}
    return BrainAgent(BrainSettings(**given), openai.connect, GPT)
