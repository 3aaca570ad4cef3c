"""Writes the picture of all tables into docs/data-model.md: `python scripts/make_er_diagram.py [--check]`.

The tables come from the models; what stands around the picture is left as it is. With `--check` nothing is written, and
1 says that the page is not current.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Column, ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql

from aicd_core.migrations.tables import METADATA

PAGE = Path(__file__).parents[1] / "docs" / "data-model.md"
BEGIN, END = "<!-- generated: scripts/make_er_diagram.py -->", "<!-- end of what is generated -->"
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
TYPES = {
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "DOUBLE PRECISION": "float8",
    "FLOAT": "float8",
    "TEXT[]": "text-array",
    "BYTEA[]": "bytea-array",
    "VARCHAR": "text",
}


def type_of(column: Column[object]) -> str:
    """The column's type as one word, as Postgres calls it."""
    name = column.type.compile(DIALECT).partition("(")[0]
    return TYPES.get(name, name.lower())


def marks_of(table: Table, column: Column[object]) -> str:
    """PK, FK and UK, as far as they hold for this column alone or together with others."""
    unique = any(column.name in part.columns for part in table.constraints if isinstance(part, UniqueConstraint))
    marks = (("PK", column.primary_key), ("FK", bool(column.foreign_keys)), ("UK", unique))
    return ",".join(mark for mark, holds in marks if holds)


def entity(table: Table) -> Iterator[str]:
    """One table as Mermaid has it."""
    yield f"    {table.name} {{"
    for column in table.columns:
        note = ' "or null"' if column.nullable else ""
        yield f"        {type_of(column)} {column.name} {marks_of(table, column)}".rstrip() + note
    yield "    }"


def relation(table: Table, key: ForeignKeyConstraint) -> str:
    """A foreign key as Mermaid has it: at most one row or any number of rows for one, or for none."""
    columns = list(key.columns)
    single = {column.name for column in columns} == {column.name for column in table.primary_key.columns}
    target = "|o" if any(column.nullable for column in columns) else "||"
    label = ", ".join(key.column_keys)
    return f'    {key.referred_table.name} {target}--{"o|" if single else "o{"} {table.name} : "{label}"'


def diagram() -> str:
    """All tables and foreign keys, in an order that does not change."""
    tables = [METADATA.tables[name] for name in sorted(METADATA.tables)]
    lines = ["```mermaid", "erDiagram"]
    lines += [line for table in tables for line in entity(table)]
    lines += sorted(relation(table, key) for table in tables for key in table.foreign_key_constraints)
    return "\n".join([*lines, "```"])


def page(old: str) -> str:
    """The page with the picture of today's models in it."""
    before, _, rest = old.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{diagram()}\n\n{END}{rest.partition(END)[2]}"


def main(arguments: list[str]) -> int:
    """Writes the page, or says whether it is current."""
    old = PAGE.read_text()
    new = page(old)
    if arguments == ["--check"]:
        if new != old:
            print(f"{PAGE.name} is not current. Run: .venv/bin/python scripts/make_er_diagram.py")
        return int(new != old)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
