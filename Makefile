# One command each. Every target makes the virtual environment first when it is missing or out of date.
#   make demo              train on Python's own documentation and show what the model writes (about two minutes)
#   make demo TEXT=file    the same on your own text
#   make test              every test but the long ones        make test-long   all of them
#   make lint              style, types, generated pages       make docs        write the generated pages anew
#   make bench             measure against torch.nn on this machine
# PYTHON=python3.12 chooses the interpreter that the environment is made from.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-long lint docs bench clean
.DEFAULT_GOAL := test

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Ricorso needs Python 3.11 or newer, found $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "The virtual environment could not be made (Debian and Ubuntu: install the package python3-venv)." >&2; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,text]'
	@touch $@

demo: $(READY)
	$(BIN)/ricorso demo $(if $(TEXT),'$(TEXT)')

test: $(READY)
	$(BIN)/python -m pytest -q

test-long: $(READY)
	$(BIN)/python -m pytest -q -m 'long or not long'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

docs: $(READY)
	$(BIN)/python docs/generate.py

bench: $(READY)
	@for question in benchmarks/*.py; do echo "== $$question"; $(BIN)/python $$question || exit 1; done

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
