# Nothing is needed but Python 3.10 to 3.13 and make. Every target makes the environment first, once.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: setup demo test browser lint clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v < (3, 14) else f"Python 3.10 to 3.13 is needed, $(PYTHON) is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	@echo "Installing into .venv: a minute or two, and more where PyTorch has to be downloaded."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[notebook,library,lab,test,lint,cluster]"
	touch $@

demo: setup
	$(BIN)/rlhf-course run --preset tiny
	@echo; echo "The reference answers, checked:"
	$(BIN)/rlhf-course check solutions/answers
	@echo; echo "A submission with two mistakes, checked:"
	$(BIN)/rlhf-course check autograder/example_answers.py || test $$? = 1

# Those of the sandbox use both cores themselves, and count seconds: one after the other, at the end.
SANDBOXED = tests/test_grading.py tests/test_honest.py tests/test_attacks.py tests/test_gradescope.py tests/test_actions.py tests/test_nbgrader.py

test: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(SANDBOXED:%=--ignore=%)
	$(BIN)/python -m pytest $(SANDBOXED)

# A lesson done in JupyterLab, in the Chromium of the system (Debian: apt-get install chromium).
browser: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt playwright
	$(BIN)/python -c 'from tests.browser import CHROMIUM; CHROMIUM or exit("no Chromium here: install it first")'
	$(BIN)/python -m pytest tests/test_browser.py tests/test_formgrader.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv runs
