# Every target works from a fresh clone, in a path with a space, and from elsewhere as `make -C FOLDER TARGET`.
PYTHON ?= python3
# Of `make serve`: a version; without one, the champion of what conf/ trains.
MODEL  ?=
PORT   ?= 5000
# Of `make test` and `make quick`: on two cores a third process works while others wait. Each takes 2 GB.
TEST_PROCESSES ?= 3
# Of `make experiments`: how many commits to look back.
COMMITS ?= 1
# Of `make bench`: these make a full run, in about 20 minutes.
SECONDS  ?= 5
ROUNDS   ?= 3
REQUESTS ?= 200000
# Of `make bench-training`: options, such as "--seeds 1 --presets mlp cnn_fast".
TRAINING ?=

BIN := .venv/bin
# Stages call `python`, and `mlflow models serve` calls `uvicorn`: both must be the environment's.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH
unexport PYTHONHOME
# Scripts in .venv name the place where it was made; a link to another environment is a person's own affair.
STALE := $(shell test -L .venv || ! test -e $(BIN)/pip || grep -qF "$(CURDIR)/.venv/" $(BIN)/pip || echo moved-venv)

.PHONY: help repro experiments test quick check bench bench-training ui serve lock clean distclean moved-venv
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

repro: .venv/requirements  ## run what has changed of: download, train, import, package, evaluate, register, serve
	@since=$$(date +%s); python -m dvc repro && python -m modelyard.overview.results --since $$since

experiments: .venv/requirements  ## show the experiments of `dvc exp run`, fewest errors first (COMMITS=1 to look back)
	@python -m modelyard.overview.experiments_table --commits $(COMMITS)

test: .venv/requirements-dev  ## run all tests
	@python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

quick: .venv/requirements-dev  ## run only the quick tests, in two minutes
	@python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder -m "not slow"

check: .venv/requirements-dev  ## lint, formatting, types, links and commands in the documentation
	@ruff check . && ruff format --check . && mypy && python -m pytest -q tests/repository/test_docs.py tests/repository/test_advice.py

bench: .venv/requirements  ## measure serving beside other servers; for a quick look SECONDS=1 ROUNDS=1 REQUESTS=10000
	@python -m benchmarks.serving --seconds $(SECONDS) --rounds $(ROUNDS) --requests $(REQUESTS)

bench-training: .venv/requirements  ## fit all presets beside the textbook script; for a quick look TRAINING="--seeds 1"
	@python -m benchmarks.training $(TRAINING)

ui: .venv/requirements  ## compare versions in the MLflow UI, on loopback (PORT=5000)
	@python -m modelyard.ui --port $(PORT)

serve: .venv/requirements  ## answer HTTP requests from one version (MODEL=models:/NAME@champion PORT=5000)
	@MLFLOW_TRACKING_URI="$$(python -m modelyard.tracking.address)" \
	    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false mlflow models serve --model-uri "$(or $(MODEL),$$(python -c "from modelyard.params import load_params; print(load_params().serve.trained)"))" --env-manager local --host 127.0.0.1 --port $(PORT)

lock: .venv/requirements  ## compile pyproject.toml into the requirements files, with hashes (needs uv)
	@set -e; compile="uv pip compile -q --universal --generate-hashes --no-annotate --no-header -c constraints.txt"; \
	    $$compile --extra dev pyproject.toml -o requirements-dev.txt; \
	    $$compile --extra pipeline -c requirements-dev.txt pyproject.toml -o requirements.txt; \
	    $$compile --extra s3 --group image-build -c requirements-dev.txt pyproject.toml -o deploy/requirements.txt; \
	    $$compile --group record-image -c requirements-dev.txt -o deploy/record/requirements.txt; \
	    $$compile --extra spark -c requirements-dev.txt pyproject.toml -o .ci/requirements-spark.txt; \
	    $$compile --group tracking -c requirements-dev.txt -o deploy/tracking/requirements.txt; \
	    for peer in litserve bentoml; do \
	        $$compile --python-version 3.11 benchmarks/peers/$$peer.in -o benchmarks/peers/$$peer.txt; done

clean:  ## remove what stages and tools made, but not DVC's cache, the registry and .venv
	rm -rf data models bundles proofs served registered.json reports/*/
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find src pipelines tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

distclean: clean  ## remove everything that is not in Git, including the registry and all versions
	rm -rf .venv .bench .downloads .checkpoints .dvc/cache .dvc/tmp mlflow.db* mlartifacts src/*.egg-info

# A file in .venv says which requirements are installed, so that a second run installs nothing.
.venv/requirements: requirements.txt pyproject.toml $(STALE)
	@$(call install,requirements.txt)
	@touch $@

.venv/requirements-dev: requirements-dev.txt pyproject.toml $(STALE)
	@$(call install,requirements-dev.txt)
	@touch .venv/requirements $@

moved-venv:
	@echo "the folder was moved: .venv still names its old place, so it is made again"
	@rm -rf .venv

define install
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or newer, PYTHON=$(PYTHON) is " + sys.version.split()[0])' && \
echo "installing $(1) into .venv (a few minutes, once)" && \
"$(PYTHON)" -m venv .venv && \
$(BIN)/python -m pip install --quiet --require-hashes -r $(1) && \
$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endef
