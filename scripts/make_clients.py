"""Writes what front ends are built on: `python scripts/make_clients.py [--check [--whole]]`, or `make generate`.

- docs/openapi.json, as `aicd openapi` prints it;
- clients/typescript/src/schema.d.ts, from that, by openapi-typescript;
- clients/drizzle/schema.ts, from a freshly migrated database, by drizzle-kit;
- clients/generated.json: hashes of what each was made from and of what came out.

`--check` writes nothing, and 1 says what is not current. It compares the document itself and else the hashes, in a
second or two; with `--whole` everything is made anew and compared, which takes Node and a database.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from aicd_core import migrations
from aicd_core.testing.databases import fresh_urls, migrated_server
from aicd_github.testing.node import LOCK, node_environment, node_project
from drizzle_schema import mended

ROOT = Path(__file__).parents[1]
DOCUMENT = "docs/openapi.json"
TYPES = "clients/typescript/src/schema.d.ts"
TABLES = "clients/drizzle/schema.ts"
RECORD = "clients/generated.json"
MIGRATIONS = Path(migrations.__file__).parent
SERVER = "backend" in entry_points(group="aicd.commands").names
"""The public tree has no API server: there the document is what was published with it."""


def document() -> str:
    """The OpenAPI document, as `aicd openapi` prints it."""
    command = [str(Path(sys.executable).parent / "aicd"), "openapi"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def types(described: str) -> str:
    """The client's types."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "openapi.json").write_text(described)
        # What a body has a default for may be left out.
        options = (f"{folder}/openapi.json", "-o", f"{folder}/out.ts", "--default-non-nullable=false")
        _node("clients/typescript", "openapi-typescript/bin/cli.js", *options)
        return (Path(folder) / "out.ts").read_text()


def tables() -> str:
    """Drizzle's schema."""
    with (
        tempfile.TemporaryDirectory() as folder,
        migrated_server(Path(folder) / "postgres", durable=False) as url,
        fresh_urls(url) as urls,
    ):
        options = (
            "--dialect=postgresql",
            f"--url={urls.admin}",
            f"--out={folder}/out",
            "--tablesFilter=!alembic_version",
        )
        _node("clients/drizzle", "drizzle-kit/bin.cjs", "pull", *options)
        return mended((Path(folder) / "out" / "schema.ts").read_text())


def _node(project: str, program: str, *arguments: str) -> None:
    place = node_project(ROOT / project, ROOT / ".tools")
    command = ["node", str(place / "node_modules" / program), *arguments]
    done = subprocess.run(command, check=False, cwd=place, env=node_environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program} failed:\n{done.stdout}{done.stderr}")


def sources(kind: str, described: str) -> str:
    """A hash of everything that a file was made from."""
    if kind == TYPES:
        parts = [described.encode(), (ROOT / "clients/typescript" / LOCK).read_bytes()]
    else:
        paths = [*sorted(MIGRATIONS.rglob("*.py")), ROOT / "scripts/drizzle_schema.py", ROOT / "clients/drizzle" / LOCK]
        parts = [path.read_bytes() for path in paths]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def record(described: str, made: Mapping[str, str]) -> str:
    """The record of what the files were made from."""
    told = {
        kind: {"from": sources(kind, described), "made": hashlib.sha256(text.encode()).hexdigest()}
        for kind, text in made.items()
    }
    return json.dumps(told, indent=2) + "\n"


def stale(*, whole: bool) -> Iterator[str]:
    """Every file that is not as it would be written now."""
    here = {name: (ROOT / name).read_text() for name in (DOCUMENT, TYPES, TABLES, RECORD)}
    described = document() if SERVER else here[DOCUMENT]
    if described != here[DOCUMENT]:
        yield DOCUMENT
    wanted = json.loads(record(described, {TYPES: here[TYPES], TABLES: here[TABLES]}))
    for name, told in json.loads(here[RECORD]).items():
        if told != wanted[name]:
            yield name
    if whole and types(described) != here[TYPES]:
        yield f"{TYPES} (made anew)"
    if whole and tables() != here[TABLES]:
        yield f"{TABLES} (made anew)"


def main(arguments: list[str]) -> int:
    """Writes everything, or says what is not current."""
    if "--check" in arguments:
        found = list(stale(whole="--whole" in arguments))
        for name in found:
            print(f"{name} is not current. Run: make generate")
        return int(bool(found))
    described = document() if SERVER else (ROOT / DOCUMENT).read_text()
    made = {TYPES: types(described), TABLES: tables()}
    for name, text in {DOCUMENT: described, **made, RECORD: record(described, made)}.items():
        (ROOT / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
