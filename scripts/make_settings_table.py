"""Writes the tables of settings into the documents and the examples: `python scripts/make_settings_table.py [--check]`.

A table comes from the settings' class, a list of variables of an `.env.example` likewise; secrets (the rows of
docs/secrets.md) are in no such list. What stands around either is left as it is. With `--check` nothing is written, and
1 says that a page is not current.
"""

import importlib
import re
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator
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
LIST = re.compile(
    r"(# generated: scripts/make_settings_table.py ([\w.:, ]+)\n).*?(# end of what is generated\n)", re.DOTALL
)
"""Names the classes whose own fields the list tells."""
LISTS = "docker/*.env.example"
SECRET = re.compile(r"^\| `(AICD_\w+)` \|", re.MULTILINE)
WIDTH = 118


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


def settings_class(named: str) -> type[EnvironmentSettings]:
    """The class of `module:name`."""
    module, _, name = named.strip().partition(":")
    kind: type[EnvironmentSettings] = getattr(importlib.import_module(module), name)
    return kind


def lines(kind: type[EnvironmentSettings], secrets: Collection[str]) -> Iterator[str]:
    """The lines of a list: each setting that is no secret with its default, commented out."""
    for name, field in kind.model_fields.items():
        known = variable(name, field)
        if (kind is Settings or name not in Settings.model_fields) and known not in secrets:
            yield ""
            yield from (f"# {line}" for line in textwrap.wrap(field.description or "", WIDTH))
            yield f"#{known}={default(field).strip('`')}"


def listed(example: str) -> str:
    """The example with its list as it is now."""
    secrets = SECRET.findall((ROOT / "docs/secrets.md").read_text())

    def fresh(found: re.Match[str]) -> str:
        told = [line for named in found[2].split(",") for line in lines(settings_class(named), secrets)]
        return "\n".join((found[1].rstrip(), *told, "", found[3]))

    return LIST.sub(fresh, example)


def main(arguments: list[str]) -> int:
    """Writes or checks every page; 1 when one is not current."""
    stale = False
    pages: list[tuple[Path, Callable[[str], str]]] = [
        (page, written) for pattern in PAGES for page in sorted(ROOT.glob(pattern))
    ]
    pages += [(page, listed) for page in sorted(ROOT.glob(LISTS))]
    for page, fresh in pages:
        wanted = fresh(page.read_text())
        if "--check" not in arguments:
            page.write_text(wanted)
        elif wanted != page.read_text():
            stale = True
            print(f"{page} is not current: python scripts/make_settings_table.py")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
