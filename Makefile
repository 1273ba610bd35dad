# Each target sets up its own .venv when there is none. Overridable: PYTHON=python3.12, VENV=.venv, ARGS="--boards 8".
# uv is used when it works here, plain pip otherwise; uv never downloads a Python.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-gpu test-train check format bench broker clean

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV ?= .venv
TENSORRT ?= tensorrt-cu13 'cuda-python>=13'
PYTHON ?=
ARGS ?=
BIN := $(VENV)/bin

help:
	@echo "make demo       the whole story on this machine: no camera, no broker, no GPU"
	echo "make test       the tests; make test-slow: the long ones; make test-gpu: those that need a GPU"
	echo "make test-train  trainings for real, in .venv-train"
	echo "make check      ruff, mypy --strict, import-linter; make format: ruff's fixes and layout"
	echo "make bench      benchmarks; make broker: an MQTT broker for development"
	echo "make clean      remove $(VENV)"

demo: $(VENV)/.runtime
	@$(BIN)/edgevision demo $(ARGS)

broker: $(VENV)/.runtime
	@$(BIN)/edgevision broker $(ARGS)

test: $(VENV)/.test
	@$(BIN)/python -m pytest $(ARGS)

test-slow: $(VENV)/.test
	@$(BIN)/python -m pytest -m "slow and not gpu" --timeout 1800 $(ARGS)

# onnxruntime and onnxruntime-gpu fill the same folder, so the GPU has an environment of its own. It lacks what other tests
# need, and their modules could not even be collected.
test-gpu: .venv-gpu/.gpu
	@.venv-gpu/bin/python -m pytest tests/gpu -m gpu --timeout 600 $(ARGS)

# Ultralytics brings opencv-python, which fills the headless one's folder: training has an environment of its own.
test-train: .venv-train/.train
	@.venv-train/bin/python -m pytest tests/training -m train --timeout 900 $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean:
	rm -rf $(VENV) .venv-gpu .venv-train

# A stamp says which extras are in; it ages with pyproject.toml. Extras only ever grow.
%/.runtime: pyproject.toml
	@tools/install.sh "$*" "$(PYTHON)" '.[cpu,broker]'
	touch $@

%/.test: pyproject.toml
	@tools/install.sh "$*" "$(PYTHON)" '.[test]'
	touch $@ "$*/.runtime"

%/.dev: pyproject.toml
	@tools/install.sh "$*" "$(PYTHON)" '.[dev]'
	touch $@ "$*/.runtime" "$*/.test"

%/.train: pyproject.toml
	@tools/install.sh "$*" "$(PYTHON)" '.[train,cpu]' pytest pytest-timeout hypothesis
	touch $@

%/.gpu: pyproject.toml
	@tools/install.sh "$*" "$(PYTHON)" '.[gpu,broker,sink,export]' pytest pytest-timeout hypothesis jsonschema psutil nvidia-ml-py
	@tools/install.sh "$*" "$(PYTHON)" . $(TENSORRT) || echo "without TensorRT: its tests are skipped"
	touch $@
