# Watershed: `make demo` runs the lake on this machine, `make test` proves it. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.installed
SQL_ON_FHIR_TESTS ?= ../shared/sql-on-fhir-v2/tests

.PHONY: help setup browser demo test lint format types unit conformance spark4 bench synth dictionary deploy diff destroy bootstrap lock clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  \1\t/' | expand -t 14

setup: $(SETUP) ## the virtual environment, from the hash-pinned lock (skipped when up to date)

$(SETUP): requirements.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "Watershed needs Python 3.11 (AWS Glue 5.1 runs it). Try: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@echo "Setting up .venv (about 2.5 GB, a few minutes the first time) ..."
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-build.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-build-isolation -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(SETUP)

browser: ## Chromium, for the tests of the console's page (Debian and its kin; needs root)
	@command -v chromium >/dev/null || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium; }

demo: $(SETUP) ## the whole lake on this machine, with sample data
	@$(BIN)/watershed demo

test: $(SETUP) ## lint, types and every test
	@$(BIN)/python -m scripts.test

lint: $(SETUP) ## ruff: lint and format check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(SETUP) ## ruff: fix and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(SETUP) ## mypy, strict
	@$(BIN)/mypy

spark4: $(SETUP) ## the SQL on FHIR runner on Spark 4.1.1 (Glue 6.0), ANSI mode on and off
	@$(BIN)/python -m scripts.spark4

bench: $(SETUP) ## the SQL on FHIR runner beside DuckDB and plain Spark
	@$(BIN)/python -m benchmarks.sql_on_fhir

unit: $(SETUP) ## the fast tests only (no Spark, no emulator)
	@$(BIN)/pytest -q -m 'not spark and not e2e'

conformance: $(SETUP) ## SQL on FHIR v2: our cases, and the official ones from SQL_ON_FHIR_TESTS (or ../shared)
	@$(BIN)/watershed view conformance tests/conformance/cases
	@if [ -d "$(SQL_ON_FHIR_TESTS)" ]; then \
	  $(BIN)/watershed view conformance "$(SQL_ON_FHIR_TESTS)" --report .watershed/sql-on-fhir-report.json; \
	else \
	  echo "No official cases: set SQL_ON_FHIR_TESTS to the tests folder of a FHIR/sql-on-fhir-v2 checkout."; \
	fi

synth: $(SETUP) ## synthesize the CloudFormation into .watershed/cdk.out; cfn-lint and cdk-nag
	@$(BIN)/python -m infra.rules

deploy: $(SETUP) ## to the AWS account of watershed.yaml (docs/deploy.md)
	@$(BIN)/watershed deploy --aws

diff: $(SETUP) ## what a deployment to AWS would change
	@$(BIN)/watershed diff

destroy: $(SETUP) ## remove the deployment from AWS, but for what holds data
	@$(BIN)/watershed destroy

bootstrap: $(SETUP) ## set the account of watershed.yaml up for the CDK, once
	@$(BIN)/watershed bootstrap

dictionary: $(SETUP) ## docs/data-dictionary.md, from the declarations
	@$(BIN)/python -m scripts.data_dictionary

lock: ## renew the lock files (needs uv on the path)
	@printf 'pip\nsetuptools\nwheel\n' | uv pip compile - -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements-build.lock
	@uv pip compile pyproject.toml --extra dev -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock
	@uv pip compile requirements-spark4.in -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements-spark4.lock

clean: ## remove the environment and all local state
	@[ ! -x $(BIN)/watershed ] || $(BIN)/watershed down --purge
	@rm -rf .venv .venv-spark4 build *.egg-info
