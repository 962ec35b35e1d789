# Needs Python 3.11 or newer, make and a package index. Everything else is in .venv, which is created on
# first use and updated when requirements.lock or pyproject.toml changes.

PYTHON  ?= python3
WORKERS ?= 2
REP     ?= V**2*V.T+5V0
GROUP   ?= SO(3)

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
CODE  := solver cache api tests benchmarks docs examples

# Recipes read REP and GROUP from the environment, so that the shell does not interpret parentheses, stars and quotes.
export REP GROUP
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# One BLAS thread per worker: otherwise each worker starts a thread per core, and they compete.
# Workers share the GPU, if any, so none may preallocate its memory.
# Many tests start processes: these keep compiled modules, even if the environment disables that.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 XLA_PYTHON_CLIENT_PREALLOCATE=false \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help serve try test slow image processors check types bench bench-paper format lock docs screenshots clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do \
		printf '  make %-11s %s\n' "$$name" "$$text"; done

serve: $(READY) ## Start the service on this machine and print its URL (PORT=8000)
	@$(BIN)/intertwine serve $${PORT:+"--port=$$PORT"}

try: $(READY) ## Solve REP='V**2*V.T+5V0' for GROUP='SO(3)' and print the basis with its certificate
	@$(BIN)/intertwine basis $${GROUP:+"--group=$$GROUP"} -- "$$REP"

test: $(READY) ## Run the tests, without those marked slow
	$(PYTEST) -m "not slow"

slow: $(READY) ## Run the tests marked slow
	$(PYTEST) -m slow

# A base from Debian's packages takes the place of the pinned one, so no container engine or registry is needed.
image: $(READY) ## Build the container image with buildah in build/image, and test it (needs root; apt: buildah mmdebstrap)
	tests/docker/build.sh build/image
	INTERTWINE_IMAGE=$(CURDIR)/build/image $(PYTEST) tests/docker/test_image.py

# Compares the library's decisions between kernels, and runs the tests whose results could depend on rounding.
processors: $(READY) ## Compare the library's decisions between the BLAS kernels of several processors, and run numerical tests
	PYTHONDONTWRITEBYTECODE= $(BIN)/python tests/helpers/processors.py -q -m "not slow" -n $(WORKERS) --dist worksteal \
		tests/vis tests/irreps/test_catalogue.py

check: $(READY) ## Run every check that a change must pass: format, lint, types, tests, documentation
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(MAKE) --no-print-directory --jobs=2 --output-sync types docs
	$(MAKE) --no-print-directory test

types: $(READY) ## Check the types
	$(BIN)/mypy

bench: $(READY) ## Time the solver, the store, the service and the networks
	$(BIN)/python benchmarks/solve.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/serve.py
	$(BIN)/python benchmarks/train_step.py

bench-paper: $(READY) ## Compare with the paper's figures on its tasks, at every size: an hour or two
	$(BIN)/python benchmarks/paper.py --rows build/paper.jsonl --plot build

format: $(READY) ## Format the code and apply the linter's fixes
	$(BIN)/ruff check --fix-only $(CODE)
	$(BIN)/ruff format $(CODE)

docs: $(READY) ## Build the documentation in build/docs; a warning is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning docs build/docs

# The image's locks have the versions of requirements.lock, where it has the package.
COMPILE := $(BIN)/uv pip compile --universal --generate-hashes --no-header --quiet $(if $(UPGRADE),--upgrade)
SERVICE := pyproject.toml --extra serve --extra nn --extra postgres --extra otel --extra lab --extra vis --constraint requirements.lock

lock: $(BIN)/uv ## Update the locks after a change of dependencies (UPGRADE=1: to the newest versions)
	$(COMPILE) pyproject.toml --extra all --group dev --output-file requirements.lock
	$(COMPILE) --group pyproject.toml:image --constraint requirements.lock --output-file docker/build.lock
	$(COMPILE) $(SERVICE) --output-file docker/cpu.lock
	$(COMPILE) $(SERVICE) --group cuda13 --output-file docker/cuda13.lock

# Needs a browser: apt-get install chromium-headless-shell.
screenshots: $(READY) ## Take the screenshots of the documentation again
	INTERTWINE_SCREENSHOTS=$(CURDIR)/docs $(PYTEST) -n 0 -k screenshots_of_the_documentation tests/api/server/console/test_pages_in_a_browser.py

clean: ## Remove the environment and all build products
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Intertwine needs Python 3.11 or newer; \
	this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: | $(BIN)/pip
	$(BIN)/pip install --quiet uv

# uv takes seconds instead of pip's minute, but does not exist for every platform and ignores pip.conf. The lock has
# a hash for every file, and `sync` also removes packages that are not in the lock.
$(READY): requirements.lock pyproject.toml | $(BIN)/pip
	@{ $(MAKE) --silent --no-print-directory $(BIN)/uv && \
		$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock; } || \
	{ echo "uv failed here; using pip, which takes longer." && \
		$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock; }
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
