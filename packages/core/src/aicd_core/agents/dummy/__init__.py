"""The agent without a model: it carries out an issue that spells out its own change as diffs."""

from aicd_core.agents.dummy.agent import DummyAgent

__all__ = ["DummyAgent"]
