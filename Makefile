# Everything sets up its own environment in $(VENV); needs Python >= 3.11 and nothing else.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

# SHORT= runs the long form.
SHORT ?= --short

.PHONY: demo test lint simulate bench bench-peers bench-readme campaigns crash powercut iofaults bitflips fault-simulation reloads soak fuzz \
	hostile timing wheel lock manifests readme sample dashboards pictures clean

demo: $(VENV)/.installed
	$(BIN)/driftmon demo

# As many tests at once as there are cores, four at most. PYTEST="-n 0" runs them in one process, as --pdb needs it;
# PYTEST="-n 0 -x tests/daemon" a part.
PYTEST ?= -n logical --maxprocesses 4
test: $(VENV)/.dev
	$(BIN)/python -m pytest -q $(PYTEST)

lint: $(VENV)/.dev
	$(BIN)/ruff check driftmon grafana tests deploy
	$(BIN)/mypy

# PARTS="delay clearing" prints only these.
simulate: $(VENV)/.dev
	$(BIN)/python -m tests.simulate $(PARTS)

# Whether the time of a refused login tells that the user exists.
timing: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.timing $(SHORT)

# What reads from outside, on inputs nobody would write; a failure prints what replays it.
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.fuzz $(SHORT)

# The daemon in a memory cgroup of 256 MiB under attack; needs root.
hostile: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.hostile $(SHORT)

# Reloads under load, half of them refused; long: 1,000.
reloads: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.reload $(SHORT)

# One table of CPU ratios and figures, a quarter of an hour; NAMES="limits hand" runs these groups. What is not
# installed is skipped with the reason. Results go to tests/benchmarks/results.json.
bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks.all $(NAMES)

# The alternatives, each in an environment of its own under .bench/ (3 GB); PEERS="hand river" installs these.
PEERS ?= $(basename $(notdir $(wildcard tests/benchmarks/peers/*.txt)))
bench-peers: $(VENV)/.dev
	for peer in $(PEERS); do \
		$(BIN)/uv venv --quiet --clear --python $(BIN)/python .bench/peers/$$peer && \
		$(BIN)/uv pip install --quiet --python .bench/peers/$$peer/bin/python -r tests/benchmarks/peers/$$peer.txt || \
		{ echo "$$peer does not install here"; rm -rf .bench/peers/$$peer; }; \
	done

# README's table and the pictures of growth, from results.json.
bench-readme: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks.readme

# The short form of every campaign of tests/campaigns, with a verdict of each; NAMES="crash soak" runs only these.
campaigns: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.all $(NAMES)

# kill -9 under load on every source; long: 10,000 kills.
crash: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.crash $(SHORT)

# Images of a disk whose power was cut; they and the faults below need a C compiler.
powercut: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.powercut $(SHORT)

# The n-th write or sync fails.
iofaults: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.iofaults $(SHORT)

# Every sector of the state damaged.
bitflips: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.bitflips $(SHORT)

# Virtual time and seeds; long: 2,400 simulated hours.
fault-simulation: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.simulation $(SHORT)

# Mixed load; long: ten minutes.
soak: $(VENV)/.dev
	$(BIN)/python -m tests.campaigns.soak $(SHORT)

wheel: $(VENV)/.dev
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

PIN = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-header --no-annotate --no-emit-index-url --quiet
BUILD_REQUIRES = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

lock: $(VENV)/.dev
	sed -n '/^#/p' deploy/requirements.lock > deploy/requirements.lock.new
	$(PIN) --extra auth --extra zstd pyproject.toml >> deploy/requirements.lock.new
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
