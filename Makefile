# Every target makes what it needs: a machine with Python >= 3.11, pip and make is enough.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
JOBS   ?= 4
PYTEST  = $(BIN)/python -m pytest -q --numprocesses $(JOBS) --dist loadfile
PKGS    = harness results sandbox tasks

# Tests start hundreds of processes: each module is compiled once, also where the caller's environment would have it compiled by each.
test test-fast: export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test test-fast check fix bench dist docs clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/.installed: pyproject.toml constraints.txt | build/types
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,check,docs]'
	@touch $@

demo: $(BIN)/.installed   ## train small models that predict one token and two, three seeds each, and judge the difference
	$(BIN)/mtp-eval demo

test: $(BIN)/.installed   ## run the tests, in JOBS=4 processes: many of them wait
	$(PYTEST)

test-fast: $(BIN)/.installed   ## run the tests that take under a second or two each
	$(PYTEST) -m "not slow"

check: $(BIN)/.installed   ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(BIN)/.installed   ## let ruff mend what it can, and write the README's tree and the page of claims anew
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m tests.readme_tree
	$(BIN)/python -m tests.claims_page

bench: $(BIN)/.installed   ## list the benchmarks
	@$(BIN)/python -m benchmarks

dist: $(BIN)/.installed   ## build the source archive and the wheel, and run the wheel's demo from an empty folder
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	.ci/try-wheel

docs: $(BIN)/.installed   ## build the documentation as a site in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

build/types:     ## links that let editors and type checkers see mtp_eval.* (to folders, so that new files need no rerun)
	mkdir -p $@/mtp_eval
	for p in $(PKGS); do ln -sfn ../../../$$p $@/mtp_eval/$$p; done

clean:           ## remove what make made
	rm -rf $(VENV) build dist *.egg-info
