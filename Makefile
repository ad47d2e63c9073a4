# make lab: JupyterLab on the first tutorial. make test: every check and test. make docs: the documentation, in build/docs.
# make notebooks: all tutorials executed in place. Each installs what it needs into ENV.

PYTHON ?= python3
ENV ?= .venv
BIN = $(ENV)/bin

.PHONY: lab test check docs notebooks browser clean

lab: $(ENV)/lab
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/01_first_listen.ipynb $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/01_first_listen.ipynb

test: $(ENV)/test browser check docs
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest --nbval notebooks -o addopts=""

check: $(ENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python js/npm.py run check

docs: $(ENV)/test
	$(BIN)/python -m sphinx -q -W --keep-going -c docs . build/docs
	@echo '<meta http-equiv="refresh" content="0; url=docs/index.html">' > build/docs/index.html
	@echo "The documentation is in build/docs/index.html."

notebooks: $(ENV)/test
	$(BIN)/python -m docs.execute_notebooks

# The browser tests take the system's Chromium; else Debian's, where one may install it; else Playwright's own.
browser: $(ENV)/test
	@command -v chromium || command -v chromium-browser || command -v google-chrome \
	|| { test "$$(id -u)" = 0 && command -v apt-get && apt-get update -qq && apt-get install -qq -y chromium; } \
	|| $(BIN)/playwright install chromium

$(ENV)/bin/python:
	$(PYTHON) -m venv $(ENV)

$(ENV)/lab: $(ENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing into $(ENV): about two minutes, most of them for PyTorch."
	$(BIN)/python -m pip install --quiet -e ".[lab]" -c constraints.txt
	touch $@

$(ENV)/test: $(ENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing into $(ENV): about two minutes, most of them for PyTorch."
	$(BIN)/python -m pip install --quiet -e ".[test]" -c constraints.txt
	touch $@ $(ENV)/lab

clean:
	rm -rf $(ENV) js/node_modules audioic_widget/widget/static build dist
