# Every command makes the virtual environment it needs; only Python 3.10 or newer has to be there.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# Tests start Python some hundred times: what it compiles is kept.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo run test quick coverage lint types format docs constraints dist image bench vectors fuzz soak drills system clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, not " + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python setup.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(BIN)/python setup.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## Send, deliver, track and reply, end to end (KEEP=1 leaves it running)
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

run: $(VENV)/.demo ## Start the mail server as a developer's mail catcher, in ./postal
	@$(BIN)/postal-server --config postal/postal.yml run --initialize

test: $(VENV)/.dev ## Run all tests but those of system and drills (ARGS='-k name' to choose)
	$(BIN)/python -m tests $(ARGS)

system: $(VENV)/.dev ## Run the tests with other people's mail programs, with faults, and with floods (ARGS as above)
	$(BIN)/python -m tests --system $(ARGS)

quick: $(VENV)/.dev ## Run the quick tests (ARGS='-k name' to choose)
	$(BIN)/python -m pytest -n auto -m "not slow and not serial" $(ARGS)

coverage: $(VENV)/.dev ## Run what each pair of versions runs, and fail if it reaches fewer branches than it did
	$(BIN)/python -m pytest -n auto -m "not serial and (not slow or versions)" --cov $(ARGS)

lint: $(VENV)/.dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy anymail_postal postal_server example_project demo

format: $(VENV)/.dev ## Mend what the linter can mend, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## Build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

constraints: $(VENV)/.dev ## Renew constraints.txt: the newest versions of what a deployment installs, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --generate-hashes \
		--extra server --extra postgres --extra mariadb \
		--custom-compile-command 'make constraints' --output-file constraints.txt setup.cfg

dist: $(VENV)/.dev ## Build the wheel and the source archive into dist
	rm -rf dist
	$(BIN)/uv build --quiet --out-dir dist

# Docker, or Podman where there is no Docker.
ENGINE ?= $(notdir $(shell command -v docker || command -v podman))

image: ## Build the container image with docker or podman (ENGINE=podman)
	@test '$(ENGINE)' || { echo 'Docker or Podman is needed.' >&2; exit 1; }
	$(ENGINE) build $(if $(filter podman,$(ENGINE)),--format docker) --file Containerfile --tag anymail-postal \
		--build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' anymail_postal/__init__.py)" \
		--build-arg REVISION="$$(git rev-parse HEAD)" .

bench: $(VENV)/.dev ## Measure us and what peers are installed, side by side
	$(BIN)/python -m benchmarks $(ARGS)

vectors: $(VENV)/.dev ## Compare with recordings of a real Postal (OUT=DIR keeps the recording, VECTORS=DIR uses others)
	$(BIN)/python -m tests.vectors $(if $(VECTORS),--vectors $(VECTORS)) $(if $(OUT),--out $(OUT))

fuzz: $(VENV)/.dev ## Fuzz each parser for SECONDS (600), or some (TARGET='smtp_dialogues dns_answers')
	@# Guided by coverage where Atheris has a wheel for this Python and machine.
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) $(TARGET)

soak: $(VENV)/.dev ## The tests of faults at length, an hour (KILLS=200, SEED=1, MINUTES=10, DATABASE=sqlite for one)
	KILLS=$(or $(KILLS),200) SEED=$(or $(SEED),1) MINUTES=$(or $(MINUTES),10) SECONDS_AWAY=$(or $(SECONDS_AWAY),60) \
	$(BIN)/python -m pytest tests/faults $(if $(DATABASE),-k $(DATABASE)) $(ARGS)

drills: $(VENV)/.dev ## Run the long tests, then remove each security guard and see it missed, an hour (CASES='smuggling SQL' for some guards alone)
	@# Too long for .ci/run, as are fuzz and soak: kills and faults are drilled there.
	$(if $(CASES),,$(BIN)/python -m tests --system $(ARGS))
	$(if $(CASES),,$(BIN)/python -m pytest -m drill $(ARGS))
	$(if $(CASES),,$(BIN)/python -m pytest -n auto -m hypothesis --hypothesis-profile long $(ARGS))
	$(BIN)/python -m tests.security.remove_guards $(CASES)

clean: ## Remove what the other commands made, but for ./postal
	rm -rf $(VENV) build dist docs/_build .tox .mypy_cache .ruff_cache .pytest_cache *.egg-info
