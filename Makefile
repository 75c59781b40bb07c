# `make start` runs the portal, `make test` the tests; both set up all they need first.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for c in python3.14 python3.13 python3.12 python3 "$$HOME"/.pyenv/versions/3.1[234]*/bin/python; do \
	"$$c" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && command -v "$$c" && break; done)

.PHONY: start test lint format lock messages screenshots benchmarks batteries load image clean

start: $(VENV)/runtime.stamp
	@exec $(BIN)/python manage.py start

test: $(VENV)/dev.stamp
	@BIN=$(BIN) sh tests/run.sh

lint: $(VENV)/dev.stamp
	@BIN=$(BIN) sh tests/lint.sh

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format --quiet .
	git ls-files -z '*.html' | xargs -0 $(BIN)/djade --target-version 6.1 || true
	git ls-files -z '*.html' | xargs -0 $(BIN)/djhtml --tabwidth 2 || true

# The lock is made from pyproject.toml by uv (pip install uv). Its own lock file carries absolute addresses and stays out.
# The lock names every package, so pip resolves nothing (--no-deps): a release of today changes no installation.
lock:
	uv lock --upgrade
	uv export -q --frozen --no-header --no-emit-project --no-dev -o requirements.txt
	uv export -q --frozen --no-header --no-emit-project --all-groups -o requirements-dev.txt

# Texts of the pages below /accounts/ into locale/de/LC_MESSAGES/django.po, and that into django.mo.
messages: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.messages

screenshots: $(VENV)/dev.stamp
	$(BIN)/python -m tests.screenshots

benchmarks: $(VENV)/dev.stamp
	$(BIN)/python -m tests.benchmarks $(ARGS)

# The attacks, kills and torn files of the suite in their thousands: an hour or more. Keeps what they found under docs/.
batteries: $(VENV)/dev.stamp
	@BIN=$(BIN) sh tests/batteries.sh $(ARGS)

# Hundreds of people who poll and work, half an hour of it, and clients who take their time: more than an hour. Keeps the
# numbers in docs/batteries/load.txt; ARGS="poll50 burst" runs parts of it.
load: $(VENV)/dev.stamp
	$(BIN)/python -m tests.load $(ARGS)

# What a release is built with: its revision, and the time of that as the time of every file.
image:
	docker build -t getscreen-portal:$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
		--build-arg REVISION=$$(git rev-parse HEAD) --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .

clean:
	rm -rf $(VENV) var .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.12 or newer is needed and was not found. Install it, or run: make PYTHON=/path/to/python3.13 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing (Debian: apt install python3-venv)."; exit 1; }

$(VENV)/runtime.stamp: requirements.txt | $(VENV)/bin/python
	@test -f $(VENV)/dev.stamp || $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	@test ! -f $(VENV)/dev.stamp || $(MAKE) -s $(VENV)/dev.stamp
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt | $(VENV)/bin/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@touch $@
