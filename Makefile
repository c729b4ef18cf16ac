# Lienthong. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

LOCALITIES ?= da-nang,hue,ha-noi,quang-ninh
REPLAY ?= examples/week.csv.gz
JOURNEYS ?= examples/journeys.yaml
# A week in half a minute: slow enough to watch.
SPEED ?= 20000
TESTS := $(wildcard $(addprefix tests/,unit contract integration journeys faults telemetry docs))

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench soak proto lock clean

##@ Start here
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## Make .venv with the lienthong command in it

run: setup ## Four localities, a week of readings, three journeys across sectors; stays up until Ctrl-C
	$(BIN)/lienthong up --localities $(LOCALITIES) --replay $(REPLAY) --speed $(SPEED) --journeys $(JOURNEYS) $(FRESH)

##@ Before a commit
test: setup ## Unit, contract and integration tests, journeys and faults; ARGS="-k name" chooses
	$(BIN)/python -m pytest $(ARGS) $(TESTS)

check: setup ## Style, contracts, import rules, types, documented commands: fastest first
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/buf lint
	$(BIN)/python tools/buf_breaking.py
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/docs

##@ Takes longer
bench: $(VENV)/.bench ## Measure against peers and raw parts, as ratios of one run; ARGS="unary --runs 1" chooses
	$(BIN)/python -m bench $(ARGS)

soak: setup ## Long fault, load and soak runs
	$(BIN)/python -m pytest -m soak --timeout 0 $(ARGS) $(TESTS)

##@ Upkeep
proto: setup ## Generate code from protos/ into build/gen
	$(BIN)/python hatch_build.py

lock: ## Resolve requirements.lock anew from pyproject.toml; ARGS=--upgrade takes newer versions
	PYTHON="$(PYTHON)" tools/lock $(ARGS)

clean: ## Remove .venv, generated code and caches; data in .lienthong stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml hatch_build.py $(shell find protos -name '*.proto')
	@PYTHON="$(PYTHON)" tools/setup $(VENV)
	@touch $@

$(VENV)/.bench: $(READY) requirements-bench.lock
	$(BIN)/python -m pip install --disable-pip-version-check -qq --require-hashes --requirement requirements-bench.lock
	@touch $@
