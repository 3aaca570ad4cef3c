"""What an operator may set of the Brain; each field is the environment variable `AICD_<NAME>`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from aicd_core.settings import EnvironmentSettings


class BrainSettings(EnvironmentSettings):
    """Settings of planner, coder and critic. Times are in seconds, sizes in tokens."""

    anthropic_api_key: SecretStr | None = Field(default=None, description="Key of the agent `claude`.")
    anthropic_base_url: str | None = Field(default=None, description="A server that speaks Anthropic's messages API.")
    anthropic_model: str = Field(default="claude-sonnet-5-5", description="The model of the agent `claude`.")
    openai_api_key: SecretStr | None = Field(default=None, description="Key of the agent `openai`.")
    openai_base_url: str | None = Field(
        default=None, description="A server that speaks an API of OpenAI's, to the /v1: vLLM, Ollama, LM Studio."
    )
    openai_model: str = Field(default="gpt-6.1-sol", description="The model of the agent `openai`.")
    openai_api: Literal["responses", "chat"] = Field(
        default="responses", description="Which of OpenAI's APIs is spoken; compatible servers mostly know `chat`."
    )
    planner_model: str | None = Field(default=None, description="Another model for planning.")
    coder_model: str | None = Field(default=None, description="Another model for coding.")
    critic_model: str | None = Field(default=None, description="Another model for reviews.")
    fallback_model: str | None = Field(
        default=None, description="Asked when the first one stays overloaded or away. Of the same vendor."
    )
    prices: Path | None = Field(default=None, description="A price table that adds to the one shipped (TOML).")
    model_max_output: int = Field(default=16_000, ge=256, description="The longest answer asked for.")
    model_context: int = Field(
        default=150_000, ge=4_000, description="A longer history of a conversation is compacted."
    )
    model_stall: float = Field(default=120, gt=0, description="A call without a byte for so long has failed.")
    model_attempts: int = Field(default=5, ge=1, le=20, description="Times that a model is asked, failures included.")
    model_retry_longest: float = Field(
        default=60, gt=0, description="The longest wait between two attempts; who asks for more has failed."
    )
    coder_turns: int = Field(default=200, ge=1, description="Calls of the model in one round of coding.")
    planner_turns: int = Field(default=40, ge=1, description="Calls of the model for one plan.")
