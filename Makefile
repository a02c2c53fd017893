# `make book` and `make test` are all that a newcomer needs; .venv is made on the way.
.PHONY: help book pdf epub test lab rebuild train bench refresh shake count fuzz clean FORCE

NOTEBOOK ?= $(wildcard book/*.ipynb)
SEED ?= 0
# The pages show functions and tests from their source files, so these are inputs too;
# directories are listed for their changed date, which tells that a file was removed.
INPUTS := $(shell find Makefile _config.yml _toc.yml CITATION.cff CHANGELOG.md book/. ntm/. tests/. \
  \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -o -print)

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile | expand -t 16

book: _build/built ## build the pages, and say where to open them
	@echo "Open $(CURDIR)/_build/html/index.html"

pdf: _build/built ## put the whole book into a PDF, and offer it on the front page
	@.ci/install pdf
	@.venv/bin/python book/_tools/carry.py pdf

epub: _build/built ## the same as an EPUB, for e-readers
	@.ci/install epub
	@.venv/bin/python book/_tools/carry.py epub

test: ## check everything: style, types, tests, notebooks, pages
	@.ci/test

lab: ## open the notebooks in JupyterLab
	@.ci/install lab
	@.venv/bin/python -m jupyterlab --preferred-dir book $(if $(filter 0,$(shell id -u)),--allow-root)

rebuild: ## write the machine yourself: says which part of rebuild/machine.py comes next
	@.ci/install rebuild
	@.venv/bin/python -m ntm.book.rebuild || :

train: ## train eight machines to copy, into runs/copy (minutes); see python -m ntm --help
	@.ci/install train
	@.venv/bin/python -m ntm train copy --seeds 0:8 --out runs/copy

bench: ## measure how fast training is on this computer (minutes); see python -m ntm bench --help
	@.ci/install train
	@.venv/bin/python -m ntm bench

refresh: ## run the notebooks again and store their outputs (one: NOTEBOOK=book/shift.ipynb)
	@.ci/install test
	@.venv/bin/python book/_tools/refresh.py $(NOTEBOOK)

shake: ## find cells that a rounding error decides (an hour; SEED=1, NOTEBOOK=book/shift.ipynb)
	@.ci/install test
	@.venv/bin/python book/_tools/shake.py --seed $(SEED) $(NOTEBOOK)

count: ## count again what is published of every seed, on other sequences (an hour; SEED=3)
	@.ci/install train
	@.venv/bin/python book/_tools/count.py --seed $(or $(filter-out 0 1,$(SEED)),2)

fuzz: ## damage 5,000 files of a run, and kill one 100 times (minutes)
	@.ci/install test
	@.venv/bin/python -m pytest -q tests/test_fuzz.py --fuzz 5000 --kills 100

clean: ## remove all that these commands have made, .venv included
	@rm -rf .venv _build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

# From nothing each time: it takes seconds, and hides no warning and no removed page.
_build/built: .venv/book.done $(INPUTS)
	@rm -rf _build/html _build/.doctrees $@
	@mkdir -p _build
	@echo "Building the pages (log: _build/book.log)"
	@.venv/bin/jupyter-book build . -W -n --keep-going >_build/book.log 2>&1 || { \
	  { grep -E 'WARNING|ERROR|CRITICAL|Error:' _build/book.log || tail -n 20 _build/book.log; } | \
	    sed "s/$$(printf '\033')\[[0-9;]*m//g; s#$(CURDIR)/##" >&2; \
	  rm -rf _build/.doctrees; \
	  echo "The book has warnings or errors (_build/book.log has the details)" >&2; exit 1; }
	@touch $@

.venv/book.done: FORCE
	@.ci/install book
