"""The Brain's own faults."""

from aicd_core.errors import AicdError, ErrorKind


class PromptError(AicdError):
    """A prompt file, or the code that fills one, is wrong: our own bug, never the caller's input."""

    kind = ErrorKind.INTERNAL
    default_code = "prompt_invalid"
