VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help install lock run test test-fast test-studies test-chaos test-network simulate check format bench evaluate gates strategies better results same-bits gpu docs clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# The stamp is renewed when what is to be installed changes. Only wheels: building one would fetch what no hash names.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
		{ echo "$(PYTHON) cannot make an environment with pip; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV) (torch is large: a few minutes the first time) ..."
	@$(PIP) --require-hashes --only-binary :all: --requirement constraints.txt
	@$(PIP) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed ## Install everything into .venv, each file checked against its hash

# A version is locked once it has been public for 14 days: most that are malicious are found and withdrawn before.
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--exclude-newer '14 days' --custom-compile-command 'make lock' --extra postgres

lock: install ## Write the locks anew: UPGRADE=all, or UPGRADE='ray numpy'; else what is locked stays
	@$(LOCK) --group dev --output-file constraints.txt \
		$(if $(filter all,$(UPGRADE)),--upgrade,$(UPGRADE:%=--upgrade-package %))
	@echo hatchling | $(LOCK) - --constraint constraints.txt --upgrade --no-annotate \
		--output-file docker/requirements.txt

run: install ## A search on scikit-learn's digits, on this machine, in under 3 minutes
	@$(BIN)/evosearch run configs/digits.yaml
	@echo "(\`source $(BIN)/activate\` puts evosearch on your PATH)"

# What starts Ray has the machine for itself; all else runs in two processes.
PLAIN := not ray and not studies and not chaos and not network

test: install ## All tests but studies, chaos and network
	@$(BIN)/python -m pytest -m "$(PLAIN)" --numprocesses 2 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m pytest -m "ray and not studies and not chaos and not network"

test-fast: install ## Tests that start neither Ray nor a long search
	@$(BIN)/python -m pytest -m "not ray and not slow and not studies and not chaos and not network"

test-studies: install ## Studies on real networks, each killed once and resumed (three minutes)
	@$(BIN)/python -m pytest tests/test_killed_studies.py -m studies

test-chaos: install ## Kill, freeze, drain and starve workers, nodes, disks and drivers (12 minutes)
	@$(BIN)/python -m pytest tests/chaos -m chaos

test-network: install ## Two hosts in network namespaces, their link cut for 30 s (root)
	@$(BIN)/python -m pytest tests/network -m network

SEEDS ?= 10000
simulate: install ## Drivers, nodes and workers that die in virtual time; SEEDS=N of them
	@$(BIN)/python -P -m evosearch.testing.simulation --seeds $(SEEDS)

check: install ## Lint, format, types, the house's walls, and the GPU benchmark dry
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 12
	@$(BIN)/python -P -m evosearch.bench.gpu --dry

format: install ## Format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

# What is generated stands in a page between <!-- NAME --> and <!-- end of NAME -->: $(call into,PAGE,NAME,FILE).
define into
@sed -i -e '/<!-- $(2) -->/,/<!-- end of $(2) -->/{//!d}' -e '/<!-- $(2) -->/r $(3)' $(1)
@rm $(3)
endef

docs: install ## Write what is generated: configs/schema.json, docs/reference.md, the table of docs/protocol.md
	@$(BIN)/python -P -m evosearch.config schema > configs/schema.json
	@$(BIN)/python -P -m evosearch.cli.reference > docs/reference.md
	@$(BIN)/python -P -m evosearch.studies.protocol > docs/table
	$(call into,docs/protocol.md,divergences,docs/table)

# A study whose journal is committed (`evosearch backup NAME docs/results/NAME.db.xz --publish`) is not run again.
COMMITTED := $(patsubst docs/results/%.db.xz,%,$(wildcard docs/results/*.db.xz))
RESULTS ?= $(sort $(COMMITTED) baselines_small ablation_small batchnorm_small ablation_pneumoniamnist batchnorm_kermany)
define result
$(if $(filter $(1),$(COMMITTED)),,@$(BIN)/evosearch $(shell sed -n 's/^  kind: //p' configs/studies/$(1).yaml) configs/studies/$(1).yaml)
@$(BIN)/evosearch results $(1) --format markdown \
	$(if $(filter $(1),$(COMMITTED)),--storage docs/results/$(1).db.xz) > docs/table
$(call into,docs/results.md,$(1),docs/table)
$(if $(filter $(1),$(COMMITTED)),$(if $(shell grep -x '<!-- why $(1) -->' docs/results.md),$(call why,$(1))))

endef
define why
@$(BIN)/evosearch explain search $(1) --format markdown --storage docs/results/$(1).db.xz > docs/table
$(call into,docs/results.md,why $(1),docs/table)
endef

results: install ## Write docs/results.md from docs/results/*.db.xz; small studies without one are run (RESULTS: which; an hour)
	$(foreach study,$(RESULTS),$(call result,$(study)))

BENCH ?= bench steps scheduler
define benched
@$(BIN)/python -P -m evosearch.bench $(filter-out bench,$(1)) | tee docs/table
$(call into,docs/benchmarks.md,$(1),docs/table)

endef

bench: install ## Measure driver, journal, replay and scheduler (half an hour); writes the tables of docs/benchmarks.md (BENCH: which)
	$(foreach table,$(BENCH),$(call benched,$(table)))

SIZES ?= 32 64
define evaluated
@$(BIN)/evosearch bench evaluate --size $(1) | tee docs/table
$(call into,docs/benchmarks.md,evaluate $(1),docs/table)

endef

evaluate: install ## Candidates an hour, ours and ordinary loops (SIZES: of images; 27 minutes each); into docs/benchmarks.md
	$(foreach size,$(SIZES),$(call evaluated,$(size)))

# What it measures is kept in HOME, and for the table of others beside the code: those of equal fingerprints count.
HOME_OF := $(or $(EVOSEARCH_HOME),runs)
gates: install ## Compare bf16 with fp32 for `make evaluate` (SIZES; half an hour at 32); into evosearch/bench/equivalence.jsonl
	@for size in $(SIZES); do $(BIN)/evosearch bench evaluate --gates --size $$size; done
	@cp $(HOME_OF)/bench/equivalence.jsonl evosearch/bench/equivalence.jsonl

NAS ?= $(EVOSEARCH_DATA)/nas/nasbench201.csv
strategies: install ## Search NAS-Bench-201's table (NAS=FILE) by our evolution and others; into docs/benchmarks.md (3 minutes)
	@$(BIN)/evosearch bench strategies --table $(NAS) > docs/table
	$(call into,docs/benchmarks.md,strategies,docs/table)
	@$(BIN)/evosearch bench strategies --table $(NAS) --noise 0.5,1.5 --repeats 150 --seed 7 > docs/table
	$(call into,docs/benchmarks.md,luck,docs/table)

# Goes on where the committed copy of its journal stands, and renews it. MINUTES: after which it stops, to be made again.
BETTER := docs/better/better_xrays
better: install ## Search until the winner beats hand-made networks (MINUTES=N of it; 16 hours in all); into docs/benchmarks.md
	@mkdir -p $(dir $(BETTER))
	@$(BIN)/evosearch bench better configs/studies/better_xrays.yaml $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(wildcard $(BETTER).db.xz),--from $(BETTER).db.xz) > docs/table
	@rm -f $(BETTER).new.db.xz
	@$(BIN)/evosearch backup better_xrays $(BETTER).new.db.xz --publish
	@mv $(BETTER).new.db.xz $(BETTER).db.xz
	$(call into,docs/benchmarks.md,better,docs/table)
	@if [ -f $(HOME_OF)/better_xrays/better.png ]; then cp $(HOME_OF)/better_xrays/better.png $(BETTER).png; fi

OLD ?= HEAD
same-bits: install ## Train and search with the commit OLD (default: HEAD) and this tree; fails unless every bit is the same
	@$(BIN)/python -P -m evosearch.bench.same_bits $(OLD)

GPU ?= runs/gpu
gpu: install ## On a machine with a GPU: its tests, then what it does, into GPU.json, GPU.md, GPU-packing.json (default: runs/gpu; 10 minutes) and docs/benchmarks.md
	@$(BIN)/python -m pytest -m gpu
	@$(BIN)/python -P -m evosearch.bench.gpu --output $(GPU)
	@cp $(GPU).md docs/table
	$(call into,docs/benchmarks.md,gpu,docs/table)

clean: ## Remove caches; keeps .venv and runs
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage dist build
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
