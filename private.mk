# Targets of this tree that the public one, exported without this file, does not have.
.PHONY: test-compose test-host browser test-browser screenshots public public-check public-test private-layers private-bench
DEST ?= build/public

public: install ## the tree without its private parts, in DEST (build/public)
	@$(BIN)/python scripts/make_public.py $(DEST)

# What this tree has downloaded need not be downloaded again for the other one.
public-check public-test: export UV_CACHE_DIR := $(CURDIR)/.tools/cache

public-check: public ## that tree: check, demo, and tests of each member
	@$(MAKE) --no-print-directory -C $(DEST) check demo
	@cd $(DEST) && .venv/bin/pytest tests/test_docs.py tests/test_own_rules.py apps/cli/tests packages/core/tests/test_dummy_agent*.py

public-test: public ## that tree: check, demo and all its tests
	@cd $(DEST) && rm -rf .git && git init -q -b main && git add --all && for part in first second; do \
		git -c user.name=Public -c user.email=public@example.invalid commit -q --allow-empty -m "As it is published, $$part" || exit; done
	@$(MAKE) --no-print-directory -C $(DEST) check demo test

check: private-layers
private-layers: install
	@$(BIN)/lint-imports --config .importlinter-private >.venv/.layers 2>&1 || { cat .venv/.layers; exit 1; }

bench: private-bench
private-bench: install
	@$(BIN)/python bench/api.py
	@$(BIN)/python bench/console.py
	@.tools/bin/uv pip install --quiet --require-hashes -r bench/requirements.lock || echo "bench: some peers are left out"
	@$(BIN)/python bench/retrieval.py

BROWSER_TESTS := apps/backend/tests/browser

browser: install portal-tools
	@scripts/bootstrap.sh --browser
	@.tools/bin/uv pip install --quiet --require-hashes -r $(BROWSER_TESTS)/requirements.lock

test-browser: browser ## the console in a real browser (Debian's Chromium)
	@$(BIN)/pytest $(BROWSER_TESTS) -n 1

screenshots: browser ## docs/images, of the console's main pages
	@$(BIN)/pytest $(BROWSER_TESTS)/screenshots.py -n 0

# docker/compose.yml started whole. Of these programs only what the machine lacks is unpacked; podman and debootstrap it has to have.
COMPOSE_TOOLS := docker:docker.io dockerd:docker.io containerd:containerd runc:runc docker-init:tini iptables:iptables ip:iproute2 pebble:pebble
test-compose: install ## docker/compose.yml started whole, in network namespaces of its own; needs root, debootstrap and podman
	@scripts/debian_tools.sh $(COMPOSE_TOOLS)
	@scripts/compose_images.sh
	@scripts/compose_machine.sh $(BIN)/pytest tests/test_compose_up.py -n 0

test-host: install ## a machine without containers set up as its page says, in a Debian with systemd; needs root, debootstrap and podman
	@podman image exists localhost/aicd-base || scripts/base_image.sh
	@podman image exists localhost/aicd-sandbox-test || scripts/sandbox_image.sh
	@scripts/debian_tools.sh pebble:pebble
	@podman build --quiet --network host --format docker --tag localhost/aicd-bare-machine tests/machine >/dev/null
	@TEST_MACHINE=aicd-machine-$$$$ $(BIN)/pytest tests/test_host_up.py -n 0
