# `make demo` and `make test` are each all the set-up that a fresh Debian 12 or Ubuntu needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

# Programs that the lab starts, and the Debian package of each.
PROGRAMS := ip:iproute2 tc:iproute2 nft:nftables conntrack:conntrack
# What loads the rulesets of the rivals that the benchmark measures, and the tests check.
BENCH_PROGRAMS := iptables-legacy-restore:iptables ipset:ipset
# What the tests and `evenflow lab dhcp` start besides, and what tools/emulator does; it fetches the rest by itself, and installs none of that.
TEST_PROGRAMS := dnsmasq:dnsmasq-base udhcpc:udhcpc $(BENCH_PROGRAMS)
EMULATOR_PROGRAMS := qemu-system-x86_64:qemu-system-x86

.PHONY: help demo test lint unit lab soak emulated bench system test-system clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

demo: $(STAMP) system ## the article's router with real traffic, in namespaces; under two minutes
	@$(VENV)/bin/evenflow lab

test: lint unit lab ## everything that a change must pass

lint: $(STAMP) ## style, types, and who may import whom
	@$(VENV)/bin/ruff check src tests bench tools tools/emulator
	@$(VENV)/bin/ruff format --check --quiet src tests bench tools tools/emulator
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

# Each process has a network namespace of its own, so they do not meet.
unit: $(STAMP) test-system ## the tests that send no packets, on the real kernel too; one process per processor
	@$(VENV)/bin/pytest --quiet --numprocesses=auto --maxprocesses=8 -m "not (lab or soak or emulated)"

# One after the other: they measure how long a router takes.
lab: $(STAMP) test-system ## the tests with packets between namespaces
	@$(VENV)/bin/pytest -m "lab and not (soak or emulated)"

soak: $(STAMP) test-system ## the long tests
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --group fuzz
	@$(VENV)/bin/pytest -m soak

emulated: $(STAMP) test-system ## the tests that need another kernel (PPPoE), on Debian's, emulated
	@$(MAKE) --no-print-directory system PROGRAMS="$(EMULATOR_PROGRAMS)"
	@tools/emulator prepare
	@$(VENV)/bin/pytest -m emulated

# BENCH="--quick", say; see `python -m bench --help`.
bench: $(STAMP) system ## measure; make bench BENCH=--quick takes three minutes
	@$(MAKE) --no-print-directory system PROGRAMS="$(BENCH_PROGRAMS)"
	@$(VENV)/bin/python -m bench $(BENCH)

# Python packages, in .venv only.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "evenflow needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || tools/packages python3-venv
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Python packages into $(VENV) …"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

# Debian packages: installed when root, else the one command to run is named.
system:
	@missing=$$(for pair in $(PROGRAMS); do \
	    PATH=$$PATH:/usr/sbin:/sbin command -v $${pair%%:*} >/dev/null || echo $${pair##*:}; done | sort -u); \
	  test -z "$$missing" || tools/packages $$missing

test-system: system
	@$(MAKE) --no-print-directory system PROGRAMS="$(TEST_PROGRAMS)"

clean: ## take away what make made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache lab-report.html
