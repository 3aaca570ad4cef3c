"""Which lines of the documents no test runs, by page and how they begin, and why."""

HETZNER = "needs an account at Hetzner"
CLUSTER = "needs a cluster"
ROOTS = "changes the machine's packages, accounts or units"
REGISTRY = "needs an image that was published"
LAID = "wants an engine; tests/test_server_restore.py does it to a server that was set up by the same script"
NEVER: dict[str, dict[str, str]] = {
    "README.md": {
        "make demo": "docs/quickstart.md has it, too, and it is run there",
        "make test": "it is what runs the tests",
    },
    "docs/backup.md": {
        "aicd restore --only qdrant": "wants a Qdrant; the tests beside its client do it at a stand-in",
        "systemctl stop postgresql": LAID,
        "install -d": LAID,
        "aicd restore --at": LAID,
        "aicd restore --finish": LAID,
        "# start it there": LAID,
    },
    "docs/secrets.md": {"restic ": "asks for passwords at a terminal"},
    "docs/deploy.md": {
        "apt-get install": ROOTS,
        "certbot certonly": "needs a name that leads to the machine",
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
        "export XDG_RUNTIME_DIR": "only for the line after next",
        "podman pull": "pulls an image from a public registry",
        "AICD_SANDBOX=podman": "wants that image; packages/sandbox tests podman with one of its own",
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
"""Lines that a test types at a Docker Engine alone."""
