.DEFAULT_GOAL := help
.PHONY: help setup check format test test-read-your-writes sim sim-long sim-shrink sim-kills sim-bugs model demo demo-stop image lock clean

help:       ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:      ## install what is missing, and make .venv (quick when there is nothing to do)
	@scripts/setup

check:      ## style, types, import contracts, the walls of the house
	@scripts/check

format:     ## lay out the code as `make check` wants it
	@.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .

test:       ## the whole suite; with real guests where this is root and QEMU is there
	@scripts/test

sim:        ## the whole cloud on a virtual clock, everything going wrong: SEEDS=100 FIRST_SEED=1, or FAULTS=5000000
	@scripts/sim $(if $(FAULTS),--seeds 0 --faults $(FAULTS),--seeds $(or $(SEEDS),100)) --first-seed $(or $(FIRST_SEED),1)

sim-long:   ## the same until 100 million faults; broken off, it goes on where it was: JOURNAL=sim-long.jsonl
	@scripts/sim --seeds 0 --faults $(or $(FAULTS),100000000) --first-seed $(or $(FIRST_SEED),1) --journal $(or $(JOURNAL),sim-long.jsonl)

sim-shrink: ## the failing run of FIRST_SEED, made as small as it can be, told as a story
	@scripts/sim --shrink --first-seed $(FIRST_SEED)

sim-kills:  ## kill -9 of every process at every durable step, and every two kills in create and delete: SHARE=1
	@scripts/setup && .venv/bin/python -m freehold.sim.kills --share $(or $(SHARE),1)

sim-bugs:   ## plant each bug of the table and show how fast the simulation finds it
	@scripts/sim-bugs

test-read-your-writes: ## 10,000 guests made, read, listed and deleted through two API processes by turns
	@scripts/test-read-your-writes

model:      ## every state of small models of deeds and of readers
	@scripts/model

demo:       ## a real guest, from nothing, in one command
	@scripts/demo

demo-stop:  ## take the demo's cloud down, and leave nothing behind
	@scripts/demo-stop

image:      ## build the demo image from Debian's packages
	@scripts/demo-image

lock:       ## make the locks again from pyproject.toml
	@scripts/lock

clean:      ## remove what setup and the tools have made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
