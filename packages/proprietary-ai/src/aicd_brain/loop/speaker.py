"""Who asks the model for one role: its words, its model, its way out."""

from dataclasses import dataclass

from aicd_brain.catalogue import Prompt
from aicd_brain.models.gateway import Answer, Gateway
from aicd_brain.models.messages import Message, Request, ToolSpec


@dataclass(frozen=True)
class Speaker:
    """Asks one model with one system prompt.

    Args:
        context: tokens of a conversation above which it is compacted.
        max_output: tokens of one answer.
        cache_key: the same for all requests of a role in a job.
    """

    gateway: Gateway
    model: str
    system: Prompt
    max_output: int
    context: int
    cache_key: str

    async def ask(
        self, messages: tuple[Message, ...], tools: tuple[ToolSpec, ...], prompts: tuple[Prompt, ...]
    ) -> Answer:
        """The model's answer. `prompts` are those that the messages were made from."""
        used = tuple(prompt.use() for prompt in (self.system, *prompts))
        system = self.system.template
        return await self.gateway.ask(
            Request(self.model, system, tools, messages, self.max_output, self.cache_key, used)
        )
