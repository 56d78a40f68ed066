# Two commands do all the set-up:  make demo   and   make test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check lint fast-commands fast-rooms all-commands all-rooms format bench pictures audit clean

# The environment: Python 3.11 and pip are all that is needed. The stamp is written last, so an
# interrupted installation is taken up again.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else "ascnet needs Python 3.11, this is %d.%d: call make PYTHON=python3.11" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV): about 6 GB, a few minutes on a fast line, and quiet.'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## install, then find the actions in the example clip
	$(BIN)/ascnet detect examples/mocap/mocap.mp4 --out segments.csv

check: $(STAMP)  ## format, lint, types, import contract, fast tests: under 3 minutes on two quiet cores
	$(MAKE) --jobs=3 --output-sync=target lint fast-commands fast-rooms

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The fast tests in two processes, one a core.
fast-commands:
	$(BIN)/python -m pytest -q -m "not slow" tests/ascnet_cli

fast-rooms:
	$(BIN)/python -m pytest -q -m "not slow" --ignore=tests/ascnet_cli

test: $(STAMP)  ## everything
	$(MAKE) --jobs=2 --output-sync=target lint all-commands all-rooms

all-commands:
	$(BIN)/python -m pytest -q tests/ascnet_cli

all-rooms:
	$(BIN)/python -m pytest -q --ignore=tests/ascnet_cli

format: $(STAMP)  ## put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## measurements, side by side: slow, and never part of the tests
	$(BIN)/python -m tests.bench

pictures: $(STAMP)  ## the pictures of the README, in examples/pictures; needs Chromium
	$(BIN)/python -m examples.pictures

# pip-audit has an environment of its own, so that it is not what it looks at.
audit: $(STAMP)  ## known vulnerabilities of the packages that ascnet brings along; asks a service in the network
	test -x $(VENV)-audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)-audit && \
		$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10.1,<3'; }
	$(BIN)/python -m tests.packages --pip-audit $(VENV)-audit/bin/pip-audit -- $(AUDIT)

clean:  ## remove the environments
	rm -rf $(VENV) $(VENV)-audit
