# Everything sets up its own environment in $(VENV); needs Python >= 3.11 and nothing else.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: reloads demo test lint simulate bench wheel lock manifests readme sample dashboards pictures clean

demo: $(VENV)/.installed
	$(BIN)/driftmon demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q

lint: $(VENV)/.dev
	$(BIN)/ruff check driftmon grafana tests deploy
	$(BIN)/mypy

# PARTS="delay clearing" prints only these.
simulate: $(VENV)/.dev
	$(BIN)/python -m tests.simulate $(PARTS)

# 1,000 reloads under load, half of them refused; FLAGS=--short for 150.
reloads: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.reload $(FLAGS)

bench: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/bench.py

wheel: $(VENV)/.dev
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

PIN = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-header --no-annotate --no-emit-index-url --quiet
BUILD_REQUIRES = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

lock: $(VENV)/.dev
	sed -n '/^#/p' deploy/requirements.lock > deploy/requirements.lock.new
	$(PIN) pyproject.toml >> deploy/requirements.lock.new
	mv deploy/requirements.lock.new deploy/requirements.lock
	sed -n '/^#/p' deploy/build.lock > deploy/build.lock.new
	$(BIN)/python -c '$(BUILD_REQUIRES)' | $(PIN) - >> deploy/build.lock.new
	mv deploy/build.lock.new deploy/build.lock

# deploy/rules/, and the PrometheusRule made of it.
manifests: $(VENV)/.dev
	$(BIN)/python tests/tools/make_rules_pack.py
	$(BIN)/python tests/tools/make_prometheus_rule.py

readme: $(VENV)/.dev
	$(BIN)/python tests/tools/make_metric_table.py

sample: $(VENV)/.dev
	$(BIN)/python tests/tools/make_flights_sample.py

# Of the metric catalogue; the pictures need prometheus, promtool and chromium.
dashboards: $(VENV)/.dev
	$(BIN)/python -m grafana.generate

pictures: dashboards
	$(BIN)/python -m tests.tools.make_dashboard_pictures

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The group of tools is installed by a pip that knows groups (25.1), newer than the one Python 3.11 brings.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "driftmon needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	touch $@
