# The only entry a person needs:
#   make book              environment, chapters, pages (unchanged parts are kept)
#   make book PROFILE=smoke   a quick look, in _build/smoke
#   make test              environment, every test
#   make pdf               the book as one file, printed by headless Chromium
PYTHON  ?= python3
PROFILE ?= default
BIN     := .venv/bin
SHELL   := /bin/sh

.PHONY: book pdf test env lint tidy lab bench reference relock emoji clean

book: env
	@$(BIN)/phasebook book --profile $(PROFILE)

pdf: book
	@$(BIN)/phasebook pdf --profile $(PROFILE)

test: env
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --nbval-lax --nbval-current-env tests

env: .venv/.complete

# A stamp marks a finished environment: an interrupted one is completed by the next call. It holds the path of this
# tree: in a copied or moved one the environment is made this tree's own (its scripts find their interpreter beside
# them, so a path stands only in the way to the sources and in `activate`).
STAMP := $(shell cat .venv/.complete 2>/dev/null)
ifneq ("$(STAMP)","$(CURDIR)")
.PHONY: .venv/.complete
endif
.venv/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1); the book needs Python >= 3.11 (make PYTHON=/path/to/python)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: $(PYTHON) cannot make environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "environment: .venv (about 6 GB on Linux, a few minutes the first time)"
	@test -x $(BIN)/python || { $(PYTHON) -m venv .venv && echo 'relocatable = true' >> .venv/pyvenv.cfg; }
	@$(BIN)/python -m venv --without-pip .venv && \
	  { grep -q relocatable .venv/pyvenv.cfg || echo 'relocatable = true' >> .venv/pyvenv.cfg; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@printf '%s' '$(CURDIR)' > $@

# Style, imports that run one way, and no name that nothing but a test uses.
lint: env
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/vulture

# Chapters as a save in JupyterLab leaves them.
tidy: env
	@$(BIN)/python -m phasebook.site.build.sources

lab: env
	@$(BIN)/jupyter lab notebooks

bench: env
	@$(BIN)/phasebook bench

# Stored outputs for nbval, made again from the sources and the smoke parameters.
reference: env
	@$(BIN)/python -m phasebook.site.build.reference

# Newer versions of everything: resolves requirements.txt again.
relock:
	@$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-emit-index-url --no-header \
	  requirements.txt -o requirements.lock

# The emoji sprite and table, rendered again (Debian: fonts-noto-color-emoji unicode-data).
emoji: env
	@$(BIN)/python tools/render_emoji.py

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find book/chapters -type f ! -name .gitkeep -delete
