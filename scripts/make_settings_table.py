"""Writes the tables of settings into the documents: `python scripts/make_settings_table.py [--check]`.

A table comes from the settings' class; what stands around it is left as it is. With `--check` nothing is written, and 1
says that a page is not current.
"""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from aicd_core.settings import EnvironmentSettings, Settings

ROOT = Path(__file__).parents[1]
BEGIN = re.compile(r"<!-- generated: scripts/make_settings_table.py ([\w.]+):(\w+) -->")
"""Names the class whose own fields the table tells."""
END = "<!-- end of what is generated -->"
PAGES = ("docs/settings.md", "*/*/SETTINGS.md")


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a field."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"AICD_{name.upper()}"


def default(field: FieldInfo) -> str:
    """What counts when the variable is not set."""
    value = field.default
    if value is PydanticUndefined or value is None or value in ("", ()):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def rows(kind: type[EnvironmentSettings]) -> Iterator[str]:
    """The lines of a table."""
    yield "| variable | default | |"
    yield "| --- | --- | --- |"
    for name, field in kind.model_fields.items():
        if kind is Settings or name not in Settings.model_fields:
            yield f"| `{variable(name, field)}` | {default(field)} | {(field.description or '').replace('|', '/')} |"


def written(page: str) -> str:
    """The page with its table as it is now."""
    before, module, name, rest = BEGIN.split(page)
    table = "\n".join(rows(getattr(importlib.import_module(module), name)))
    marker = f"<!-- generated: scripts/make_settings_table.py {module}:{name} -->"
    return f"{before}{marker}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


def main(arguments: list[str]) -> int:
    """Writes or checks every page; 1 when one is not current."""
    stale = False
    for page in (page for pattern in PAGES for page in sorted(ROOT.glob(pattern))):
        wanted = written(page.read_text())
        if "--check" not in arguments:
            page.write_text(wanted)
        elif wanted != page.read_text():
            stale = True
            print(f"{page} is not current: python scripts/make_settings_table.py")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
