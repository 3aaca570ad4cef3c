"""What a request says, held against the SDK's own typed parameters: all else is refused."""

import re
import types
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from stripe import RequestOptions
from typing_extensions import is_typeddict

_OPTIONS = frozenset(RequestOptions.__annotations__)
"""What the SDK takes among the parameters and never sends."""
_KEY = re.compile(r"[^\[\]]+")


class Wrong(Exception):  # noqa: N818 - it is Stripe's answer
    """An error that Stripe answers with (https://docs.stripe.com/api/errors)."""

    def __init__(self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param

    def body(self) -> dict[str, Any]:
        kinds = {409: "idempotency_error", 429: "rate_limit_error"}
        kind = "api_error" if self.status >= 500 else kinds.get(self.status, "invalid_request_error")
        told = {"type": kind, "message": str(self), "code": self.code, "param": self.param}
        return {"error": {name: value for name, value in told.items() if value is not None}}


def decode(form: str) -> dict[str, Any]:
    """Form-encoded parameters as a tree: `a[b][0]=c` is {"a": {"b": {"0": "c"}}}."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(form, keep_blank_values=True, strict_parsing=bool(form)):
        *path, last = _KEY.findall(key)
        place = tree
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise Wrong(f"Invalid parameter: {key}", param=key)
        place[last] = value
    return tree


def check(kind: type, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the types that they have in the SDK.

    Raises:
        Wrong: one is unknown, missing or of another type.
    """
    found: dict[str, Any] = _dictionary(kind, dict(sent), "", top=True)
    return found


def _dictionary(kind: Any, sent: Any, name: str, *, top: bool = False) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise Wrong(f"Invalid object: {name}", param=name)
    hints = _hints(kind)
    known = {key: hint for key, hint in hints.items() if not (top and key in _OPTIONS)}
    for key in sent:
        if key not in known:
            full = _full(name, key)
            raise Wrong(f"Received unknown parameter: {full}", code="parameter_unknown", param=full)
    for key, hint in known.items():
        if get_origin(hint) is not NotRequired and key not in sent:
            full = _full(name, key)
            raise Wrong(f"Missing required param: {full}.", code="parameter_missing", param=full)
    return {key: _value(known[key], value, _full(name, key)) for key, value in sent.items()}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    # What a client takes besides the parameters has its types' names in another module.
    return get_type_hints(kind, localns={"StripeContext": object, "Mapping": Mapping}, include_extras=True)


def _full(name: str, key: str) -> str:
    return f"{name}[{key}]" if name else key


def _value(hint: Any, sent: Any, name: str) -> Any:
    origin = get_origin(hint)
    if origin in (NotRequired, Required):
        return _value(get_args(hint)[0], sent, name)
    if origin in (Union, types.UnionType):
        return _any_of(get_args(hint), sent, name)
    if origin is Literal:
        if sent not in get_args(hint):
            raise Wrong(f"Invalid {name}: must be one of {', '.join(map(str, get_args(hint)))}", param=name)
        return sent
    if origin is list:
        if not isinstance(sent, dict) or [*sent] != [str(n) for n in range(len(sent))]:
            raise Wrong(f"Invalid array: {name}", param=name)
        return [_value(get_args(hint)[0], part, f"{name}[{at}]") for at, part in sent.items()]
    if origin is dict:
        if not isinstance(sent, dict):
            raise Wrong(f"Invalid hash: {name}", param=name)
        return {key: _value(get_args(hint)[1], part, _full(name, key)) for key, part in sent.items()}
    if is_typeddict(hint):
        return _dictionary(hint, sent, name)
    return _plain(hint, sent, name)


def _any_of(options: tuple[Any, ...], sent: Any, name: str) -> Any:
    literals = [option for option in options if get_origin(option) is Literal and get_args(option) != ("",)]
    # `Literal[…] | str` is for values that a later version of the API has; this one takes those that are named.
    known = [option for option in options if not (literals and option is str)]
    fault: Wrong | None = None
    for option in known:
        try:
            return _value(option, sent, name)
        except Wrong as wrong:
            fault = wrong
    raise fault or Wrong(f"Invalid {name}", param=name)


def _plain(hint: Any, sent: Any, name: str) -> Any:
    if isinstance(sent, str):
        if hint is str:
            return sent
        if hint is bool and sent in {"true", "false"}:
            return sent == "true"
        if hint is int and re.fullmatch(r"-?[0-9]{1,18}", sent):
            return int(sent)
        if hint in (float, Decimal):
            try:
                return hint(sent)
            except (ValueError, InvalidOperation):
                pass
    raise Wrong(f"Invalid {getattr(hint, '__name__', 'value')}: {name}", code="parameter_invalid", param=name)
