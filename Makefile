PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: demo test test-fast test-long lint format clean

$(VENV)/.base: setup.py
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(RUN) -m pip install --quiet --editable ".[test]"
	touch $@

# The main job on simulated wells: minutes on two cores.
demo: export TF_CPP_MIN_LOG_LEVEL = 3
demo: $(VENV)/.base
	rm -rf demo
	$(RUN) experiments/simulate.py --output_dir=demo/wells \
	    --num_wells=4 --size=512 --num_z=5 --seed=0
	$(RUN) experiments/train.py --preset=tiny --workdir=demo/run \
	    --data_specs=data_specs/simulated.json --image_root=demo/wells
	$(RUN) experiments/predict.py --model=demo/run/model \
	    --input=demo/wells/A4 --output=demo/A4.ome.tif \
	    --statistics=median,standard_deviation
	$(RUN) experiments/evaluate.py --model=demo/run/model --split=test \
	    --data_specs=data_specs/simulated.json --image_root=demo/wells \
	    --output_dir=demo/evaluation
	$(RUN) experiments/figures.py --figure=training --workdirs=demo/run \
	    --output_dir=demo/figures
	@echo demo/evaluation/report.html

test: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pytest -m "not long" --numprocesses=2 --dist=loadfile --durations=10

# Several devices, miniatures of all grids, real plates: some 10 minutes.
test-long: $(VENV)/.test
	$(RUN) -m pytest -m long --numprocesses=2 --durations=10

test-fast: $(VENV)/.test
	$(RUN) -m pytest -m "not slow and not long"

lint: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(VENV)/.test
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

clean:
	rm -rf $(VENV) demo build *.egg-info
