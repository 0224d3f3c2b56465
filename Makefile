# make help lists what there is. PYTHON=python3.12 chooses the interpreter that makes .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# One thread a process: tests and notebooks run side by side, and sums come out the same everywhere.
export OMP_NUM_THREADS ?= 1
export PYTHONHASHSEED := 0
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.DEFAULT_GOAL := help
.NOTPARALLEL: # stages share what they build, and two cores
.PHONY: help book lint test test-unit test-notebooks test-course test-book test-colab test-gpu weigh serve pdf zip slides notebooks colab release results bench repository lock clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(READY): requirements.txt pyproject.toml tools/setup_venv.py
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) on this machine; install Python 3.11 or newer, or say PYTHON=…"; exit 1; }
	@$(PYTHON) tools/setup_venv.py
	@touch $@

book: $(READY) ## execute the notebooks and build the pages into _build/html
	@$(BIN)/python tools/build_book.py

test: lint test-unit test-notebooks test-course test-book test-colab ## everything, from fast to slow
	@echo "All tests passed."

lint: $(READY) ## formatting, style, types, and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

test-unit: $(READY) ## the package and the repository's structure
	$(BIN)/pytest -q -n 2 tests/unit

# A cell passes if its text is what is stored, and if each picture is, up to lines that move by a pixel
# (tools/pictures.py). Cells tagged nbval-ignore-output only have to run.
# What passes is kept in _build/executed, and the book takes it from there.
test-notebooks: $(READY) ## every notebook under strict nbval: outputs are those of the code
	$(BIN)/python tools/executed.py $(BIN)/pytest -q --nbval --nbval-cell-timeout=600 -n 2 --dist loadscope notebooks --ignore=notebooks/assignments
	$(BIN)/pytest -q -n 2 --dist loadfile tests/notebooks

test-course: $(READY) ## assignments, their graders, and the sandbox
	$(BIN)/pytest -q -n 2 --dist loadfile tests/course

test-book: book ## the built pages: links, alternative text, and a browser
	$(BIN)/pytest -q -n 2 tests/book

test-colab: $(READY) ## a notebook alone, in an environment with Colab's versions
	$(BIN)/pytest -q -n 2 --dist loadgroup tests/colab

test-gpu: $(READY) ## what only a GPU can show; not part of `make test`
	$(BIN)/pytest -q tests/gpu

weigh: book ## what the built pages weigh, and Lighthouse's scores if npx finds it
	@$(BIN)/python tests/weigh.py

serve: book ## build, then serve the pages on http://localhost:8000
	@$(BIN)/python -m http.server -d _build/html 8000

pdf: $(READY) ## PDFs of the built pages (ONLY=2.2 for one, ONLY=book for the whole; SOLUTIONS=1)
	@$(BIN)/python tools/pdf.py $(if $(SOLUTIONS),--solutions) $(ONLY)

zip: $(READY) ## the built pages as one file for reading offline, _build/site.zip
	@$(BIN)/python tools/site_zip.py

slides: $(READY) ## lecture decks with speaker notes (ONLY=2-2 for one)
	@$(BIN)/python tools/slides.py $(ONLY)

notebooks: $(READY) ## execute every notebook and store its outputs (ONLY=path for one)
	@$(BIN)/python tools/notebooks.py execute $(ONLY)
	@$(BIN)/python tools/colab.py

colab: $(READY) ## write the chapters' edition for Colab
	@$(BIN)/python tools/colab.py

release: $(READY) ## write the assignments' student notebooks from their sources
	@$(BIN)/python tools/release.py

results: $(READY) ## write the page of recorded runs from the records
	@$(BIN)/python tools/results.py

bench: $(READY) ## speed and memory as ratios, side by side
	@$(BIN)/python -m benchmarks

repository: $(READY) ## rewrite the repository's address: make repository URL=https://…
	@$(BIN)/python tools/repository.py "$(URL)"

lock: $(READY) ## pin the newest versions into requirements.txt (KEEP=1 keeps those that are pinned)
	$(BIN)/python -m uv pip compile -q $(if $(KEEP),,--upgrade) --universal --python-version 3.11 --all-extras --no-emit-index-url --no-annotate --no-header -c tools/constraints.txt pyproject.toml -o requirements.txt

clean: ## remove what was built; .venv goes with: make clean VENV=1
	rm -rf _build build *.egg-info utils/*.egg-info .pytest_cache .hypothesis
	$(if $(VENV),rm -rf .venv .venv-colab*)
