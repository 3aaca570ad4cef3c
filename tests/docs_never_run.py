"""Which lines of the documents no test runs, by page and how they begin, and why."""

from aicd_core.backups.stores import installed_stores

HETZNER = "needs an account at Hetzner"
CLUSTER = "needs a cluster"
ENGINE = "needs Docker's engine; tests/test_compose.py holds the file against the specification"
ROOTS = "changes the machine's packages, accounts or units"
REGISTRY = "needs an image that was published"
BACKUPS = "tests/test_backup_restore.py does it, with a repository of its own"
LAID = "wants an engine; tests/test_server_restore.py does it to a server that was set up by the same script"
NEVER: dict[str, dict[str, str]] = {
    "README.md": {
        "make demo": "docs/quickstart.md has it, too, and it is run there",
        "make test": "it is what runs the tests",
    },
    "docs/backup.md": {
        **({} if "qdrant" in installed_stores() else {"aicd restore --only qdrant": "no agent here keeps vectors"}),
    },
    "docs/deploy.md": {
        "docker compose -f docker/compose.yml": ENGINE,
        "curl -k https://aicd.example.com": ENGINE,
        "c restart backup": BACKUPS,
        "c exec backup aicd": BACKUPS,
        "c run --rm -e": BACKUPS,
        "url=$(cat": BACKUPS,
        "cd /srv/aicd && c exec backup": BACKUPS,
        "apt-get install": ROOTS,
        "certbot certonly": "needs a name that leads to the machine",
        "c exec postgres": LAID,
        "c stop proxy api worker backup postgres": LAID,
        "c run --rm --no-deps": LAID,
        "sed -i '/^POSTGRES_VOLUME=": LAID,
        "c up -d --no-deps": LAID,
    },
    "docs/deploy-hetzner.md": {
        "terraform init": HETZNER,
        "terraform output": HETZNER,
        "sudo apt-get": ROOTS,
        "sudo useradd": ROOTS,
        "sudo python3": ROOTS,
        "sudo /opt": ROOTS,
        "sudo cp": ROOTS,
        "sudo install deploy": ROOTS,
        "sudo systemctl": ROOTS,
        "curl http://127.0.0.1:8080/readyz": "asks what those units would have started",
    },
    "docs/deploy-kubernetes.md": {"kubectl ": CLUSTER, "cd deploy/kubernetes": CLUSTER},
    "docs/releasing.md": {"cosign verify": REGISTRY, "docker buildx": REGISTRY},
    "docs/usage.md": {
        "sudo apt-get": ROOTS,
        "grep $USER": ROOTS,
    },
}
