# Two commands matter most: `make demo` shows everything working, `make test` runs all that CI runs.
# Both run as root and install what they need.

SHELL := /bin/bash
export HUBAGENT_CACHE := $(or $(HUBAGENT_CACHE),$(HOME)/.cache/hubagent)
export PYTHONDONTWRITEBYTECODE := 1

PY := build/venv/bin/python
HUB_PY := build/hub-venv/bin/python

# The agent runs on Debian's Python and Debian's libraries, so that is what its tests run on.
APT := python3-venv python3-gi python3-brotli python3-pydbus python3-watchdog python3-docker python3-yaml python3-bcrypt \
       python3-prometheus-client python3-jinja2 python3-cryptography nginx-light nftables openssl shellcheck prometheus \
       strace postgresql iproute2

.DEFAULT_GOAL := help
.PHONY: help
help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Environments

.PHONY: venv
venv: build/venv/.done build/hub-venv/.made-from build/proxy/.made-from ## make the environments of developers

build/venv/.done: tests/requirements.txt Makefile
	packaging/apt_install.sh $(APT)
	/usr/bin/python3 -m venv --clear --system-site-packages build/venv
	$(PY) -m pip install -q --disable-pip-version-check -r tests/requirements.txt
	touch $@

build/hub-venv/.made-from: $(wildcard packaging/jupyterhub/*) packaging/hub_venv.sh
	packaging/hub_venv.sh build/hub-venv
	touch $@

build/proxy/.made-from: $(wildcard packaging/proxy/*) packaging/proxy.sh
	packaging/proxy.sh build/proxy
	touch $@

# Checks and tests

.PHONY: check
check: venv ## linters, types, import rules
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(HUB_PY) -m mypy --config-file=hubagent/hub/mypy.ini -p hubagent.hub
	build/venv/bin/lint-imports

.PHONY: test
test: ## everything that CI runs
	tests/run.sh

.PHONY: test-fast
test-fast: venv ## what needs no machine: seconds
	$(PY) -m pytest -q tests/unit

.PHONY: test-faults
test-faults: venv repo ## every fault of docs/reliability.md, on the rig that fits it; PARTS="unit contract" or PARTS=P6 for some
	tests/guest_venv.sh
	$(PY) -m tests.faults.run $(PARTS)

.PHONY: test-releases
test-releases: venv repo ## every test of booted machines on Debian 12 and on 13 (`make test` runs most on one of them)
	$(PY) -m pytest -q -n 2 --dist loadgroup --durations=25 tests/machine --ignore=tests/machine/test_rig_traces.py

.PHONY: test-slow
test-slow: venv repo ## what takes minutes of processor time, and `make test` therefore leaves out
	tests/guest_venv.sh
	$(PY) -m pytest -q -m slow -n 2 --dist loadgroup --durations=15 tests/machine
	build/guest-venv/bin/python -m pytest -q -m slow tests/guest

.PHONY: test-busy
test-busy: venv repo ## the ten most important machine tests at a load of 10 a core; ARGS="-k bookworm" for some
	$(PY) -m tests.busy $(ARGS)

.PHONY: fuzz
fuzz: build/fuzz-venv/.done ## fuzz loader and both sockets, FUZZ_S seconds each (300); TARGETS="loader spawn" for some
	build/fuzz-venv/bin/python -m tests.fuzz.run $(or $(FUZZ_S),300) $(TARGETS)

build/fuzz-venv/.done: tests/fuzz/requirements.txt tests/requirements.txt
	packaging/apt_install.sh $(APT)
	/usr/bin/python3 -m venv --clear --system-site-packages build/fuzz-venv
	build/fuzz-venv/bin/python -m pip install -q --disable-pip-version-check \
		-r tests/requirements.txt -r tests/fuzz/requirements.txt
	touch $@

.PHONY: bench
bench: deb ## measure, against the alternative in the same run; writes build/bench/*.json
	tests/bench/run.sh

.PHONY: real-julia
real-julia: repo ## the official Julia, IJulia and Pluto in a browser; needs the internet, or IMAGE= of `docker save`
	$(PY) -m tests.bench.real_julia $(if $(IMAGE),--image $(IMAGE))

.PHONY: soak
soak: venv repo ## everything at random on one booted machine; SOAK_S=1200 seconds, SOAK_SEED= the same order again
	$(PY) -m tests.soak.run

.PHONY: dev
dev: build/venv/.done ## the agent on a machine in memory, for who works on it: edit build/dev/hubagent.yaml, see 127.0.0.1:9811
	@exec $(PY) -m tests.dev build/dev

# Packages

.PHONY: deb
deb: ## dist/*.deb
	packaging/build.sh

.PHONY: repo
repo: deb ## dist/repo, a signed APT repository of dist/*.deb
	packaging/repo.sh

.PHONY: lint-deb
lint-deb: deb ## lintian
	packaging/lint.sh

# Demonstration

.PHONY: demo
demo: venv ## boot a throw-away Debian, apt install hubagent in it, leave it running
	$(PY) -m tests.machine.demo up

.PHONY: demo-down
demo-down: ## remove the demonstration, without a trace
	$(PY) -m tests.machine.demo down

.PHONY: julia-versions
julia-versions: build/venv/.done ## conf/image/julia-versions.json by Julia's own list; needs the internet
	mkdir -p build/julia
	curl -fsSL -o build/julia/versions.json https://julialang-s3.julialang.org/bin/versions.json
	$(PY) packaging/julia_versions.py build/julia/versions.json >build/julia/julia-versions.json
	mv build/julia/julia-versions.json conf/image/julia-versions.json

.PHONY: clean
clean: ## remove what was built here (caches outside stay)
	rm -rf build dist
