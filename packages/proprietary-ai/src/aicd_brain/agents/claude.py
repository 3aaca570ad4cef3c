"""The agent `claude`."""

from aicd_brain.agents.brain import BrainAgent
from aicd_brain.models.access import Access
from aicd_brain.models.anthropic_client import AnthropicProvider
from aicd_brain.settings import BrainSettings


class ClaudeAgent(BrainAgent):
    """Plans, codes and reviews with Anthropic's models, or whatever speaks their messages API."""

    def __init__(self) -> None:
        settings = BrainSettings.load()
        super().__init__(settings, connect, settings.anthropic_model)


def connect(settings: BrainSettings) -> AnthropicProvider:
    key, base_url = settings.anthropic_api_key, settings.anthropic_base_url
    return AnthropicProvider(Access("AICD_ANTHROPIC_API_KEY", key, base_url, settings.model_stall))
