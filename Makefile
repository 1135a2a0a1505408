# Everything a fresh checkout needs: Python 3.11 or newer and make. `make help` lists the targets.

SHELL  := /bin/bash
VENV   ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := install --require-hashes --no-deps
TEST   ?=
# Tests wait for real nodes half of the time: two workers for each core.
WORKERS ?= $(shell echo $$((2 * $$(nproc))))
DEMO   ?=
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format format-check types contracts check bench dist dist-check test-interop ray pictures man locks audit clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

# One stamp per installed set, so that a second run costs nothing.
$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || packaging/create-venv "$(PYTHON)" $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.created requirements/run.lock requirements/build.lock pyproject.toml
	$(PIP) $(LOCKED) -r requirements/run.lock
	$(PIP) $(LOCKED) -r requirements/build.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	$(PIP) $(LOCKED) -r requirements/dev.lock
	@touch $@

$(VENV)/.dist: $(VENV)/.run requirements/dist.lock
	$(PIP) $(LOCKED) -r requirements/dist.lock
	@touch $@

setup: $(VENV)/.dev ## install everything development needs into .venv

demo: $(VENV)/.run ## two nodes, one private set intersection (DEMO="--parties 3 --keep" adds options)
	$(BIN)/nodeconsole demo $(DEMO)

test: $(VENV)/.dev ## all tests (TEST="tests/unit -k ledger" selects)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TEST)

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check .

format: $(VENV)/.dev ## rewrite the sources in the project's format
	$(BIN)/ruff format .

format-check: $(VENV)/.dev ## is everything formatted
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.dev ## import contracts between the layers
	$(BIN)/lint-imports

check: format-check lint types contracts test ## what CI runs

bench: $(VENV)/.dev ## benchmarks, at most twelve minutes, prints ratios
	$(BIN)/python -m benchmarks

dist: $(VENV)/.dist ## the standalone executable dist/nodeconsole, checked by running the demo with it
	$(BIN)/pyinstaller --noconfirm --log-level WARN --distpath dist --workpath build/pyinstaller packaging/nodeconsole.spec
	$(MAKE) dist-check

dist-check: ## run the demo with dist/nodeconsole where there is no Python
	packaging/check-executable dist/nodeconsole

test-interop: $(VENV)/.dev ## the spu wheel and the pack `algorithms` through nodes (large download, own environment)
	packaging/interop-venv "$(PYTHON)" .venv-interop
	NODECONSOLE_INTEROP_WHEELS=$(CURDIR)/.venv-interop/wheels NODECONSOLE_INTEROP_PYTHON=$(CURDIR)/.venv-interop/bin/python $(BIN)/python -m pytest -m interop tests/interop

ray: ## Ray in an environment of its own, for the tests of its runner (400 MB)
	packaging/ray-venv "$(PYTHON)" .venv-ray

man: $(VENV)/.run ## the manual page build/nodeconsole.1
	@mkdir -p build
	$(BIN)/nodeconsole man > build/nodeconsole.1

pictures: $(VENV)/.dev ## docs/pictures, drawn from a seeded node
	$(BIN)/python -m tests.support.pictures docs/pictures

locks: $(VENV)/.dev ## resolve requirements/*.in again (needs the network)
	packaging/compile-locks $(BIN)/python

audit: ## known vulnerabilities in what is locked (asks an advisory service: needs the network)
	test -x .venv-audit/bin/pip-audit || { "$(PYTHON)" -m venv .venv-audit && .venv-audit/bin/pip install --quiet pip-audit; }
	for lock in run dev dist; do .venv-audit/bin/pip-audit --disable-pip --require-hashes -r requirements/$$lock.lock || exit 1; done

clean: ## remove what builds and tests left (not .venv)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
