"""The prompt catalogue: versioned files in, filled prompts out.

A prompt file is Markdown behind a TOML header between two `+++` lines: its name, version, role, and the
variables that it takes. `{{variable}}` marks where a value goes; values are put in once and never read as
template again. A variable is an `int`, a `line` (one printable line of our own making, such as an object
name) or `fenced` (text from outside, which only `aicd_brain.fence` can make): no other kind exists, so raw
outside text cannot be rendered by mistake.
"""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field

from aicd_brain.errors import PromptError
from aicd_brain.fence import Fenced
from aicd_core.contracts import PromptUse

PROMPT_SUFFIX = ".md"
MAX_LINE = 200
"""Longest `line` value, in characters: anything longer is not a line of our own making."""

_HEADER_MARK = "+++\n"
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")


class Role(StrEnum):
    """Who speaks with a prompt."""

    PLANNER = "planner"
    CODER = "coder"
    CRITIC = "critic"


class VariableKind(StrEnum):
    """What may be put in for a variable."""

    INT = "int"
    LINE = "line"
    FENCED = "fenced"

    def accepts(self, value: object) -> bool:
        """True when `value` is of this kind."""
        if self is VariableKind.INT:
            return type(value) is int
        if self is VariableKind.FENCED:
            return isinstance(value, Fenced)
        return type(value) is str and value.isprintable() and 0 < len(value) <= MAX_LINE


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that a prompt takes."""

    name: str
    kind: VariableKind


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = Field(ge=1, strict=True)
    role: Role
    variables: dict[str, VariableKind] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one prompt. `sha256` (hex) is over the bytes of its file, header included."""

    name: str
    version: int
    role: Role
    template: str
    variables: tuple[Variable, ...]
    sha256: str

    def use(self) -> PromptUse:
        """The prompt as the evidence names it."""
        return PromptUse(role=self.role.value, name=self.name, version=self.version, sha256=self.sha256)

    def render(self, **values: int | str) -> str:
        """The prompt with every variable filled in.

        Raises:
            PromptError: a variable is missing, unknown or of the wrong kind; the message names it.
        """
        declared = {variable.name: variable.kind for variable in self.variables}
        if missing := sorted(declared.keys() - values.keys()):
            raise PromptError(f"Prompt {self.name} was not given its variable {', '.join(missing)}.")
        if unknown := sorted(values.keys() - declared.keys()):
            raise PromptError(f"Prompt {self.name} has no variable {', '.join(unknown)}.")
        for name, kind in declared.items():
            if not kind.accepts(values[name]):
                got = type(values[name]).__name__
                raise PromptError(f"Prompt {self.name}: variable {name} must be of kind {kind}, not this {got}.")
        return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), self.template)


def prompt_names() -> tuple[str, ...]:
    """The names of all prompts in this package, sorted."""
    files = (resources.files("aicd_brain") / "prompts").iterdir()
    return tuple(sorted(f.name.removesuffix(PROMPT_SUFFIX) for f in files if f.name.endswith(PROMPT_SUFFIX)))


def load_prompt(name: str) -> Prompt:
    """The prompt of that name, as shipped in this package.

    Raises:
        PromptError: there is none, or its file is wrong.
    """
    known = prompt_names()
    if name not in known:
        raise PromptError(f"There is no prompt {name!r}; there are: {', '.join(known)}.")
    return parse_prompt(name, (resources.files("aicd_brain") / "prompts" / f"{name}{PROMPT_SUFFIX}").read_bytes())


def parse_prompt(name: str, content: bytes) -> Prompt:
    """Reads a prompt file's bytes; `name` is its file name without the suffix.

    Raises:
        PromptError: the header is wrong, or the variables declared are not those used.
    """
    try:
        header_text, template = _split(content.decode())
        header = _Header.model_validate(tomllib.loads(header_text))
    except ValueError as error:
        raise PromptError(f"The header of prompt {name} is wrong: {error}") from error
    if header.name != name:
        raise PromptError(f"Prompt {name} calls itself {header.name!r}: make the header and the file name agree.")
    if odd := sorted(header.variables.keys() ^ set(_PLACEHOLDER.findall(template))):
        raise PromptError(f"Prompt {name}: {', '.join(map(repr, odd))} must be both declared and used.")
    return Prompt(
        name=name,
        version=header.version,
        role=header.role,
        template=template,
        variables=tuple(Variable(variable, kind) for variable, kind in header.variables.items()),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _split(text: str) -> tuple[str, str]:
    before, opening, rest = text.partition(_HEADER_MARK)
    header, closing, template = rest.partition("\n" + _HEADER_MARK)
    if before or not opening or not closing:
        raise ValueError("the file must begin with a line '+++', the header in TOML, and a line '+++'")
    return header, template.strip("\n") + "\n"
