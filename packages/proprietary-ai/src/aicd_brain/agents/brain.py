"""Planner, coder and critic behind the contract `Agent`, whoever the vendor is."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aicd_brain.catalogue import Role, load_prompt
from aicd_brain.loop.speaker import Speaker
from aicd_brain.models.gateway import Gateway
from aicd_brain.models.prices import PriceTable
from aicd_brain.models.provider import Provider
from aicd_brain.models.retries import Patience
from aicd_brain.retrieval.retriever import IndexedSearch
from aicd_brain.retriever import OpenRetriever
from aicd_brain.roles import coder, critic, planner
from aicd_brain.settings import BrainSettings
from aicd_core.contracts import AgentSession, Change, Evidence, Feedback, Plan, Review, Task, Workspace


class BrainAgent:
    """An `Agent` on one vendor's models.

    Args:
        connect: makes the provider; it is closed at the end of each step.
        model: the model of every role that has none of its own in the settings.
        retriever: finds code for the planner.
    """

    def __init__(
        self,
        settings: BrainSettings,
        connect: Callable[[BrainSettings], Provider],
        model: str,
        retriever: OpenRetriever = IndexedSearch,
    ) -> None:
        self._settings = settings
        self._connect = connect
        own = {
            Role.PLANNER: settings.planner_model,
            Role.CODER: settings.coder_model,
            Role.CRITIC: settings.critic_model,
        }
        self._models = {role: name or model for role, name in own.items()}
        self._retriever = retriever

    async def plan(self, task: Task, errors: tuple[str, ...], workspace: Workspace, session: AgentSession) -> Plan:
        async with self._speaking(Role.PLANNER, task, session) as speaker:
            turns = self._settings.planner_turns
            return await planner.plan(speaker, task, errors, workspace, self._retriever(session), turns)

    async def code(
        self, task: Task, plan: Plan, feedback: Feedback | None, workspace: Workspace, session: AgentSession
    ) -> Change:
        async with self._speaking(Role.CODER, task, session) as speaker:
            return await coder.code(speaker, task, plan, feedback, workspace, self._settings.coder_turns)

    async def review(self, task: Task, plan: Plan, evidence: Evidence, session: AgentSession) -> Review:
        async with self._speaking(Role.CRITIC, task, session) as speaker:
            return await critic.review(speaker, task, plan, evidence)

    @asynccontextmanager
    async def _speaking(self, role: Role, task: Task, session: AgentSession) -> AsyncIterator[Speaker]:
        """Someone who asks the role's model, until the end of the block."""
        settings, provider = self._settings, self._connect(self._settings)
        prices, model = PriceTable.load(settings.prices), self._models[role]
        prices.of(model)
        patience = Patience(settings.model_attempts, settings.model_retry_longest)
        try:
            yield Speaker(
                gateway=Gateway(provider, prices, session, patience, settings.fallback_model),
                model=model,
                system=load_prompt(role.value),
                max_output=settings.model_max_output,
                context=settings.model_context,
                cache_key=f"{role.value}-{task.job_id}",
            )
        finally:
            await provider.close()
