"""What `drizzle-kit pull` draws, mended where it draws something else than there is.

Measured with drizzle-kit 0.31: the columns of keys of several columns come in an order of their own (a reference then
pairs `org_id` with `id`), operator classes of indexes are mixed up, `'{}'` becomes a list with an empty text, and
`bytea` is left out. The order is that of our models; tests/test_clients.py compares them with the database.
"""

import re
from collections.abc import Iterator

from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint

from aicd_core.migrations.tables import METADATA

HEAD = (
    "// Generated: `make generate`. Drawn by drizzle-kit from a migrated database; never edited, never migrated with.\n"
)
BYTEA = "const bytea = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })"
UNKNOWN = re.compile(r"\t// TODO: failed to parse database type 'bytea(?:\[\])?'\n(\t\w+: )unknown\(")
REFERENCE = re.compile(r"columns: \[[^\]]*\],\n\t\t\tforeignColumns: \[(\w+)\.[^\]]*\],\n\t\t\tname: \"(\w+)\"")
UNIQUE = re.compile(r"unique\(\"(\w+)\"\)\.on\([^)]*\)")
PRIMARY = re.compile(r"primaryKey\(\{ columns: \[[^\]]*\], name: \"(\w+)\"\}\)")
NUMBERS = re.compile(r"\t// You can use \{ mode: \"bigint\" \}[^\n]*\n")


def camel(name: str) -> str:
    """The name of a column or table in the schema: `org_id` is `orgId`."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def mended(drawn: str) -> str:
    """The schema as it is committed.

    Raises:
        KeyError: a constraint that no model has.
        ValueError: a type of which drizzle-kit knows nothing, and we neither.
    """
    references = dict(_references())
    orders = dict(_orders())

    def reference(found: re.Match[str]) -> str:
        own, other = references[found[2]]
        there = ", ".join(f"{found[1]}.{name}" for name in other)
        return f'columns: [{_own(own)}],\n\t\t\tforeignColumns: [{there}],\n\t\t\tname: "{found[2]}"'

    text = UNKNOWN.sub(r"\1bytea(", drawn)
    text = REFERENCE.sub(reference, text)
    text = UNIQUE.sub(lambda found: f'unique("{found[1]}").on({_own(orders[found[1]])})', text)
    text = PRIMARY.sub(lambda found: f'primaryKey({{ columns: [{_own(orders[found[1]])}], name: "{found[1]}" }})', text)
    text = re.sub(r"\.op\(\"\w+\"\)", "", text).replace('.default([""])', ".default([])")
    # Money and tokens: a number is exact to 2^53 only.
    text = NUMBERS.sub("", text).replace('mode: "number"', 'mode: "bigint"').replace("mode: 'string'", "mode: 'date'")
    if "unknown(" in text:
        raise ValueError(f"drizzle-kit does not know a type: {text[text.index('unknown(') - 100 :][:200]}")
    head, imported, body = text.partition('import { sql } from "drizzle-orm"\n')
    head = head.replace(' } from "drizzle-orm/pg-core"', ', customType } from "drizzle-orm/pg-core"', 1)
    return f"{HEAD}{head}{imported}\n{BYTEA}\n\n{body.strip()}\n"


def _own(names: tuple[str, ...]) -> str:
    return ", ".join(f"table.{name}" for name in names)


def _references() -> Iterator[tuple[str, tuple[tuple[str, ...], tuple[str, ...]]]]:
    """Each foreign key: its own columns, and the ones that they name."""
    for table in METADATA.tables.values():
        for key in table.constraints:
            if isinstance(key, ForeignKeyConstraint):
                pairs = [(camel(part.parent.name), camel(part.column.name)) for part in key.elements]
                yield str(key.name), (tuple(own for own, _ in pairs), tuple(other for _, other in pairs))


def _orders() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each key of several columns: them, in its order."""
    for table in METADATA.tables.values():
        for key in table.constraints:
            if isinstance(key, PrimaryKeyConstraint | UniqueConstraint):
                yield str(key.name), tuple(camel(column.name) for column in key.columns)
