# Everything starts here: `make help`.
PYTHON  = .venv/bin/python
STAMP   = .venv/.ready
BROWSER = .venv/.browser

.DEFAULT_GOAL := help
.PHONY: help demo serve test check bench fuzz clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP): setup.cfg constraints.txt tools/setup.sh
	@sh tools/setup.sh
	@touch $(STAMP)

$(BROWSER): $(STAMP) tools/browser.sh
	@sh tools/browser.sh
	@touch $(BROWSER)

demo: $(STAMP)  ## the whole story: two tablets, cut links, a conflict, nothing lost; then sealed evidence, forgeries, a recycled photo
	@$(PYTHON) -m demo

serve: $(STAMP)  ## a filled server left running, with tablets to play with
	@$(PYTHON) -m demo.serve

test: $(STAMP) $(BROWSER)  ## all tests
	@$(PYTHON) -m pytest $(ARGS)

check: $(STAMP)  ## import contracts, ruff, mypy
	@.venv/bin/lint-imports --config setup.cfg
	@.venv/bin/ruff check .
	@$(PYTHON) -m mypy schemas sync custody screens server field_client witness

bench: $(STAMP) $(BROWSER)  ## speed as ratios to the floor, in one run
	@$(PYTHON) -m benchmarks $(ARGS)

fuzz: $(STAMP)  ## inputs that strangers might send, by the million, to every parser; more with ARGS="--seconds 300"
	@$(PYTHON) -c 'import atheris' 2>/dev/null || $(PYTHON) -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[fuzz]' || echo "fuzz: atheris cannot be installed here; without it"
	@$(PYTHON) -m tests.fuzz $(ARGS)

clean:  ## remove what the other commands made, the virtual environment included
	@rm -rf .venv .demo .serve .bench .screens .fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
