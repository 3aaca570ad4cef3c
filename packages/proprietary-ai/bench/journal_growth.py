"""What the journal of a coding session takes in the database, on a scripted server that answers at once.

    .venv/bin/python packages/proprietary-ai/bench/journal_growth.py [--steps 20 200] [--output BYTES]

Each step runs a command whose output, `--output` bytes of it, goes into every later request. Sizes are of the tables
with their indexes, as Postgres counts them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from aicd_brain.testing.models import ModelServer, serving
from aicd_brain.testing.turns import done, planning, reviewing, script, using
from aicd_core.testing.databases import TestUrls, fresh_urls, test_server

AICD = Path(sys.executable).with_name("aicd")
TABLES = ("model_calls", "journal_contents")
SIZE = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class WHERE relkind = 'r' AND relname = "


def run(steps: int, output: int, place: Path, urls: TestUrls) -> ModelServer:
    """One job whose coder takes so many steps."""
    source = place / "source"
    source.mkdir(parents=True)
    (source / ".aicd.yml").write_text("version: 1\ntests: []\n")
    (source / "greet.txt").write_text("hello\n")
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-qm", "Begin"]):
        subprocess.run(["git", *arguments], cwd=source, check=True)
    shows = (
        "import hashlib; print(chr(10).join(hashlib.sha256(b'%d %d' % ({n}, i)).hexdigest() for i in range({lines})))"
    )
    works = [
        using("shell", command=f'echo {n} >> greet.txt; python3 -c "{shows.format(n=n, lines=output // 65)}"')
        for n in range(steps)
    ]
    told = script([[planning("greet.txt")]], [[*works, done(), done()]], [[reviewing("approve")]])
    with serving(told, place / "model") as server:
        environment = {
            **os.environ,
            "AICD_DATABASE_URL": urls.app,
            "AICD_SYSTEM_DATABASE_URL": urls.system,
            "AICD_ANTHROPIC_BASE_URL": server.url,
            "AICD_ANTHROPIC_API_KEY": "none",
            "AICD_CODER_TURNS": "1000",
            "AICD_MODEL_CONTEXT": "100000000",
        }
        given = ["--agent", "claude", "--issue", f"Steps {place.name}", "--json", "--data-dir", str(place / "data")]
        subprocess.run([AICD, "run", "--repo", source, *given], env=environment, check=True, capture_output=True)
    return server


def sizes(urls: TestUrls) -> dict[str, int]:
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        return {name: int(connection.execute(f"{SIZE}'{name}'".encode()).fetchall()[0][0]) for name in TABLES}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--output", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root, test_server(Path(root) / "postgres") as server:
        for steps in options.steps:
            with fresh_urls(server) as urls:
                empty = sum(sizes(urls).values())
                served = run(steps, options.output, Path(root) / str(steps), urls).served()
                tables = sizes(urls)
            sent = sum(len(json.dumps(one.body)) for one in served)
            stored = sum(tables.values()) - empty
            print(
                f"{steps:>4} steps: sent {sent / 1e6:8.2f} MB, stored {stored / 1e6:6.2f} MB, "
                f"{stored / steps / 1e3:6.1f} kB a step  {tables}"
            )


if __name__ == "__main__":
    main()
