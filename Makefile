# `make demo` shows the shop, `make test` runs every test; what both need is in README.md.
# What stands in .venv comes from the lock files, hash by hash, and is installed once for each state of them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PORT ?= 8000
NAME ?=
export PORT
export OPENBLAS_NUM_THREADS := 1
# Everything but the tests themselves runs with the virtual environment's programs in front.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# One process per core, four at most: each has its own PostgreSQL and Redis. TEST_JOBS=0 is one process, for a debugger.
TEST_JOBS ?= logical
TESTS := $(BIN)/python -m pytest -q -n $(TEST_JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

PACKAGES := personalization segments recommender experiments
CHECKED := $(PACKAGES) tests bench manage.py

.PHONY: help demo up test test-deep check bench clean lock openapi pictures browser libgomp

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) libgomp ## everything up with a demo shop
	LOG_LEVEL="$${LOG_LEVEL:-WARNING}" exec $(BIN)/python manage.py demo

up: $(STAMP) libgomp ## web, processor, worker and beat under one supervisor
	exec $(BIN)/python manage.py up

test: $(DEV_STAMP) libgomp browser ## all tests
	$(TESTS) -m "not deep"

test-deep: $(DEV_STAMP) libgomp browser ## the long versions too: faults, properties, simulations
	$(TESTS)

check: $(DEV_STAMP) ## lint, types, contracts, schema
	$(BIN)/python -m tests.check $(CHECKED)

bench: $(DEV_STAMP) libgomp ## every benchmark, or NAME=decide alone
	$(BIN)/python -m bench $(NAME)

# Where the environment no longer works, the lock of `manage.py up` says whether it runs.
LOCAL_DIR ?= .local
LOCK_UP := import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)
clean: ## stop the project's own servers and remove what was made here
	@if $(BIN)/python manage.py servers status >/dev/null 2>&1; then $(BIN)/python manage.py servers remove; \
	else case "$$($(PYTHON) -c '$(LOCK_UP)' "$(LOCAL_DIR)/up.lock" 2>&1 || true)" in *BlockingIOError*) \
		echo "\`manage.py up\` or \`make demo\` runs in $(LOCAL_DIR): stop it first, with Ctrl-C where it was started" >&2; \
		exit 1;; \
	esac; fi
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

openapi: $(DEV_STAMP) ## write docs/openapi.yaml anew
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

LOCK := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra embedded
lock: $(DEV_STAMP) ## pin anew what pyproject.toml asks for
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "python3.11 cannot make virtual environments; on Debian: apt-get install python3.11-venv"; exit 1; }

$(STAMP): requirements.lock | $(BIN)/python
	@echo "Installing packages (once) ..."
	$(PIP) install --require-hashes -r requirements.lock
	@touch $@

# A superset of requirements.lock, so a fresh clone that only tests installs once.
$(DEV_STAMP): requirements-dev.lock requirements.lock | $(BIN)/python
	@echo "Installing packages for tests and checks (once) ..."
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $(STAMP) $@

libgomp: $(BIN)/python
	@$(BIN)/python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null \
		|| { [ "$$(uname)" != Linux ] || { echo "The system's libgomp is missing (the recommender needs it); on Debian: apt-get install libgomp1"; exit 1; }; }

pictures: $(DEV_STAMP) browser ## take the README's pictures anew
	PICTURES=1 $(BIN)/python -m pytest -q tests/browser/test_pictures.py

# The browser tests drive Debian's Chromium, without a window if it is there. Without it, and without the right to install it,
# they skip and say so.
browser:
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing Debian's chromium for the browser tests ..."; \
			export DEBIAN_FRONTEND=noninteractive; \
			{ apt-get update -qq && { apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-liberation fonts-dejavu \
				|| apt-get install -y -qq chromium; }; } >/dev/null 2>&1 \
				|| echo "chromium could not be installed: the browser tests will be skipped"; \
		else \
			echo "chromium is missing: the browser tests will be skipped (apt-get install chromium)"; \
		fi; }
