# Everything sets itself up: a fresh clone needs Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The oldest versions that pyproject.toml allows have an environment of their own.
LOWEST_VENV := .venv-lowest
LOWEST_PYTHON := $(LOWEST_VENV)/bin/python
LOWEST_STAMP := $(LOWEST_VENV)/.installed

# The benchmark has an environment of its own: nobody who installs the engine should get its peers.
BENCH_VENV := .venv-bench
BENCH_PYTHON := $(BENCH_VENV)/bin/python
BENCH_STAMP := $(BENCH_VENV)/.installed
PEERS := bayesianbandits mabwiser gittins pybandits
BENCH_SEEDS ?= 5
BENCH_PROCESSES ?= 2
# Commits of other versions of the engine that take part, with commas.
BENCH_VERSIONS ?=
BENCH_OUT ?= bench

# The matrices are small: one thread of linear algebra for each process is fastest.
export OPENBLAS_NUM_THREADS ?= 1

# Compiled modules are kept: the workers of a test run and every process that a test starts would compile them again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test lowest slow notebooks lint types imports check docs reference bench clean
.NOTPARALLEL:

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## Create .venv with the pinned versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## Run one retail campaign from segment rules to groups compared live (under a minute)
	$(BIN)/python -m simulator.campaign.demo --out demo

test: $(STAMP) ## Run the fast tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

$(LOWEST_STAMP): pyproject.toml constraints-lowest.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
		{ echo "The oldest versions are published for Python 3.11 and 3.12 only; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make lowest PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(LOWEST_VENV)
	$(LOWEST_PYTHON) -m pip install --quiet --constraint constraints-lowest.txt --editable '.[report,frames,dashboard,parquet,service,openfeature,cluster,notebooks,test]'
	@touch $@

lowest: $(LOWEST_STAMP) ## Run the fast tests with the lowest versions that pyproject.toml allows
	$(LOWEST_PYTHON) -m pytest -q -n 2 -m "not slow"

slow: $(STAMP) ## Run the slow tests: statistics, notebooks, calibration, kills, the installed package
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

notebooks: $(STAMP) ## Run the notebooks and store their outputs
	$(BIN)/python -m tests.docs.notebooks

lint: $(STAMP) ## Lint and check the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Check the types
	$(BIN)/mypy

imports: $(STAMP) ## Check that imports go one way
	$(BIN)/lint-imports

# The fast tests come last, so that the last line of a run is their sum.
check: lint types imports slow test ## Everything CI runs

docs: $(STAMP) ## Build the documentation into docs/_build/html, without a network
	$(BIN)/python -m sphinx -q -W --keep-going -b html -c docs . docs/_build/html
	@echo "Open docs/_build/html/docs/index.html"

reference: $(STAMP) ## Write the generated pages of the documentation, and the output that its pages show
	$(BIN)/python -m tests.docs.regenerate

$(BENCH_STAMP): pyproject.toml simulator/bench/constraints.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_PYTHON) -m pip install --quiet --constraint simulator/bench/constraints.txt \
		--editable '.[service,cluster]' httpx matplotlib pytest hypothesis scikit-learn $(PEERS)
	@touch $@

bench: $(BENCH_STAMP) ## Compare the engine with other libraries, in earnings and in speed (hours; resumes where it was left)
	$(BENCH_PYTHON) -m simulator.bench --seeds $(BENCH_SEEDS) --processes $(BENCH_PROCESSES) --versions '$(BENCH_VERSIONS)' --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench speed --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench settings --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench methods --seeds $(BENCH_SEEDS) --processes $(BENCH_PROCESSES) --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench opening --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench start --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench many --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench service --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench rows --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench crash --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench power --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.bench soak --out $(BENCH_OUT)
	$(BENCH_PYTHON) -m simulator.validation.calibration --processes $(BENCH_PROCESSES) --out $(BENCH_OUT)/calibration
	@if [ -n "$$OFFER_BANDIT_OBP_PYTHON" ]; then $(BENCH_PYTHON) -m simulator.bench ope --out $(BENCH_OUT); \
		else echo "OFFER_BANDIT_OBP_PYTHON is not set: evaluation is not timed beside Open Bandit Pipeline"; fi

clean: ## Remove the environments, caches, the built documentation and the demo's files
	rm -rf $(VENV) $(LOWEST_VENV) $(BENCH_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache docs/_build demo build dist *.egg-info
