# AI-CD. `make demo` and `make test` need nothing but python3, git and make; everything else is brought along.
.DEFAULT_GOAL := help
.PHONY: help install demo test check format generate portal portal-tools bench lock deploy rollback clean
BIN := .venv/bin
# What tests run beside the locked packages: a program, or a file of Debian's, and the package that brings it.
DEBIAN_TOOLS := \
	promtool:prometheus \
	shellcheck:shellcheck \
	nginx:nginx-light \
	usr/share/nginx/modules-available/mod-http-modsecurity.conf:libnginx-mod-http-modsecurity \
	usr/share/modsecurity-crs/owasp-crs.load:modsecurity-crs \
	amtool:prometheus-alertmanager \
	restic:restic \
	sshd:openssh-server \
	ssh:openssh-client \
	cloud-init:cloud-init
# Of a newer Debian than ours; where its archive does not answer, the tests that want them say that they were skipped.
NEWER_TOOLS := \
	kubectl:kubectl \
	cosign:cosign \
	docker:docker-cli \
	docker-registry:docker-registry \
	usr/libexec/docker/cli-plugins/docker-buildx:docker-buildx

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: ## uv, the locked packages, bubblewrap, libseccomp
	@scripts/bootstrap.sh

demo: install ## an issue becomes a pull request on a sample repository
	@$(BIN)/aicd demo

test: install portal-tools ## all tests
	@scripts/debian_tools.sh $(DEBIAN_TOOLS)
	@SUITE=trixie scripts/debian_tools.sh $(NEWER_TOOLS) || echo "test: tests of what Debian 13 brings are skipped"
	@$(BIN)/pytest

test-images: install ## the images, built and run by podman or docker on a base of Debian's packages; needs root and debootstrap
	@podman image exists localhost/aicd-base || scripts/base_image.sh
	@$(BIN)/pytest tests/test_images.py -n 0

check: install ## format, lint, types, layers, our own rules
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary packages/*/src apps/*/src bench scripts
	@$(BIN)/lint-imports --config .importlinter >.venv/.layers 2>&1 || { cat .venv/.layers; exit 1; }
	@$(BIN)/python scripts/check_rules.py
	@$(BIN)/python scripts/make_settings_table.py --check
	@$(BIN)/python scripts/make_metrics_table.py --check
	@$(BIN)/python scripts/make_dashboards.py --check
	@$(BIN)/python scripts/make_seccomp.py --check
	@$(BIN)/python scripts/make_clients.py --check
	@echo "check: clean"

format: install ## format, and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: install ## the API's document, the front ends' types and tables, the tables of settings and figures, dashboards, the picture of the tables
	@$(BIN)/python scripts/make_clients.py
	@$(BIN)/python scripts/make_settings_table.py
	@$(BIN)/python scripts/make_metrics_table.py
	@$(BIN)/python scripts/make_dashboards.py
	@$(BIN)/python scripts/make_seccomp.py
	@$(BIN)/python scripts/make_er_diagram.py

PORTAL ?= .venv/share/aicd/portal
portal: install portal-tools ## the documentation as a site, in PORTAL, where the API server finds it
	@$(BIN)/python scripts/build_portal.py $(PORTAL)

portal-tools: install
	@.tools/bin/uv pip install --quiet --require-hashes -r docs/requirements.lock

bench: install ## measure, as ratios against a floor in the same run
	@$(BIN)/python bench/run_overhead.py
	@$(BIN)/python bench/large_repository.py
	@$(BIN)/python bench/tenancy.py
	@$(BIN)/python bench/policy.py
	@$(BIN)/python bench/sandbox.py
	@$(BIN)/python bench/chaos.py
	@$(BIN)/python bench/recovery.py
	@.tools/bin/uv pip install --quiet --require-hashes -r bench/requirements.lock || echo "bench: some peers are left out"
	@$(BIN)/python bench/orchestrator.py
	@$(BIN)/python bench/observability.py
	@$(BIN)/python bench/webhooks.py

lock: install ## lock the newest packages that fit
	@scripts/lock.sh --upgrade

deploy: ## a release onto a machine: HOST=… [VERSION=1.2.3 IMAGES=… | REVISION=…] [DRY_RUN=1] (docs/deploy-hetzner.md)
	@deploy/hetzner/deploy.sh deploy

rollback: ## the release before that again: HOST=… [DRY_RUN=1]
	@deploy/hetzner/deploy.sh rollback

clean: ## remove what make brought along
	rm -rf build .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

-include private.mk
