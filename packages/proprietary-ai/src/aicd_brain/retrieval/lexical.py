"""The index of words: tantivy on disk, one for each repository.

A file's content at a path is indexed once, under its key; a tree is a set of keys, and what a search finds of other
trees is passed over. It can all be made anew from the tree, so whatever is damaged is dropped.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import tantivy

from aicd_brain.retrieval.chunks import cut
from aicd_brain.retrieval.symbols import symbols_of
from aicd_brain.retrieval.values import Chunk, Hit, SourceFile, Symbol
from aicd_brain.retrieval.words import words_of

HEAP = 50_000_000
"""Bytes that a writer gathers before it makes a segment."""
SURPLUS = 3
SURPLUS_LEAST = 2_000
"""An index of so many times the files of a tree, and at least so many more, is begun anew: it is mostly history."""
BOOSTS: Mapping[str, float] = MappingProxyType({"path": 3.0, "name": 1.0, "body": 1.0})
FILE, CHUNK = "file", "chunk"

ResultT = TypeVar("ResultT")


class DamagedIndexError(Exception):
    """The files of an index cannot be read, whatever tantivy made of them; its `__cause__`."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A chunk that was found."""

    key: str
    hit: Hit
    score: float


class LexicalIndex:
    """The index at one moment: a search sees nothing that is written later. All calls block their thread."""

    def __init__(self, index: tantivy.Index, files: Mapping[str, SourceFile]) -> None:
        self._index = index
        self._searcher = index.searcher()
        self._files = files

    def outlines(self) -> dict[str, tuple[Symbol, ...]]:
        """The symbols of the tree's files by path."""
        stored = reading(lambda: dict(_stored(self._index.schema, self._searcher)))
        return {file.path: _symbols(stored[key]) for key, file in self._files.items() if key in stored}

    def search(self, query: str, limit: int, kind: str = CHUNK) -> list[Scored]:
        """The best chunks of the tree, or its files as a whole, best first; equals come in the order of path and line.

        Raises:
            DamagedIndexError: begin anew.
        """
        words = dict.fromkeys(words_of(query))
        if not words or not self._files:
            return []
        fits = self._index.parse_query(" ".join(words), list(BOOSTS), field_boosts=dict(BOOSTS))
        kinds = tantivy.Query.const_score_query(tantivy.Query.term_query(self._index.schema, "kind", kind), 0.0)
        wanted = tantivy.Query.boolean_query([(tantivy.Occur.Must, fits), (tantivy.Occur.Must, kinds)])
        total, ask = self._searcher.num_docs, limit
        while True:
            found = reading(lambda: list(self._here(wanted, ask)))  # noqa: B023 # called at once
            if len(found) >= limit or ask >= total:
                return sorted(found, key=lambda one: (-one.score, one.hit.path, one.hit.first))[:limit]
            ask = min(total, ask * 4)

    def _here(self, query: tantivy.Query, ask: int) -> Iterator[Scored]:
        for score, address in self._searcher.search(query, ask, count=False).hits:
            stored = self._searcher.doc(address)
            key = str(stored.get_first("key"))
            file = self._files.get(key)
            if file is not None:
                first, last = int(stored["first"][0]), int(stored["last"][0])
                yield Scored(key, Hit(file.path, first, last, str(stored.get_first("symbol") or "")), float(score))


def update(folder: Path, files: Sequence[SourceFile]) -> LexicalIndex:
    """Adds what is new in the tree, and opens the index. The caller holds the lock of the folder.

    Raises:
        OSError: the disk refused.
    """
    tree = {file.key: file for file in files}
    try:
        return _updated(folder, tree)
    except DamagedIndexError:
        shutil.rmtree(folder)
        return _updated(folder, tree)


def reading(read: Callable[[], ResultT]) -> ResultT:
    """What `read` gives.

    Raises:
        DamagedIndexError: tantivy cannot make sense of its files: it says so, or panics, which is no Exception.
    """
    try:
        return read()
    except ValueError as error:
        raise DamagedIndexError(str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise DamagedIndexError(str(error)) from error


def _updated(folder: Path, tree: Mapping[str, SourceFile]) -> LexicalIndex:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    index = reading(lambda: tantivy.Index(_schema(), str(folder)))
    known = reading(lambda: {key for key, _ in _stored(index.schema, index.searcher())})
    if len(known) > SURPLUS * len(tree) + SURPLUS_LEAST:
        shutil.rmtree(folder)
        return _updated(folder, tree)
    fresh = [file for key, file in tree.items() if key not in known]
    if fresh:
        reading(lambda: _add(index, fresh))
        index.reload()
    return LexicalIndex(index, tree)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("key", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("outline", stored=True)
    builder.add_text_field("symbol", stored=True, tokenizer_name="raw", index_option="basic")
    for name in ("first", "last"):
        builder.add_unsigned_field(name, stored=True)
    for name in BOOSTS:
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    return builder.build()


def _add(index: tantivy.Index, files: Sequence[SourceFile]) -> None:
    """One commit, made by leaving the block: after a crash either all of it is there, or none."""
    with index.writer(heap_size=HEAP, num_threads=1) as writer:
        for file in files:
            for document in _documents(file):
                writer.add_document(document)


def _documents(file: SourceFile) -> Iterator[tantivy.Document]:
    """The file as a whole, with its outline, and its chunks."""
    symbols = symbols_of(file.path, file.text)
    path = " ".join(words_of(file.path))
    outline = json.dumps([astuple(symbol) for symbol in symbols]).encode()
    yield _document(file, path, Chunk("", 1, 1, file.text), kind=[FILE], outline=[outline])
    for chunk in cut(file.text, symbols):
        yield _document(file, path, chunk, kind=[CHUNK])


def _document(file: SourceFile, path: str, chunk: Chunk, **fields: Any) -> tantivy.Document:
    document = tantivy.Document(key=[file.key], symbol=[chunk.name], path=[path], **fields)
    document.add_unsigned("first", chunk.first)
    document.add_unsigned("last", chunk.last)
    document.add_text("name", " ".join(words_of(chunk.name)))
    document.add_text("body", " ".join(words_of(chunk.text)))
    return document


def _stored(schema: tantivy.Schema, searcher: tantivy.Searcher) -> Iterator[tuple[str, bytes]]:
    """The key and outline of every file in the index."""
    if searcher.num_docs:
        all_files = tantivy.Query.term_query(schema, "kind", FILE)
        for _, address in searcher.search(all_files, searcher.num_docs, count=False).hits:
            stored = searcher.doc(address)
            yield str(stored.get_first("key")), bytes(stored.get_first("outline") or b"[]")


def _symbols(outline: bytes) -> tuple[Symbol, ...]:
    return tuple(Symbol(*fields) for fields in json.loads(outline))
