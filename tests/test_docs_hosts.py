"""What the documents say about servers of one's own, typed: a Postgres, and a machine whose Docker only notes."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import hcl2
import psycopg
import pytest

from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.ids import new_uuid
from debian_programs import debian_program
from deploy_machine import Machine, machine
from docs_reader import ROOT, Reader, environment_of
from histories import git

ENGINE = """
c() {
    case "$1" in
    exec) shift; if [ "$1" = -T ]; then shift; fi; shift; "$@" ;;
    run)
        while [ "$1" != backup ]; do if [ "$1" = -e ]; then export "$2"; shift; fi; shift; done
        shift
        aicd "$@"
        ;;
    *) echo "c $*" | tee -a "$HOME/engine" ;;
    esac
}
"""
"""`c` of docs/deploy.md: what is run in a container is run right here, all else is written down."""

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[tuple[Reader, Path]]:
    """Somebody with a Postgres, and the folder of its socket."""
    server = EmbeddedPostgres(tmp_path / "theirs", durable=False)
    server.start()
    place = server.socket_dir
    standing_in = {
        "@db.example:5432/aicd": f"@/aicd?host={place}",
        ":…@": ":hush@",
        "@/aicd?host=db1,db2": f"@/aicd?host=/nowhere,{place}",
    }
    environment = environment_of(tmp_path, PGHOST=str(place), PGUSER="postgres", NEW_PASSWORD="hush")
    try:
        yield Reader(tmp_path, environment, standing_in), place
    finally:
        server.stop()


def test_a_postgres_of_ones_own_with_keys_that_are_replaced(postgres: tuple[Reader, Path]) -> None:
    reader, place = postgres
    assert "schema" in reader.run("docs/tenancy.md", "createdb aicd").lower()
    assert "database" in reader.run("docs/tenancy.md", "export AICD_DATABASE_URL")
    with psycopg.connect(f"postgresql://postgres@/aicd?host={place}") as connection:
        connection.execute(
            "INSERT INTO organizations (id, slug, name, revision) VALUES (%s, 'acme', 'acme', 1)", [new_uuid()]
        )
    reader.run("docs/secrets.md", 'psql "$AICD_MIGRATION_DATABASE_URL"')
    reader.run("docs/tenancy.md", "export AICD_SECRET_KEYS")
    reader.run("docs/secrets.md", "export AICD_SECRET_KEYS")
    assert "," in reader.environment["AICD_SECRET_KEYS"]
    reader.run("docs/secrets.md", "aicd org reencrypt")
    assert "," not in reader.environment["AICD_SECRET_KEYS"]
    before = reader.shell("aicd keys show")
    told = reader.run("docs/secrets.md", "aicd keys rotate")
    assert before.strip() in told
    assert told.splitlines()[0] != before.splitlines()[0]
    reader.environment["AICD_SIGNING_KEYS"] = f"s0:{base64.b64encode(bytes(range(32))).decode()}"
    assert len(reader.run("docs/secrets.md", "export AICD_SIGNING_KEYS").split("\n")) > 2
    reader.run("docs/tenancy.md", "aicd org export")
    with psycopg.connect(f"postgresql://postgres@/aicd?host={place}") as connection:
        assert connection.execute("SELECT slug FROM organizations").fetchall() == [("local",)]
    reader.run("docs/high-availability.md", "AICD_DATABASE_URL=")
    assert "/nowhere" in reader.shell('echo "$AICD_DATABASE_URL"; aicd doctor')


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Machine]:
    place = tmp_path / "machine"
    place.mkdir()
    with machine(place) as started:
        yield started


def test_a_machine_is_set_up_deployed_to_and_rolled_back(there: Machine, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--no-tags", str(ROOT), str(clone))
    for version in ("1.2.2", "1.2.3"):
        git(clone, "tag", f"v{version}", "HEAD" if version == "1.2.3" else "HEAD~1")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {there.ssh} "$@"\n')
    (programs / "ssh").chmod(0o755)
    scp = debian_program("scp")
    environment = environment_of(tmp_path, SSH=there.ssh, WAIT="60")
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    standing_in = {
        "deploy@203.0.113.10": there.host,
        "scp ": f"{scp.path} -S {programs}/ssh ",
        "$(terraform -chdir=deploy/hetzner/terraform output -json hosts | jq -r '.[]')": there.host,
    }
    reader = Reader(tmp_path, environment, standing_in, folder=clone)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519.pub").write_text("ssh-ed25519 AAAAC3 ada\n")
    reader.run("docs/deploy-hetzner.md", "cd deploy/hetzner/terraform")
    given = hcl2.loads((clone / "deploy/hetzner/terraform/terraform.tfvars").read_text())
    assert "AAAAC3 ada" in given["ssh_public_key"]
    assert "make deploy HOST=" in reader.run("docs/deploy-hetzner.md", "scp docker/init.sh")
    assert (there.opt / "secrets/api/aicd_secret_keys").is_file()
    with (there.opt / ".env").open("a") as file:
        file.write("AICD_MIN_FREE_DISK=1\n")
    reader.run("docs/deploy-hetzner.md", "make deploy HOST=deploy@203.0.113.10 VERSION=1.2.3")
    reader.run("docs/deploy-hetzner.md", "for host in")
    assert "1.2.3" in there.running()
    reader.run("docs/deploy-hetzner.md", "cd /opt/aicd", on=f"ssh {there.host} sh -eu")
    assert (there.docker / "calls").read_text().endswith("--env-file current.env logs -f worker\n")


def test_one_machine_with_compose(tmp_path: Path) -> None:
    hooks = tmp_path / "letsencrypt/renewal-hooks/deploy"
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/docker").write_text('#!/bin/sh\necho "docker $*" >>"$HOME/engine"\n')
    (tmp_path / "programs/docker").chmod(0o755)
    standing_in = {
        "https://github.com/OWNER/aicd.git": str(ROOT),
        "/srv/aicd": f"{tmp_path}/aicd",
        "/etc/letsencrypt": f"{tmp_path}/letsencrypt",
        "sftp:backup@box.example:/aicd": f"{tmp_path}/vault",
        "KEY_FILE": "/etc/hostname",
        "KNOWN_HOSTS_FILE": "/etc/hostname",
        "REQUEST_ID": "logs",
    }
    environment = environment_of(tmp_path, AICD_DATA_DIR=str(tmp_path / "data"))
    environment["PATH"] = f"{tmp_path}/programs:{environment['PATH']}"
    reader = Reader(tmp_path, environment, standing_in, ENGINE)
    reader.run("docs/deploy.md", "git clone")
    secrets = tmp_path / "aicd/docker/secrets"
    assert (secrets / "tls/privkey.pem").is_file()
    reader.folder = tmp_path / "aicd"
    assert "sandbox" in reader.run("docs/deploy.md", "c exec worker aicd doctor")
    reader.run("docs/deploy.md", "apt-get install certbot")
    (tmp_path / "cert").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "cert" / name).write_text("new")
    reader.shell(f"RENEWED_LINEAGE={tmp_path}/cert {hooks}/aicd")
    assert (secrets / "tls/privkey.pem").read_text() == "new"
    reader.run("docs/deploy.md", "c logs proxy")
    reader.run("docs/deploy.md", "c exec -T backup")
    assert (secrets / "backup/aicd_backup_repository").read_text() == f"{tmp_path}/vault"
    reader.run("docs/deploy.md", "c stop proxy api worker backup\n")
    reader.run("docs/deploy.md", "cd /srv/aicd && c exec backup")
    assert (tmp_path / "engine").read_text().splitlines()[-1] == "c up -d"


SUDO = """
sudo() {
    case "$1" in
    aicd) shift; aicd "$@" ;;
    *) "$@" ;;
    esac
}
"""
"""A reader who is root already. `aicd` by hand has the folder of secrets, as the script of that name gives it."""
SYSTEMCTL = """#!/bin/sh
set -eu
[ "$*" = "start aicd-migrate" ]
AICD_SECRETS_DIR=$KEEP_SECRETS exec aicd migrate
"""
RUNUSER = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


def test_secrets_of_a_machine_without_containers(postgres: tuple[Reader, Path], tmp_path: Path) -> None:
    reader, place = postgres
    secrets = tmp_path / "etc/aicd/secrets"
    (tmp_path / "programs").mkdir()
    for name, text in {"systemctl": SYSTEMCTL, "runuser": RUNUSER}.items():
        (tmp_path / "programs" / name).write_text(text)
        (tmp_path / "programs" / name).chmod(0o755)
    reader.beginning = SUDO
    reader.standing_in = {"/etc/aicd": f"{tmp_path}/etc/aicd", "@127.0.0.1:5432/aicd": f"@/aicd?host={place}"}
    reader.environment["PATH"] = f"{tmp_path}/programs:{reader.environment['PATH']}"
    reader.environment |= {"KEEP_SECRETS": str(secrets), "AICD_SECRETS_DIR": str(secrets)}
    told = reader.run("docs/deploy-hetzner.md", "sudo install -d")
    assert "database" in told
    assert (secrets / "aicd_secret_keys").stat().st_mode & 0o777 == 0o600
    for name, may_bypass in {"database_url": False, "backup_database_url": True}.items():
        with psycopg.connect((secrets / f"aicd_{name}").read_text()) as connection:
            found = connection.execute("SELECT rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchone()
            assert found == (may_bypass,)
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    reader.run("docs/secrets.md", "front() {")
    for name, count in {"aicd_secret_keys": 1, "aicd_signing_keys": 2}.items():
        keys = (secrets / name).read_text().split(",")
        assert len(keys) == count
        assert keys[0] not in before[name]
        assert (secrets / name).stat().st_mode & 0o777 == 0o600
    assert before["aicd_signing_keys"] == keys[1]
    reader.run("docs/secrets.md", "sudo sh -eu <<'END'")
    old, new = before["aicd_database_url"], (secrets / "aicd_database_url").read_text()
    assert new != old
    assert new.rpartition("@")[2] == old.rpartition("@")[2]
    with psycopg.connect(f"postgresql://postgres@/aicd?host={place}") as connection:
        (verifier,) = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'aicd_app'").fetchone()
    assert is_password(new.rpartition("@")[0].rpartition(":")[2], verifier)


def is_password(password: str, verifier: str) -> bool:
    """Whether Postgres' verifier is of that password (RFC 5803: ServerKey is HMAC of the salted password)."""
    _, counted, keys = verifier.split("$")
    rounds, salt = counted.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    return hmac.digest(salted, b"Server Key", "sha256") == base64.b64decode(keys.split(":")[1])
