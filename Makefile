SHELL := /bin/bash
CACHE ?= $(or $(HUBAGENT_CACHE),$(HOME)/.cache/hubagent)
export HUBAGENT_CACHE := $(CACHE)
PY := build/venv/bin/python

APT := python3-venv python3-gi python3-pydbus python3-watchdog python3-docker python3-yaml \
       python3-prometheus-client python3-jinja2 python3-cryptography gir1.2-glib-2.0

.PHONY: venv
venv: build/venv/.done

build/venv/.done: tests/requirements.txt
	dpkg -s $(APT) >/dev/null 2>&1 || { apt-get update -q && flock /tmp/apt.lock apt-get install -yq --no-install-recommends $(APT); }
	/usr/bin/python3 -m venv --system-site-packages build/venv
	$(PY) -m pip install -q -r tests/requirements.txt
	touch $@
