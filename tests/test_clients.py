"""What front ends are built on is current, and Drizzle's schema fits the database."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from aicd_core.testing.databases import fresh_urls
from aicd_github.testing.node import node_environment, node_project

ROOT = Path(__file__).parents[1]
DRIZZLE = ROOT / "clients" / "drizzle"
SCRIPT = """
import { readFileSync } from 'node:fs'
import { eq, is, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import pg from 'pg'
import * as schema from './schema.ts'

const { url, ours, theirs } = JSON.parse(readFileSync(0, 'utf8'))
const pool = new pg.Pool({ connectionString: url, max: 1 })
const db = drizzle(pool)
const named = (columns) => columns.map((column) => column.name)
const pairs = ({ columns, foreignColumns }) => [named(columns), named(foreignColumns)]
const tables = {}
for (const table of Object.values(schema).filter((each) => is(each, PgTable))) {
  const { name, columns, foreignKeys, uniqueConstraints } = getTableConfig(table)
  tables[name] = {
    columns: Object.fromEntries(columns.map((each) => [each.name, [each.getSQLType(), each.notNull]])),
    keys: Object.fromEntries([
      ...foreignKeys.map((key) => [key.getName(), pairs(key.reference())]),
      ...uniqueConstraints.map((key) => [key.name, [named(key.columns), []]]),
    ]),
  }
}
const names = await db.transaction(async (tx) => {
  const before = await tx.select().from(schema.repositories)
  await tx.execute(sql`select set_config('aicd.org_id', ${ours}, true)`)
  const { orgId } = schema.repositories
  const mine = await tx.select().from(schema.repositories)
  const other = await tx.select().from(schema.repositories).where(eq(orgId, theirs))
  return [before, mine, other].map((rows) => rows.map((row) => row.orgId))
}, { accessMode: 'read only' })
await pool.end()
console.log(JSON.stringify({ tables, names }))
"""
COLUMNS = """
SELECT c.relname, a.attname, replace(format_type(a.atttypid, a.atttypmod), ',', ', '), a.attnotnull
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
AND c.relname <> 'alembic_version'
"""
KEYS = """
SELECT con.conrelid::regclass::text, con.conname,
 ARRAY(SELECT attname::text FROM unnest(con.conkey) WITH ORDINALITY k(n, i)
       JOIN pg_attribute ON attrelid = con.conrelid AND attnum = k.n ORDER BY k.i),
 ARRAY(SELECT attname::text FROM unnest(con.confkey) WITH ORDINALITY k(n, i)
       JOIN pg_attribute ON attrelid = con.confrelid AND attnum = k.n ORDER BY k.i)
FROM pg_constraint con WHERE con.contype IN ('f', 'u') AND con.connamespace = 'public'::regnamespace
"""
LONG = {"character varying": "varchar"}


@pytest.mark.timeout(900)
def test_what_is_generated_is_what_would_be_generated_now() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "make_clients.py"), "--check", "--whole"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("drizzle") / "drizzle"
    shutil.copytree(DRIZZLE, place, ignore=shutil.ignore_patterns("node_modules"))
    (place / "node_modules").symlink_to(node_project(DRIZZLE, ROOT / ".tools") / "node_modules")
    return place


def node(place: Path, *command: str, given: str = "") -> str:
    done = subprocess.run(
        ["node", *command], cwd=place, env=node_environment(), input=given, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(900)
def test_drizzles_schema_is_type_checked(project: Path) -> None:
    node(project, "node_modules/typescript/bin/tsc", "-p", "tsconfig.json")


def as_postgres_says(kind: str) -> str:
    for long, short in LONG.items():
        kind = kind.replace(long, short)
    return kind


def existing(url: str) -> Iterator[tuple[str, str, object]]:
    with psycopg.connect(url) as connection:
        for table, column, kind, strict in connection.execute(COLUMNS):
            yield table, column, [as_postgres_says(kind), strict]
        for table, key, own, other in connection.execute(KEYS):
            yield table, key, [own, other]


@pytest.mark.timeout(900)
def test_drizzles_schema_is_that_of_the_database_and_reads_only_what_the_wall_shows(
    project: Path, postgres_url: str
) -> None:
    ours, theirs = "01999999-0000-7000-8000-000000000001", "01999999-0000-7000-8000-000000000002"
    with fresh_urls(postgres_url) as urls:
        with psycopg.connect(urls.admin) as connection:
            for org, slug in ((ours, "acme"), (theirs, "rival")):
                connection.execute(
                    "INSERT INTO organizations (id, slug, name, revision) VALUES (%s, %s, %s, 1)", (org, slug, slug)
                )
                connection.execute(
                    "INSERT INTO repositories (id, org_id, source) VALUES (%s, %s, '/srv/x')", (org, org)
                )
            found = {(table, name): told for table, name, told in existing(urls.admin)}
        (project / "fits.mjs").write_text(SCRIPT)
        given = json.dumps({"url": urls.app, "ours": ours, "theirs": theirs})
        told = json.loads(node(project, "fits.mjs", given=given))
    drawn = {
        (table, name): what
        for table, parts in told["tables"].items()
        for name, what in [*parts["columns"].items(), *parts["keys"].items()]
    }
    assert drawn == found
    assert told["names"] == [[], [ours], []]
