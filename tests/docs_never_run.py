"""Which lines of the documents no test runs, by page and how they begin, and why."""

from aicd_core.backups.stores import installed_stores

HETZNER = "needs an account at Hetzner"
CLUSTER = "needs a cluster"
ROOTS = "changes the machine's packages, accounts or units"
BACKUPS = "tests/test_docs_backup.py makes backups; the clone that is brought on is a machine's own"
REGISTRY = "needs an image that was published"
NEVER: dict[str, dict[str, str]] = {
    "README.md": {
        "make demo": "docs/quickstart.md has it, too, and it is run there",
        "make test": "it is what runs the tests",
    },
    "docs/backup.md": {
        **({} if "qdrant" in installed_stores() else {"aicd restore --only qdrant": "no agent here keeps vectors"}),
    },
    "docs/deploy.md": {
        "apt-get install": ROOTS,
        "certbot certonly": "needs a name that leads to the machine",
    },
    "docs/secrets.md": {"sudo systemctl": ROOTS},
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
        "curl -k https://aicd.example.com": "asks what those units would have started",
        "version=$(git": ROOTS,
        "sudo ln": ROOTS,
        "sudo certbot": "needs a name that leads to the machine",
        "sudo install -d -m 0750 -g prometheus": ROOTS,
        "sudo aicd backup run && git pull": "would change the tree that is tested",
        "ls -t /opt/aicd": ROOTS,
    },
    "docs/deploy-kubernetes.md": {"kubectl ": CLUSTER, "cd deploy/kubernetes": CLUSTER},
    "docs/releasing.md": {"cosign verify": REGISTRY, "docker buildx": REGISTRY},
    "docs/usage.md": {
        "sudo apt-get": ROOTS,
        "grep $USER": ROOTS,
    },
}
ENGINE = {
    "docs/deploy.md": (
        "docker compose -f docker/compose.yml",
        "curl -k https://aicd.example.com",
        "c restart backup",
        "c exec backup aicd",
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
