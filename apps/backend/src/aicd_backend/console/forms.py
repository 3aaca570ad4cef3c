"""What a page's form sends, and the token by which we know it as a form of ours."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs

from fastapi import Depends
from pydantic import ValidationError
from starlette.requests import Request

from aicd_backend.bodies import Body
from aicd_backend.callers import Caller
from aicd_backend.problems import RefusedError
from aicd_core.contracts.usage import MICRO_USD
from aicd_core.errors import InvalidInputError

BodyT = TypeVar("BodyT", bound=Body)
TOKEN = "csrf_token"  # noqa: S105 - the field's name
FIELDS_MOST = 200
MONEY_MOST = 10**9
"""US dollars that a form takes."""
FORGED = (403, "form_refused", "This form is not of your present login. Load its page again, and send it from there.")


@dataclass(frozen=True)
class Form:
    """A form's fields by name; line ends are line feeds."""

    fields: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str:
        """A field without the white space around it; '' when it is not there."""
        return self.fields.get(name, ("",))[0].strip()

    def choices(self, name: str) -> Sequence[str]:
        """All values of a field that may be chosen several times."""
        return self.fields.get(name, ())

    def ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.text(name))

    def number(self, name: str, label: str) -> int | None:
        """A whole number; None when nothing is typed.

        Raises:
            InvalidInputError: it is none.
        """
        text = self.text(name)
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise InvalidInputError(f"{label} is a whole number, such as 12.", code="bad_number")
        return int(text)

    def money(self, name: str, label: str) -> int | None:
        """US dollars as micro-USD; None when nothing is typed.

        Raises:
            InvalidInputError: it is no amount.
        """
        text = self.text(name).removeprefix("$").replace(",", "")
        if not text:
            return None
        whole, _, part = text.partition(".")
        digits = (whole + part).isascii() and (whole + part).isdigit()
        if not digits or len(part) > 6 or int(whole or "0") > MONEY_MOST:
            raise InvalidInputError(f"{label} is an amount in US dollars, such as 2.50.", code="bad_amount")
        return int(whole or "0") * MICRO_USD + int(part.ljust(6, "0"))

    def revision(self) -> int:
        """The revision of the thing that the form was made of.

        Raises:
            InvalidInputError: the form has none.
        """
        found = self.number("revision", "The revision")
        if found is None:
            raise InvalidInputError("The form has lost its revision. Load the page again.", code="bad_form")
        return found


def body_of(kind: type[BodyT], **fields: Any) -> BodyT:
    """What a route takes, made of what was typed: within the bounds that the API has.

    Raises:
        InvalidInputError: `bad_field`.
    """
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", " ").capitalize()
        raise InvalidInputError(f"{name}: {first['msg']}.", code="bad_field") from error


def token_of(credential: str) -> str:
    """The token that the forms of a login carry. It is made of what only that login's browser has."""
    return hmac.digest(credential.encode(), b"aicd console forms v1", "sha256").hex()


async def read_form(request: Request) -> Form:
    """The form that a request carries.

    Raises:
        RefusedError: it is no form.
    """
    try:
        body = (await request.body()).decode()
        fields = parse_qs(body, keep_blank_values=True, max_num_fields=FIELDS_MOST, errors="strict")
    except ValueError as error:
        raise RefusedError(400, "bad_form", "That is no form of ours. Load its page again.") from error
    return Form({name: [value.replace("\r\n", "\n") for value in values] for name, values in fields.items()})


async def _posted(request: Request) -> Form:
    form, caller = await read_form(request), request.state.caller
    assert isinstance(caller, Caller)
    if not hmac.compare_digest(form.text(TOKEN).encode(), token_of(caller.credential).encode()):
        raise RefusedError(*FORGED)
    return form


Posted = Annotated[Form, Depends(_posted)]
"""Parameter of a page that takes a form. Raises `RefusedError`: 403 for a form of another login, or of another site."""
