# make run: set-up and the demo day. make test: set-up and all checks. Nothing else is needed on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

# Compiled modules are kept, whatever the environment says: a start without them takes seconds longer, each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test check evaluate lock clean

help:
	@echo "make run       play the demo day: http://127.0.0.1:8080"
	@echo "make test      all checks: style, types, floors, tests"
	@echo "make check     style, types and floors only"
	@echo "make evaluate  measure the shipped model on labelled data (in \$$HARKEN_SHARED/data); figures go to docs/triage.md"
	@echo "make lock      write requirements.lock anew from pyproject.toml"

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: setup
	$(BIN)/harken run --config deploy/demo/config.toml --sign-in-link

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

evaluate: setup
	@test -n "$$HARKEN_SHARED" || { echo "set HARKEN_SHARED to the folder that holds data/" >&2; exit 2; }
	$(BIN)/harken evaluate --data "$$HARKEN_SHARED/data" --document docs/triage.md --output docs/triage

lock: setup
	$(BIN)/python deploy/lock.py > requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
