# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Needs Python 3.10 to 3.13 (with venv) and make, nothing else: all comes from PyPI into .venv.

VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
SHARE := $(VENV)/share

# A graph of its own for each checkout, on this machine only, whatever ROS the shell has sourced:
# the packages in .venv and those of /opt/ros do not mix.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
export ROS_DOMAIN_ID ?= $(shell echo $$(($$(pwd | cksum | cut -d ' ' -f 1) % 100 + 1)))
unexport PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH COLCON_PREFIX_PATH RMW_IMPLEMENTATION
unexport ROS_DISTRO ROS_LOCALHOST_ONLY

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench generate clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20
	@echo
	@echo 'PYTHON=python3.12 chooses the interpreter, SOURCE=path what `make demo` plays.'

setup: $(VENV)/.ready $(VENV)/.peers ## prepare .venv with everything

demo: $(VENV)/.ready ## play a corridor (or SOURCE=bag) into the real node and score what it says
	$(VENV)/bin/dcreg demo $(if $(SOURCE),--source '$(SOURCE)')

test: $(VENV)/.ready ## run all tests, or those of ARGS='-k name'
	$(VENV)/bin/python -m pytest $(ARGS)

lint: $(VENV)/.ready ## check style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

bench: setup ## compare with Open3D, KISS-ICP and GenZ-ICP
	$(VENV)/bin/python benchmarks/registration.py
	$(VENV)/bin/python benchmarks/odometry.py --quick $(ARGS)

generate: $(VENV)/.ready ## write config/default.yaml and docs/parameters.md from dcreg_ros/config.py
	$(VENV)/bin/dcreg config > .generated && mv .generated config/default.yaml
	$(VENV)/bin/dcreg config --markdown > .generated && mv .generated docs/parameters.md

clean: ## remove .venv, caches and results
	rm -rf $(VENV) build install log demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An interpreter named with PYTHON is taken or refused; otherwise the first one that fits.
SUPPORTED := import sys, ensurepip, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
CANDIDATES := $(or $(PYTHON),python3 python3.12 python3.13 python3.11 python3.10)

$(VENV)/bin/python:
	@for python in $(CANDIDATES); do \
	    if "$$python" -c '$(SUPPORTED)' 2> /dev/null; then \
	        echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
	        exec "$$python" -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo 'dcreg_ros needs Python 3.10 to 3.13 with venv (on Debian and Ubuntu: apt install python3-venv); tried: $(CANDIDATES).' >&2; \
	echo 'Say which to take: make PYTHON=/path/to/python3.12 ...' >&2; \
	exit 1

# An editable installation leaves out what ROS looks for; links keep that editable as well.
$(VENV)/.ready: setup.py setup.cfg | $(VENV)/bin/python
	@echo 'Installing dcreg_ros and what it needs into $(VENV): a minute or two, once'
	@$(PIP) --editable '.[ros,eval,test]'
	@mkdir -p $(SHARE)/dcreg_ros $(SHARE)/ament_index/resource_index/packages $(VENV)/lib/dcreg_ros
	@ln -sfn '$(CURDIR)/launch' '$(CURDIR)/config' '$(CURDIR)/package.xml' $(SHARE)/dcreg_ros/
	@ln -sfn '$(CURDIR)/resource/dcreg_ros' $(SHARE)/ament_index/resource_index/packages/
	@ln -sfn '$(CURDIR)/scripts/registration_node' $(VENV)/lib/dcreg_ros/
	@touch $@

$(VENV)/.peers: setup.py | $(VENV)/.ready
	@echo 'Installing what the benchmarks compare with'
	@$(PIP) --editable '.[benchmark]'
	@touch $@
