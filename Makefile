# Two commands matter: `make run` opens the terminal on manifests/, `make test` runs every test.
# Both set up what they need: a virtual environment (.ci/venv), and what the machine lacks (.ci/install).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-tests run test lint unit e2e fuzz bench screenshots clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# An environment whose Python has gone is no environment.
$(shell [ -x $(BIN)/python ] || rm -f $(VENV)/.installed $(VENV)/.installed-dev)

help:
	@echo "make run      open the terminal on manifests/ (sets up everything first)"
	@echo "make test     lint, types and all tests (sets up everything first)"
	@echo "make fuzz     try properties on new examples until one fails (make test takes the same ones each time)"
	@echo "make bench    measure; writes tests/benchmarks/RESULTS.md"
	@echo "make lint     ruff and mypy alone"
	@echo "make setup    what make run needs; .venv/bin/kubetui is the program then"
	@echo "make clean    remove the virtual environment and caches"

setup: $(VENV)/.installed
	@.ci/install run

$(BIN)/python:
	@.ci/venv "$(PYTHON)" $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing kubetui into $(VENV)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@

setup-tests: $(VENV)/.installed $(VENV)/.installed-dev
	@.ci/install test

# Without some images the terminal still opens, and shows which pods wait for one.
run: setup
	@$(BIN)/python -m manifests.images manifests || true
	@exec $(BIN)/kubetui manifests

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -q -n 2 --dist loadfile tests/unit tests/integration tests/snapshots

e2e: setup-tests
	$(BIN)/pytest -q tests/e2e

fuzz: setup-tests
	@while KUBETUI_FUZZ=1 $(BIN)/pytest -q -n 2 -m hypothesis tests/unit tests/integration; do :; done

test:
	@.ci/run

bench: setup-tests
	$(BIN)/python -m tests.benchmarks

screenshots: setup-tests
	$(BIN)/python -m tests.snapshots.screenshots

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
