.DEFAULT_GOAL := help
.PHONY: help setup check format test test-backups test-read-your-writes red-team bench-outage bench-waiting bench-streams bench-decisions bench-writes bench-boots bench-pages bench-idle bench-visible bench-restart bench-restart-scheduler bench-overload bench-refusals bench-image-stores plots sim sim-long sim-shrink sim-kills sim-bugs model demo demo-volumes demo-stop image lab lab-status \
	lab-partition lab-kill-host lab-kill lab-kill-nats lab-heal lab-down lab-test lock clean

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

bench-outage: ## the bus goes away under load, and comes back: HOSTS=1000 CLUSTERS=10 GUESTS=5 RATE=1000 DOWN=10
	@scripts/setup && .venv/bin/python -m benchmarks.outage --hosts $(or $(HOSTS),1000) --clusters $(or $(CLUSTERS),10) \
	    --guests $(or $(GUESTS),5) --rate $(or $(RATE),1000) --down $(or $(DOWN),10)

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

test-backups: ## backups to each kind of server: it is killed, the owners die, and all is restored elsewhere: GUESTS=1000
	@scripts/test-backups $(or $(GUESTS),1000)

red-team:   ## a fallen host with its real keys attacks the bus, with and without the broker's permissions: COUNT=1000000
	@scripts/red-team --count $(or $(COUNT),1000000)

model:      ## every state of small models of deeds and of readers
	@scripts/model

bench-waiting: ## how soon after a stage's commit the answer comes that waits for it: COUNT=1000 PROJECTS=1 PER_S=40
	@scripts/setup && .venv/bin/python -m benchmarks.waiting --count $(or $(COUNT),1000) \
	    --projects $(or $(PROJECTS),1) --per-s $(or $(PER_S),40)

bench-decisions: ## how long it takes to choose a host: HOSTS="1000 10000 100000"
	@scripts/setup && .venv/bin/python -m benchmarks.decisions --hosts $(or $(HOSTS),1000 10000 100000)

bench-writes: ## what a change costs a store on its disk, with ever more records: RECORDS=100000 ROUNDS=4
	@scripts/setup && .venv/bin/python -m benchmarks.writes --records $(or $(RECORDS),100000) --rounds $(or $(ROUNDS),4)

bench-boots: ## what a boot costs in a simulated region: HOSTS=1000 CLUSTERS=10 PROJECTS=20 GUESTS=1000 ROUNDS=3
	@scripts/setup && .venv/bin/python -m benchmarks.boots --hosts $(or $(HOSTS),1000) --clusters $(or $(CLUSTERS),10) \
	    --projects $(or $(PROJECTS),20) --guests $(or $(GUESTS),1000) --rounds $(or $(ROUNDS),3)

bench-pages: ## what a page of servers costs, with ever more of others: GUESTS="10000 100000 1000000"
	@scripts/setup && .venv/bin/python -m benchmarks.pages --guests $(or $(GUESTS),10000 100000 1000000)

bench-idle:   ## what connected hosts cost a scheduler and an API: HOSTS=10000 CLUSTERS=20 FOR_S=60
	@scripts/setup && .venv/bin/python -m benchmarks.idle --hosts $(or $(HOSTS),10000) --clusters $(or $(CLUSTERS),20) \
		--for-s $(or $(FOR_S),60)

bench-visible: ## how soon what a host commits is in a view: HOSTS=1000 CLUSTERS=10 RATES="100 300 1000" FOR_S=20 IDLE_FOR_S=0
	@scripts/setup && .venv/bin/python -m benchmarks.visible --hosts $(or $(HOSTS),1000) --clusters $(or $(CLUSTERS),10) \
		--rates $(or $(RATES),100 300 1000) --for-s $(or $(FOR_S),20) --idle-for-s $(or $(IDLE_FOR_S),0)

bench-restart: ## how soon an API process answers when it is started: HOSTS=100 GUESTS=1000000 TAIL=100000
	@scripts/setup && .venv/bin/python -m benchmarks.restart --hosts $(or $(HOSTS),100) --guests $(or $(GUESTS),1000000) \
		--tail $(or $(TAIL),100000)

bench-restart-scheduler: ## how soon a scheduler chooses when it is started: CROWD=100000 HOSTS=100 TAIL=100000
	@scripts/setup && .venv/bin/python -m benchmarks.restart_scheduler --crowd $(or $(CROWD),100000) \
	    --hosts $(or $(HOSTS),100) --tail $(or $(TAIL),100000)

plots:      ## draw the curves of docs/performance.md from the results that are kept
	@scripts/setup && .venv/bin/python -m benchmarks.plots

bench-overload: ## ten times as much is asked as can be done: HOSTS=200 CLUSTERS=4 PROJECTS=20 TIMES=10 FOR_S=600
	@scripts/setup && .venv/bin/python -m benchmarks.overload --hosts $(or $(HOSTS),200) --clusters $(or $(CLUSTERS),4) \
		--projects $(or $(PROJECTS),20) --times $(or $(TIMES),10) --for-s $(or $(FOR_S),600)

bench-refusals: ## what it costs to refuse a guest: COUNT=100000
	@scripts/setup && .venv/bin/python -m benchmarks.refusals --count $(or $(COUNT),100000)

bench-image-stores: ## how fast image bytes go into each store and out of it: MIB=256 ROUNDS=5
	@scripts/setup && .venv/bin/python -m benchmarks.image_stores --mib $(or $(MIB),256) --rounds $(or $(ROUNDS),5)

bench-streams: ## readers of events while API processes are killed and started again: READERS=1000 KILLS=6
	@scripts/setup && .venv/bin/python -m benchmarks.streams --readers $(or $(READERS),1000) --kills $(or $(KILLS),6)

demo:       ## a real guest, from nothing, in one command
	@scripts/demo

demo-volumes: ## volumes with real guests: booted from, written, kept, extended, given to another
	@scripts/demo demo_volumes

demo-stop:  ## take the demo's cloud down, and leave nothing behind
	@scripts/demo-stop

image:      ## build the demo image from Debian's packages
	@scripts/demo-image

lab:        ## a cloud of eight machines in two clusters on this one: HYPERVISOR=simulated for guests that aren't real
	@scripts/lab up $(if $(filter simulated,$(HYPERVISOR)),--simulated)

lab-status: ## what runs in it, and what is cut off
	@scripts/lab status

lab-partition: ## cut a cluster off: CLUSTER=c1
	@scripts/lab partition $(or $(CLUSTER),c1)

lab-kill-host: ## take a machine's power away: HOST=c1-h1
	@scripts/lab kill-host $(or $(HOST),c1-h1)

lab-kill:   ## kill -9 of one process: PROCESS=control
	@scripts/lab kill $(or $(PROCESS),control)

lab-kill-nats: ## kill -9 of a nats-server: PROCESS=control, c1-node or c2-node
	@scripts/lab kill-nats $(or $(PROCESS),control)

lab-heal:   ## mend what was cut, start what was killed
	@scripts/lab heal

lab-down:   ## take it down, and leave nothing behind
	@scripts/lab down

lab-test:   ## guests across hosts and tenants, and everything killed and cut off under load; ten minutes
	@scripts/lab-test

lock:       ## make the locks again from pyproject.toml
	@scripts/lock

clean:      ## remove what setup and the tools have made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
