# Two commands from a fresh clone: `make demo` and `make test`. Each needs Python >= 3.11 and a
# package index; everything else is installed into .venv.

PYTHON ?= python3
# The oldest Python that setup.cfg claims.
OLDEST_PYTHON ?= python3.11
VENV := .venv
OLDEST := .venv-oldest
BIN := $(VENV)/bin
# Python compiles what is imported when it is imported.
PIP := $(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check --constraint constraints.txt
SPHINX := $(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
METADATA := setup.cfg pyproject.toml constraints.txt

.PHONY: help demo test test-machines test-oldest coverage doctest docs docs-short lint format wheel \
	clean clean-kernels
.DELETE_ON_ERROR:

help:
	@echo "make demo     invert the HOG of a photograph, and write demo.png"
	@echo "make test     run the whole test suite"
	@echo "make test-machines  run the numerical tests as other machines would"
	@echo "make test-oldest  run the test suite with the oldest versions that setup.cfg claims"
	@echo "make coverage  run the test suite, and list the lines that it does not reach"
	@echo "make doctest  run the examples in the docstrings"
	@echo "make docs     build the site, every tutorial run, in docs/_build/html"
	@echo "make docs-short  the same with two tutorials, and look at it in Chromium"
	@echo "make lint     ruff, mypy and the import directions"
	@echo "make format   let ruff rewrite the files"
	@echo "make wheel    build the wheel, and import it from an empty place"
	@echo "make clean-kernels  forget the compiled kernels"
	@echo "make clean    remove the environments and what was built"

demo: $(VENV)/.installed
	$(BIN)/python -m repinv.app.demo demo.png

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto

# SETTINGS=generic, plain, one, two, or several of them; all by default. TESTS="folder ..." runs
# these alone.
test-machines: $(VENV)/.installed-test
	PYTHON=$(CURDIR)/$(BIN)/python TESTS="$(TESTS)" .ci/check-machines $(SETTINGS)

# Kernels that one version of Numba compiled are of no use to another: they are kept apart.
test-oldest: $(OLDEST)/.installed
	NUMBA_CACHE_DIR=$(CURDIR)/$(OLDEST)/kernels $(OLDEST)/bin/python -m pytest -n auto

coverage: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --cov --cov-report=term-missing:skip-covered

doctest: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --doctest-modules repinv repinv_cnn

docs: $(VENV)/.installed-docs
	$(SPHINX)

docs-short: $(VENV)/.installed-docs
	REPINV_DOCS=short $(SPHINX)
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/docs/test_reference.py tests/docs/test_site.py \
	  tests/app/explore/test_page.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# DIST=folder keeps the source archive and the wheel there.
wheel: $(VENV)/.installed-test
	PYTHON=$(CURDIR)/$(BIN)/python DIST=$(DIST) .ci/check-wheel

clean-kernels:
	find repinv -name '*.nb[ic]' -delete

clean:
	rm -rf $(VENV) $(OLDEST) .coverage build dist *.egg-info docs/_build docs/gallery docs/api/generated

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "repinv needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	       "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(METADATA)
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created $(METADATA)
	$(PIP) --editable '.[test]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-docs: $(VENV)/.installed-test
	$(PIP) --editable '.[test,docs,cnn,study,explore]'
	@touch $@

$(OLDEST)/.installed: setup.cfg pyproject.toml scripts/oldest.py
	$(OLDEST_PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST_PYTHON) scripts/oldest.py >$(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint $(OLDEST)/constraints.txt --editable '.[test,zoo,study]'
	@touch $@
