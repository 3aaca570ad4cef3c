"""Source files cut into symbols and chunks, and text into words."""

import hypothesis
import pytest
from hypothesis import strategies

from aicd_brain.retrieval.chunks import LONGEST, WINDOW, chunks_of
from aicd_brain.retrieval.symbols import symbols_of
from aicd_brain.retrieval.tree import as_source, blob_id, is_wanted
from aicd_brain.retrieval.values import SourceFile
from aicd_brain.retrieval.words import words_of

SOURCES = {
    "a.py": ("@route('/')\ndef index():\n    def inner(): ...\n\nclass A(B):\n    @property\n    def b(self): ...\n",
             [("index", 1, 3), ("A", 5, 7), ("A.b", 6, 7)]),
    "a.js": ("export const add = (a, b) => a + b;\nclass Foo {\n  go() {}\n}\nconst data = 1;\nfunction f() {}\n",
             [("add", 1, 1), ("Foo", 2, 4), ("Foo.go", 3, 3), ("f", 6, 6)]),
    "a.ts": ("export interface I { a: string }\nenum E { A }\ntype T = I;\nabstract class Q { m(): void {} }\n",
             [("I", 1, 1), ("E", 2, 2), ("T", 3, 3), ("Q", 4, 4), ("Q.m", 4, 4)]),
    "a.tsx": ("export const View = () => <p/>;\n", [("View", 1, 1)]),
    "a.go": ("package p\n\ntype T struct {\n\tA int\n}\n\nfunc (t *T) M() {}\nfunc F() {}\n",
             [("T", 3, 5), ("M", 7, 7), ("F", 8, 8)]),
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES)
def test_the_symbols_of_each_language_are_found_with_their_lines(path: str):
    source, expected = SOURCES[path]
    assert [(symbol.name, symbol.first, symbol.last) for symbol in symbols_of(path, source)] == expected


def test_a_file_without_a_grammar_is_cut_into_windows_of_lines():
    text = "\n".join(f"line {number}" for number in range(1, 2 * LONGEST + 1))
    chunks = chunks_of(SourceFile("a.txt", "b", text))
    assert [(chunk.name, chunk.first, chunk.last) for chunk in chunks] == [
        ("", first, first + WINDOW - 1) for first in range(1, 2 * LONGEST, WINDOW)
    ]


def test_a_class_is_cut_at_its_methods_and_what_is_around_is_a_chunk_too():
    source = "import os\n\nclass A:\n    x = 1\n\n    def b(self):\n        pass\n\n    y = 2\n\nA()\n"
    chunks = chunks_of(SourceFile("a.py", "b", source))
    assert [(chunk.name, chunk.first, chunk.last) for chunk in chunks] == [
        ("", 1, 2),
        ("A", 3, 5),
        ("A.b", 6, 7),
        ("A", 8, 9),
        ("", 10, 12),
    ]


@pytest.mark.parametrize("path", ["a.py", "a.ts", "a.go", "a.rb"])
@hypothesis.given(text=strategies.text(alphabet="abc(){}:;=>\n\t 'def class", max_size=300))
def test_every_line_that_says_something_is_in_exactly_one_chunk_whatever_the_source(path: str, text: str):
    chunks = chunks_of(SourceFile(path, "b", text))
    covered = [number for chunk in chunks for number in range(chunk.first, chunk.last + 1)]
    assert len(covered) == len(set(covered))
    said = {number for number, line in enumerate(text.split("\n"), 1) if line.strip()}
    assert said <= set(covered)


def test_source_nested_beyond_reason_is_still_cut():
    assert chunks_of(SourceFile("a.js", "b", "function f(){" * 20_000))


def test_a_name_is_found_whole_and_by_its_parts():
    assert list(words_of("parseHTTPBody")) == ["parsehttpbody", "parse", "http", "body"]
    assert list(words_of("f(snake_case)")) == ["snake_case", "snake", "case"]
    assert list(words_of("the Größe of XML2")) == ["größe", "xml2", "xml"]


def test_binaries_and_data_are_no_source():
    assert as_source("a.txt", b"\0") is None
    assert as_source("a.txt", b"x" * 500_000) is None
    assert not is_wanted("web/node_modules/a.js")
    assert not is_wanted("logo.png")
    assert not is_wanted("package-lock.json")
    assert is_wanted("src/node.js")


def test_a_blob_has_the_name_that_git_gives_it():
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
