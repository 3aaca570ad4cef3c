"""YAML as plain values with line numbers: the small, harmless part of YAML that a settings file needs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path = tuple[str | int, ...]
Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

MAX_DEPTH = 20
"""Far deeper than any key of ours; reading nests as deep as the text does, and takes longer the deeper."""

MAX_VALUES = 5_000
"""A hundred times what a full file has; each value takes a while to read."""

_PREFIX = "tag:yaml.org,2002:"


class YamlFaultError(Exception):
    """Why a text cannot be read; `line` (1-based) and `path` tell where, as far as that is known."""

    def __init__(self, fault: str, line: int | None = None, path: Path = ()) -> None:
        super().__init__(fault)
        self.fault = fault
        self.line = line
        self.path = path


@dataclass
class Tree:
    """A document's value and the line (1-based) on which each part of it begins."""

    value: Plain
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int | None:
        """The line of the part, or of the nearest one around it that was written down."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)


def read_tree(text: str) -> Tree:
    """Reads one YAML 1.2 document; nothing but comments is None.

    Raises:
        YamlFaultError: not YAML; several documents; anchors, aliases, merge keys, tags of other types, keys
            that are not text or come twice, more than `MAX_DEPTH` levels or `MAX_VALUES` values.
    """
    try:
        _refuse_costly(text)
        node = YAML(typ="safe", pure=True).compose(text)
        tree = Tree(None)
        tree.value = None if node is None else _value(node, (), tree.lines)
    except MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise YamlFaultError(f"this is not YAML: {error.problem or error.context}", line) from error
    except YAMLError as error:
        raise YamlFaultError(f"this is not YAML: {str(error).splitlines()[0]}") from error
    return tree


def _refuse_costly(text: str) -> None:
    """Looks at the text piece by piece, before anything is built that could be far larger than the text."""
    depth = values = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
            raise YamlFaultError("anchors and aliases (& and *) are not taken; write the value out", line)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        values += isinstance(event, NodeEvent)
        if depth > MAX_DEPTH:
            raise YamlFaultError(f"the value is nested deeper than {MAX_DEPTH} levels", line)
        if values > MAX_VALUES:
            raise YamlFaultError(f"the file has more than {MAX_VALUES:,} values", line)


def _value(node: Node, path: Path, lines: dict[Path, int]) -> Plain:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, MappingNode) and node.tag == f"{_PREFIX}map":
        return {key: _value(value, (*path, key), lines) for key, value in _entries(node, path, lines)}
    if isinstance(node, SequenceNode) and node.tag == f"{_PREFIX}seq":
        return [_value(item, (*path, index), lines) for index, item in enumerate(node.value)]
    return _scalar(node, path)


def _entries(node: MappingNode, path: Path, lines: dict[Path, int]) -> Iterator[tuple[str, Node]]:
    seen: set[str] = set()
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode) or key_node.tag != f"{_PREFIX}str":
            raise YamlFaultError("a key must be plain text", line, path)
        key = _scalar(key_node, path)
        assert isinstance(key, str)
        if key in seen:
            raise YamlFaultError(f"the key is there twice, first on line {lines[*path, key]}", line, (*path, key))
        seen.add(key)
        lines[*path, key] = line
        yield key, value_node


def _scalar(node: Node, path: Path) -> Plain:
    kind, line = str(node.tag).removeprefix(_PREFIX), node.start_mark.line + 1
    if not isinstance(node, ScalarNode) or kind not in _READERS:
        raise YamlFaultError(f"the YAML type {node.tag} is not taken", line, path)
    try:
        return _READERS[kind](node)
    except (ValueError, LookupError) as error:
        raise YamlFaultError(f"this cannot be read as the YAML type {kind}", line, path) from error


def _text(node: ScalarNode) -> str:
    # Half of a surrogate pair can be escaped in YAML, but is no text that could be stored or run.
    return str(node.value).encode().decode()


_CONSTRUCTOR = YAML(typ="safe", pure=True).constructor

_READERS: Mapping[str, Callable[[ScalarNode], Plain]] = {
    "str": _text,
    # A date that nobody quoted is still what was typed.
    "timestamp": _text,
    "int": _CONSTRUCTOR.construct_yaml_int,
    "float": _CONSTRUCTOR.construct_yaml_float,
    "bool": _CONSTRUCTOR.construct_yaml_bool,
    "null": _CONSTRUCTOR.construct_yaml_null,
}
"""How a scalar is read, by its YAML type."""
