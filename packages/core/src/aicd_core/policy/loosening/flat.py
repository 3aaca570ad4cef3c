"""Settings files as flat keys: `tool.mypy.strict` → `true`, lists as sets, whatever the format."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

Setting = str | frozenset[str]
"""A value in words, or a list without order."""

_COMMENT = re.compile(r"//[^\n\"]*$|/\*.*?\*/", re.MULTILINE | re.DOTALL)
_TRAILING = re.compile(r",(\s*[}\]])")
_MOST_BYTES = 256 * 1024
_DEEPEST = 20


def read_settings(path: str, source: str | None) -> dict[str, Setting] | None:
    """The file's settings by dotted key; None when it is not there, too large, or cannot be read."""
    if source is None or len(source) > _MOST_BYTES:
        return None
    try:
        return dict(_flat(_reader(path)(source), ""))
    except (ValueError, configparser.Error, YAMLError, RecursionError, AttributeError):
        return None


def _reader(path: str) -> Callable[[str], Any]:
    name = path.rsplit("/", 1)[-1]
    ending = name.rsplit(".", 1)[-1]
    return _BY_NAME.get(name) or _BY_ENDING.get(ending, _ini)


def _flat(value: Any, key: str, depth: int = 0) -> Iterator[tuple[str, Setting]]:
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name), depth + 1)
    elif isinstance(value, list) and all(isinstance(item, dict) for item in value) and value:
        yield key, frozenset(map(_label, value))
        for item in value:
            yield from _flat(item, f"{key}.{_label(item)}", depth + 1)
    elif isinstance(value, list):
        yield key, frozenset(_word(item) for item in value)
    else:
        yield key, _word(value)


def _label(item: dict[str, Any]) -> str:
    """What an entry of a list goes by."""
    named = next((item[name] for name in ("id", "name", "module", "repo", "path", "linters") if name in item), None)
    return _word(named) if named is not None else json.dumps(item, sort_keys=True, default=str)


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _ini(source: str) -> dict[str, dict[str, Any]]:
    """Sections and keys; a value of several lines, or of words with commas, is a list."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(source if source.lstrip().startswith(("[", "#", ";")) else f"[top]\n{source}")
    return {name: {key: _parts(value) for key, value in parser.items(name)} for name in parser.sections()}


def _parts(value: str | None) -> Any:
    if value is None:
        return ""
    parts = [part.strip() for part in re.split(r"[\n,]", value) if part.strip()]
    return parts if len(parts) > 1 or "\n" in value else value


def _json(source: str) -> Any:
    return json.loads(_TRAILING.sub(r"\1", _COMMENT.sub("", source)))


def _yaml(source: str) -> Any:
    if re.search(r"[&*]\w", source):
        raise ValueError  # an alias may stand for far more than the text holds
    return YAML(typ="safe", pure=True).load(source)


_BY_ENDING: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {"toml": tomllib.loads, "json": _json, "jsonc": _json, "yml": _yaml, "yaml": _yaml}
)
_BY_NAME: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    dict.fromkeys((".eslintrc", ".nycrc", ".stylelintrc", ".swcrc", ".jshintrc", ".babelrc"), _json)
    | dict.fromkeys((".yamllint",), _yaml)
)
