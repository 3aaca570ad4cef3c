"""The agent `openai`."""

from aicd_brain.agents.brain import BrainAgent
from aicd_brain.models.access import Access
from aicd_brain.models.openai_client import ChatProvider, ResponsesProvider
from aicd_brain.models.provider import Provider
from aicd_brain.settings import BrainSettings


class OpenAIAgent(BrainAgent):
    """Plans, codes and reviews with OpenAI's models, or those of any server that speaks one of its APIs."""

    def __init__(self) -> None:
        settings = BrainSettings.load()
        super().__init__(settings, connect, settings.openai_model)


def connect(settings: BrainSettings) -> Provider:
    key, base_url = settings.openai_api_key, settings.openai_base_url
    access = Access("AICD_OPENAI_API_KEY", key, base_url, settings.model_stall)
    return ChatProvider(access) if settings.openai_api == "chat" else ResponsesProvider(access)
