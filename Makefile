# Needs Python 3.11 or later and make; everything else goes into .venv.

# The first that is new enough, whatever it is called here. Or name one: make test PYTHON=/opt/py/bin/python
PYTHON ?=
CANDIDATES = python3 python3.14 python3.13 python3.12 python3.11 python
# Further arguments for pytest: make test PYTEST_ARGS='-k rollback -x'
PYTEST_ARGS ?=
# Arguments for the schema page: make schema SCHEMA_ARGS=--check
SCHEMA_ARGS ?=
# Arguments for the page of the API and its examples: make api API_ARGS=--check
API_ARGS ?=
# Which benchmarks, and options for them: make bench BENCH_ARGS='flights --runs 1'
BENCH_ARGS ?=

BIN = .venv/bin
INSTALLED = .venv/.installed

.DEFAULT_GOAL = help
.PHONY: help demo test lint types check picture schema api bench clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## migrate, seed and verify a private PostgreSQL under .lfmigrate/
	$(BIN)/lfmigrate up --embedded
	$(BIN)/lfmigrate seed --embedded
	$(BIN)/lfmigrate verify --embedded
	@echo 'To look at the tables in a browser: $(BIN)/lfmigrate serve --embedded --open'

test: $(INSTALLED) ## run the tests on the embedded PostgreSQL, or the server in LFMIGRATE_TEST_URL
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS) tests

lint: $(INSTALLED) ## look for mistakes and unformatted code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(INSTALLED) ## check the types
	$(BIN)/mypy src tests bench docs .ci/servers.py .ci/tools.py

check: lint types ## lint and types

picture: $(INSTALLED) ## redraw the README's picture from a real run
	$(BIN)/python docs/make_picture.py

schema: $(INSTALLED) ## regenerate docs/schema.md from a database
	$(BIN)/python docs/make_schema.py $(SCHEMA_ARGS)

api: $(INSTALLED) ## regenerate docs/api.md and the dashboard's examples from a database
	$(BIN)/python -m docs.make_api $(API_ARGS)

bench: $(INSTALLED) ## measure everything, and write bench/results.md
	$(BIN)/python -m bench $(BENCH_ARGS)

# Not .lfmigrate: the demo's database lives there, which may have rows of yours.
clean: ## remove .venv, caches and built packages
	rm -rf .venv dist .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find bench docs src tests .ci -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian's Python comes without what makes a virtual environment; looking for ensurepip finds out
# before a half-made .venv does. A candidate may exist and not run (pyenv's shims), so each is run.
$(INSTALLED): pyproject.toml
	@python=''; \
	for candidate in $(or $(PYTHON),$(CANDIDATES)); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "error: no Python 3.11 or later was found as any of: $(or $(PYTHON),$(CANDIDATES))" >&2; \
	  echo "hint: Install one, or name it: make PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "error: $$python has no venv module" >&2; \
	  echo "hint: On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  exit 1; \
	fi; \
	if [ ! -x $(BIN)/python ]; then \
	  echo "making .venv with $$("$$python" --version)"; \
	  "$$python" -m venv .venv; \
	fi
	@echo "installing lfmigrate and its tools into .venv"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	@touch $@
