"""Which lines of the documents no test runs, by page and how they begin, and why."""

from aicd_core.backups.stores import installed_stores

NEVER: dict[str, dict[str, str]] = {
    "README.md": {
        "make demo": "docs/quickstart.md has it, too, and it is run there",
        "make test": "it is what runs the tests",
    },
    "docs/backup.md": {
        **({} if "qdrant" in installed_stores() else {"aicd restore --only qdrant": "no agent here keeps vectors"}),
    },
}
ENGINE = {
    "docs/deploy.md": (
        "docker compose -f docker/compose.yml",
        "curl -k https://aicd.example.com",
        "c restart backup",
        "c exec backup aicd",
        "apt-get install",
        "certbot certonly",
        "c exec postgres",
        "c run --rm -e",
        "url=$(cat",
        "cd /srv/aicd && c exec backup",
        "c stop proxy api worker backup postgres",
        "c run --rm --no-deps",
        "sed -i '/^POSTGRES_VOLUME=",
        "c up -d --no-deps",
    ),
}
"""Lines typed at a Docker Engine alone; tests/test_compose.py holds their file against the specification."""
HOST = {
    "docs/secrets.md": ("sudo systemctl",),
    "docs/usage.md": ("sudo apt-get", "grep $USER"),
    "docs/deploy-hetzner.md": (
        "sudo apt-get",
        "sudo useradd",
        "sudo python3",
        "sudo /opt",
        "sudo cp",
        "sudo install deploy",
        "sudo systemctl",
        "curl http://127.0.0.1:8080/readyz",
        "curl -k https://aicd.example.com",
        "version=$(git",
        "sudo ln",
        "sudo install -d -m 0750 -g prometheus",
        "sudo aicd backup run && git pull",
        "sudo certbot",
        "ls -t /opt/aicd",
    ),
}
"""Lines typed at a machine of systemd's alone: they change its packages, accounts or units."""
TERRAFORM = {"docs/deploy-hetzner.md": ("terraform init", "terraform output")}
"""Lines typed where Terraform is, and nowhere else, since nothing that `make` gets programs from has it."""
ELSEWHERE = {"engine": ENGINE, "host": HOST, "terraform": TERRAFORM}
