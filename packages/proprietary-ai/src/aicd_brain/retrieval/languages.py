"""Which languages have a grammar, and what defines a symbol in each."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Parser


@dataclass(frozen=True)
class Language:
    """A grammar: its package, the function there that gives it, and its nodes that matter.

    `definitions` are symbols; of them, `containers` hold others. `wrappers` belong to the definition inside of them.
    `values` are named by a node that is a symbol only when its value is one of `functions`.
    """

    package: str
    function: str
    definitions: frozenset[str]
    containers: frozenset[str]
    wrappers: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()


_SCRIPT = frozenset(
    {
        *("function_declaration", "generator_function_declaration", "class_declaration", "method_definition"),
        *("abstract_class_declaration", "interface_declaration", "type_alias_declaration", "enum_declaration"),
        *("internal_module", "module"),
    }
)
_SCRIPT_CONTAINERS = frozenset({"class_declaration", "abstract_class_declaration", "internal_module", "module"})
_SCRIPT_FUNCTIONS = frozenset({"arrow_function", "function_expression", "generator_function", "class"})


def _script(package: str, function: str) -> Language:
    return Language(
        package,
        function,
        _SCRIPT,
        _SCRIPT_CONTAINERS,
        frozenset({"export_statement", "lexical_declaration", "variable_declaration"}),
        frozenset({"variable_declarator", "public_field_definition", "field_definition"}),
        _SCRIPT_FUNCTIONS,
    )


_PYTHON = Language(
    "tree_sitter_python",
    "language",
    frozenset({"function_definition", "class_definition"}),
    frozenset({"class_definition"}),
    frozenset({"decorated_definition"}),
)
_GO = Language(
    "tree_sitter_go",
    "language",
    frozenset({"function_declaration", "method_declaration", "type_spec"}),
    frozenset(),
    frozenset({"type_declaration"}),
)
_JAVASCRIPT = _script("tree_sitter_javascript", "language")
_TYPESCRIPT = _script("tree_sitter_typescript", "language_typescript")
_TSX = _script("tree_sitter_typescript", "language_tsx")

_BY_SUFFIX: Mapping[str, Language] = MappingProxyType(
    {
        **dict.fromkeys((".py", ".pyi"), _PYTHON),
        **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), _JAVASCRIPT),
        **dict.fromkeys((".ts", ".mts", ".cts"), _TYPESCRIPT),
        ".tsx": _TSX,
        ".go": _GO,
    }
)


def language_of(path: str) -> Language | None:
    """The language of a file by the end of its name; None where there is no grammar for it."""
    return _BY_SUFFIX.get(PurePosixPath(path).suffix.lower())


@cache
def parser_of(language: Language) -> "Parser":
    """The parser of a language; a grammar is loaded at its first file."""
    tree_sitter = importlib.import_module("tree_sitter")
    grammar = getattr(importlib.import_module(language.package), language.function)()
    parser: Parser = tree_sitter.Parser(tree_sitter.Language(grammar))
    return parser
