"""`.aicd.yml` from its bytes."""

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from aicd_core.contracts.config import (
    COMMAND_PATTERN,
    FOLDER_PATTERN,
    GLOB_PATTERN,
    HOST_PATTERN,
    LICENCE_PATTERN,
    RULE_ID_PATTERN,
    RepositoryConfig,
)
from aicd_core.errors import InvalidInputError
from aicd_core.repo_config.yaml_tree import Path, Plain, Tree, YamlFaultError, read_tree
from aicd_core.text import one_line

FILE_NAME = ".aicd.yml"
MAX_BYTES = 64 * 1024
MAX_SHOWN = 5
"""Faults told at once; one typing error can make many."""


def parse_repository_config(text: bytes) -> RepositoryConfig:
    """The settings in a `.aicd.yml`; an empty file gives the defaults.

    Raises:
        InvalidInputError: code `invalid_config`; each fault with its line and key, one per line of the message.
    """
    tree = _read(text)
    if tree.value is None:
        return RepositoryConfig()
    faults = [
        _sentence(tree.line_of(path), path, "this has no value; give one, or take the key out")
        for path in _empty_keys(tree.value)
    ]
    if faults:
        raise _invalid(faults)
    try:
        # Through JSON: strict there means that text is no number, yet a list may become a tuple.
        return RepositoryConfig.model_validate_json(json.dumps(tree.value), strict=True)
    except ValidationError as error:
        in_order = sorted(error.errors(), key=lambda details: tree.line_of(details["loc"]) or 0)
        raise _invalid([_describe(tree, details) for details in in_order]) from error


def _read(text: bytes) -> Tree:
    if len(text) > MAX_BYTES:
        raise _invalid([_sentence(None, (), f"the file has {len(text):,} bytes; at most {MAX_BYTES:,} are read")])
    try:
        return read_tree(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise _invalid([_sentence(line, (), "this is not UTF-8; save the file as UTF-8")]) from error
    except YamlFaultError as error:
        raise _invalid([_sentence(error.line, error.path, error.fault)]) from error


def _invalid(faults: list[str]) -> InvalidInputError:
    rest = len(faults) - MAX_SHOWN
    more = [f"And {rest} more of that kind."] if rest > 0 else []
    return InvalidInputError("\n".join([*faults[:MAX_SHOWN], *more]), code="invalid_config")


def _sentence(line: int | None, path: Path, fault: str) -> str:
    where = FILE_NAME if line is None else f"{FILE_NAME} line {line}"
    key = f", key {_key(path)}" if path else ""
    end = "" if fault.endswith("?") else "."
    # A key or a tag may hold anything that YAML can escape, a terminal's control sequences among it.
    return one_line(f"{where}{key}: {fault}{end}", 500)


def _key(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _empty_keys(value: Plain, path: Path = ()) -> list[Path]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in _empty_keys(inner, (*path, key))]
    if isinstance(value, list):
        return [found for index, inner in enumerate(value) for found in _empty_keys(inner, (*path, index))]
    return [path] if value is None else []


def _describe(tree: Tree, details: ErrorDetails) -> str:
    path: Path = tuple(details["loc"])
    if details["type"] == "extra_forbidden":
        return _sentence(tree.line_of(path), path, _unknown(path))
    say = _FAULTS.get(details["type"])
    return _sentence(tree.line_of(path), path, details["msg"] if say is None else say(details.get("ctx", {})))


def _unknown(path: Path) -> str:
    known = list(_model_at(path[:-1]).model_fields)
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the keys here are {', '.join(known)}"
    return f"there is no such key; {hint}"


def _model_at(path: Path) -> type[BaseModel]:
    model: type[BaseModel] = RepositoryConfig
    for name in path:
        if isinstance(name, int):
            continue  # an entry of a list, whose model the list's key has led to
        annotation: Any = model.model_fields[str(name)].annotation
        model = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
    return model


_PATTERNS = {
    COMMAND_PATTERN: "this must be a command: not blank, and without NUL characters",
    RULE_ID_PATTERN: "this must begin with a small letter and have only small letters, digits, _ and -",
    LICENCE_PATTERN: "this must be an SPDX identifier, or the beginning of some with a * behind it",
    HOST_PATTERN: "this must be a host's name in lower case, like pypi.org or *.example.com; no address, no port",
    FOLDER_PATTERN: "this must be a folder's path from the root, like packages/web, without patterns, . and ..",
    GLOB_PATTERN: "this must be a path pattern with *, ?, ** and /, without !, #, [ ] and \\",
}

_FAULTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "float_type": lambda _: "this must be a number",
    "finite_number": lambda _: "this must be a finite number",
    "int_type": lambda _: "this must be a whole number",
    "int_from_float": lambda _: "this must be a whole number",
    "int_parsing_size": lambda _: "this number is too large",
    "literal_error": lambda context: f"this must be {context['expected']}",
    "model_type": lambda _: "this must be a mapping of keys to values",
    "string_type": lambda _: "this must be text; put it in quotes if it looks like a number",
    "string_pattern_mismatch": lambda context: _PATTERNS[context["pattern"]],
    "string_too_short": lambda _: "this must not be empty",
    "too_short": lambda _: "this must have at least one entry",
    "missing": lambda _: "this key is missing",
    "string_too_long": lambda context: f"this may have at most {context['max_length']:,} characters",
    "too_long": lambda context: f"this may have at most {context['max_length']:,} entries",
    "tuple_type": lambda _: "this must be a list; begin each entry with `- `",
    "greater_than_equal": lambda context: f"this must be at least {context['ge']:,g}",
    "less_than_equal": lambda context: f"this must be at most {context['le']:,g}",
}
"""What pydantic found, by its error type, as the end of a sentence."""
