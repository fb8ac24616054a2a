# Two commands: `make demo` and `make test`. Both need make and Python 3.11 or newer, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TSC := examples/js-client/node_modules/.bin/tsc
STAMP := $(VENV)/.installed

.PHONY: help demo test soak bench lint clean asyncapi requirements venv

help:
	@echo "make demo          serve a paper bot; Ctrl-C ends it (make demo PORT=9000 for another port)"
	@echo "make test          run the tests"
	@echo "make soak          two minutes of siege (make soak MINUTES=60 for longer)"
	@echo "make bench         measure, and write docs/performance.md (make bench QUICK=1: under a minute, compare only)"
	@echo "make lint          formatting, lint, types, import rules"
	@echo "make asyncapi      write docs/asyncapi.json anew"
	@echo "make requirements  pin the development set anew"
	@echo "make clean         remove what make made"

demo: venv
	@$(BIN)/passivbot-ws demo $(if $(PORT),--port $(PORT))

test: venv
	$(BIN)/python -m $(if $(COVERAGE),coverage run -m) pytest $(TESTFLAGS)

soak: venv
	cd tests && $(abspath $(BIN))/python -m soak --minutes $(or $(MINUTES),2)

bench: venv
	$(BIN)/python -m benchmarks $(if $(QUICK),--size quick) $(QUESTIONS)

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@if [ -x $(TSC) ] || [ -n "$$CI" ]; then echo $(TSC); $(TSC) --project examples/js-client; else \
	  echo "make: the JavaScript's types were not checked; npm ci --prefix examples/js-client brings what checks them"; fi

venv: $(STAMP)

$(STAMP): requirements-dev.txt pyproject.toml hookspecs/pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "make: there is no $(PYTHON); try: make PYTHON=python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is older than Python 3.11; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "installing $$(grep -c '==' requirements-dev.txt) packages into $(VENV) (once; some minutes) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "make: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.txt || { \
	  echo "make: pip could not install what requirements-dev.txt lists; is there a network?" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e hookspecs -e .
	@touch $@

asyncapi: venv
	$(BIN)/passivbot-ws asyncapi > docs/asyncapi.json

# uv only writes the file: nothing else here needs it.
requirements: venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url --no-emit-package passivbot-hooks --upgrade \
	  --group dev pyproject.toml hookspecs/pyproject.toml --output-file requirements-dev.txt
	echo uvloop | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url --upgrade - --output-file requirements-speed.txt

clean:
	rm -rf $(VENV) dist build .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	  .import_linter_cache examples/js-client/node_modules tests/contract/node_modules
