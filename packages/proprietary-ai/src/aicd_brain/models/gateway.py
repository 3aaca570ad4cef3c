"""The one door to a model: every call is journaled, paid from the budget, tried again, and counted."""

import json
from dataclasses import dataclass
from typing import Any

from aicd_brain.models.messages import Reply, Request, Tokens
from aicd_brain.models.prices import PriceTable
from aicd_brain.models.provider import PASSING, Fault, Provider, ProviderError, Wire
from aicd_brain.models.retries import Patience, insist
from aicd_core.contracts import AgentSession, Left, ModelReply, ModelRequest, Usage
from aicd_core.errors import StepFailedError, UnavailableError

CODES = {
    Fault.RATE_LIMITED: "model_rate_limited",
    Fault.OVERLOADED: "model_overloaded",
    Fault.UNREACHABLE: "model_unreachable",
    Fault.CUT_OFF: "model_cut_off",
}
"""Of the faults that may pass, where they did not."""


@dataclass(frozen=True)
class Answer:
    """What came of a call: a reply, or None when the conversation was too long for the model.

    `left` is what the step could still use when the reply came. It is kept with the reply, so that whatever is made of
    it is made again when the step is repeated.
    """

    reply: Reply | None
    left: Left


@dataclass(frozen=True)
class Gateway:
    """Calls models of one provider for one step.

    Args:
        fallback: the model that is asked when the first one stays away.
    """

    provider: Provider
    prices: PriceTable
    session: AgentSession
    patience: Patience
    fallback: str | None = None

    async def ask(self, request: Request) -> Answer:
        """The answer to a request, from the journal if it was given before.

        Raises:
            UnavailableError: the model cannot be reached, is overloaded, or refuses the key.
            StepFailedError: code `model_request_refused`.
            LimitReachedError: it could cost more than is left.
        """
        body = self.provider.body(request)
        content = canonical(body)
        worst = max(self.prices.worst_case(model, len(content), request.max_output) for model in self._models(request))
        name = self.provider.name
        call = ModelRequest(model=request.model, content=content, prompts=request.prompts, provider=name)
        kept = await self.session.journal.call(call, _Sending(self, body, self._models(request)).run, worst_case=worst)
        stored = json.loads(kept.content)
        reply = self.provider.reply(stored["reply"]) if stored["reply"] is not None else None
        return Answer(reply, Left.model_validate(stored["left"]))

    def _models(self, request: Request) -> tuple[str, ...]:
        """The models that may answer, in the order in which they are asked."""
        if self.fallback is None or self.fallback == request.model:
            return (request.model,)
        return (request.model, self.fallback)


class _Sending:
    """One call on its way. `lost` is what attempts cost that came to nothing."""

    def __init__(self, gateway: Gateway, body: Wire, models: tuple[str, ...]) -> None:
        self._gateway = gateway
        self._body = body
        self._models = models
        self._lost = Usage()

    async def run(self) -> ModelReply:
        gateway = self._gateway
        try:
            for model in self._models[:-1]:
                try:
                    return await self._ask(model)
                except ProviderError as error:
                    if error.fault not in PASSING:
                        raise
                    gateway.session.emit(f"{model} does not answer; asking {self._models[-1]} instead")
            return await self._ask(self._models[-1])
        except ProviderError as error:
            if error.fault is Fault.TOO_LONG:
                return self._kept(self._models[0], None, self._lost)
            if self._lost != Usage():
                gateway.session.spend(self._lost)
            raise _explained(error, self._models) from error

    async def _ask(self, model: str) -> ModelReply:
        provider, prices = self._gateway.provider, self._gateway.prices

        async def once() -> Wire:
            try:
                return await provider.send({**self._body, "model": model})
            except ProviderError as error:
                if error.tokens != Tokens():
                    self._lost += prices.usage(model, error.tokens)
                raise

        def waiting(error: ProviderError, seconds: float) -> None:
            self._gateway.session.emit(f"{model}: {error}; trying again in {seconds:.0f} s")

        wire = await insist(once, self._gateway.patience, waiting)
        return self._kept(model, wire, self._lost + prices.usage(model, provider.reply(wire).tokens))

    def _kept(self, model: str, wire: Wire | None, usage: Usage) -> ModelReply:
        left = self._gateway.session.left.model_dump(mode="json")
        return ModelReply(content=canonical({"model": model, "reply": wire, "left": left}), usage=usage)


def canonical(value: Any) -> bytes:
    """JSON as the same bytes each time."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _explained(error: ProviderError, models: tuple[str, ...]) -> Exception:
    """The error as whoever runs the job reads it."""
    who = " and ".join(models)
    match error.fault:
        case Fault.KEY_REFUSED:
            return UnavailableError(
                f"The vendor of {who} refuses the key: {error.detail}. Set the variable of the key anew; the job goes "
                "on from the call before.",
                code="model_key_refused",
            )
        case Fault.REQUEST_REFUSED:
            return StepFailedError(
                f"The vendor of {who} refuses the request: {error.detail}. See that the model's name, the base URL and "
                "AICD_OPENAI_API fit each other.",
                code="model_request_refused",
            )
        case _:
            return UnavailableError(
                f"{who} gave no answer: {error}. The job goes on from the call before when it is tried again.",
                code=CODES[error.fault],
            )
