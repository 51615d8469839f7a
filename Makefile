# Two commands matter: `make run` opens the terminal on manifests/, `make test` runs every test.
# Both set up what they need: a virtual environment, and through apt-get what the machine lacks.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo-images run test lint unit e2e bench screenshots clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Debian packages by the command (or file) that shows they are there.
RUN_NEEDS := podman:podman runc:runc /usr/lib/podman/netavark:netavark iptables:iptables ip:iproute2 newuidmap:uidmap \
	slirp4netns:slirp4netns fuse-overlayfs:fuse-overlayfs nsenter:util-linux
TEST_NEEDS := tmux:tmux kubectl:kubernetes-client

help:
	@echo "make run      open the terminal on manifests/ (sets up everything first)"
	@echo "make test     lint, types and all tests (sets up everything first)"
	@echo "make bench    measure; writes tests/benchmarks/RESULTS.md"
	@echo "make lint     ruff and mypy alone"
	@echo "make setup    what make run needs; .venv/bin/kubetui is the program then"
	@echo "make clean    remove the virtual environment and caches"

# $(1): pairs command:package. Installs the packages whose command is not there.
define install
	@missing=""; \
	for pair in $(1); do \
		what="$${pair%%:*}"; \
		if ! { [ -e "$$what" ] || PATH="$$PATH:/usr/sbin:/sbin" command -v "$$what" >/dev/null; }; then \
			missing="$$missing $${pair##*:}"; \
		fi; \
	done; \
	if [ -n "$$missing" ]; then \
		if ! command -v apt-get >/dev/null; then \
			echo "Please install with your package manager:$$missing" >&2; exit 1; \
		fi; \
		echo "Installing$$missing"; \
		$(SUDO) apt-get update -qq; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
endef

setup: $(VENV)/.installed
	$(call install,$(RUN_NEEDS))

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "kubetui needs Python 3.11 or newer; set PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Installing python3-venv"; $(SUDO) apt-get update -qq; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup-tests: setup $(VENV)/.installed-dev
	$(call install,$(TEST_NEEDS))

demo-images: setup
	$(BIN)/python -m manifests.images

run: demo-images
	@exec $(BIN)/kubetui manifests

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -q -n 2 --dist loadfile tests/unit tests/integration tests/snapshots

e2e: setup-tests
	$(BIN)/pytest -q tests/e2e

test: setup-tests
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory e2e

bench: setup-tests
	$(BIN)/python -m tests.benchmarks

screenshots: setup-tests
	$(BIN)/python -m tests.snapshots.screenshots

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
