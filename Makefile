# make lab: JupyterLab on the first tutorial. make test: every check and test. Both install what they need into ENV.

PYTHON ?= python3
ENV ?= .venv
BIN = $(ENV)/bin

.PHONY: lab test check browser clean

lab: $(ENV)/lab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/01_first_listen.ipynb

test: $(ENV)/test browser check
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest --nbval notebooks -o addopts=""

check: $(ENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python js/npm.py run check

# The browser tests take the system's Chromium; else Debian's, where one may install it; else Playwright's own.
browser: $(ENV)/test
	@command -v chromium || command -v chromium-browser || command -v google-chrome \
	|| { test "$$(id -u)" = 0 && command -v apt-get && apt-get update -qq && apt-get install -qq -y chromium; } \
	|| $(BIN)/playwright install chromium

$(ENV)/bin/python:
	$(PYTHON) -m venv $(ENV)

$(ENV)/lab: $(ENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -e ".[lab]" -c constraints.txt
	touch $@

$(ENV)/test: $(ENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -e ".[test]" -c constraints.txt
	touch $@ $(ENV)/lab

clean:
	rm -rf $(ENV) js/node_modules audioic_widget/widget/static dist
