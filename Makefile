# recollect: every way to build, run and check the project. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INPUTS := pyproject.toml constraints.txt

# pyright comes whole from the package index, with its own node: nothing else is fetched, nothing outside is asked.
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install install-dev demo serve test check format lint types contracts tests bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## create .venv with recollect in it, in the tested versions

install-dev: $(VENV)/.installed-dev ## the same, with the tools of `make check`

demo: install ## import, tune, evaluate and explain on the bundled log, in five minutes
	$(BIN)/recollect demo

serve: runs/demo/run.json ## serve the demo run, with a page at http://127.0.0.1:8000
	$(BIN)/recollect serve runs/demo runs/demo/data

runs/demo/run.json: | install
	$(BIN)/recollect demo

test: install-dev ## set up, then run every check
	@$(MAKE) --no-print-directory --jobs 2 check

check: format lint types contracts tests ## format, lint, types, import contracts and tests

format:
	$(BIN)/ruff format --check .

lint:
	$(BIN)/ruff check .

types:
	$(BIN)/pyright

contracts:
	$(BIN)/lint-imports

tests:
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 20

bench: install ## measure speed, as ratios within one run
	$(BIN)/python -m benchmarks

clean: ## remove the environment, caches and build output; keeps runs/
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "recollect needs Python 3.11 or newer; got $$($(PYTHON) --version 2>&1); do: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 5; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(INPUTS) | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(INPUTS) | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.installed
