PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: demo test test-fast lint format clean

$(VENV)/.base: setup.py
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(RUN) -m pip install --quiet --editable ".[test]"
	touch $@

# Simulates wells, trains a tiny network, predicts, evaluates, draws.
demo: $(VENV)/.base
	bash experiments/demo.sh $(RUN) demo

test: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pytest --durations=10

test-fast: $(VENV)/.test
	$(RUN) -m pytest -m "not slow"

lint: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(VENV)/.test
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

clean:
	rm -rf $(VENV) demo build *.egg-info
