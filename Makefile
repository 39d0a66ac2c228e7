# make demo    install into .venv and track cells through a drawn stack; the result lies in ./demo
# make test    install and run the tests          make soak    the tests that take minutes
# make lint    style, types, import directions    make bench   this project beside the official code
# make test-napari-first    the tests of the napari front-end with the first napari that it works with; part of make soak
#
# Nothing but Python 3.11+ and git is expected. PYTHON=... chooses the Python, VENV=... the environment,
# UV_TORCH_BACKEND=cpu gives the small CPU-only torch on Linux, PYTEST_ARGS="-k name -x" goes to pytest.

VENV ?= .venv
# Test processes; each then uses one core.
WORKERS ?= 2
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
UV := $(BIN)/uv pip install --python $(BIN)/python -c constraints.txt
RECIPE := pyproject.toml constraints.txt
# napari itself refuses to be in a folder of another name beside a second one.
NAPARI_FIRST := $(abspath $(VENV))/napari-first/site-packages
WITH_NAPARI_FIRST := PYTHONPATH=$(NAPARI_FIRST) NAPARI_RELEASE=first

.DEFAULT_GOAL := help
.PHONY: help demo test test-napari-first soak sanitize lint format bench oracle dev clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: $(VENV)/.installed
	$(BIN)/sam2 demo -o demo

# A sample of the viewer's tests runs with napari's first release too, where all tests are asked for.
test: $(VENV)/.installed-test $(VENV)/.installed-napari-first oracle
	$(BIN)/python -m pytest -m "not soak" -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(WITH_NAPARI_FIRST) $(BIN)/python -m pytest \
	    tests/napari/test_manifest.py tests/napari/test_async_slicing.py)

test-napari-first: $(VENV)/.installed-test $(VENV)/.installed-napari-first
	$(WITH_NAPARI_FIRST) $(BIN)/python -m pytest -m "not soak" tests/napari $(PYTEST_ARGS)

soak: $(VENV)/.installed-test oracle
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(MAKE) test-napari-first)

# On a CUDA GPU: the kernel's tests under each tool of compute-sanitizer.
sanitize: $(VENV)/.installed-test
	sh scripts/sanitize-kernels.sh $(BIN)/python

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Each benchmarks/bench_*.py compares both sides in one run and says what it takes with --help; BENCH=... chooses one.
BENCH ?= $(sort $(wildcard benchmarks/bench_*.py))
bench: $(VENV)/.installed-bench oracle
	@set -e; for file in $(BENCH); do echo "== $$file"; $(BIN)/python $$file $(BENCH_ARGS); done

# Everything for working on the project, front-ends included.
dev: $(VENV)/.installed-lint $(VENV)/.installed-bench oracle
	$(UV) -e '.[all]' --group dev

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist demo

# The steps below leave a stamp each, so that nothing is installed twice.

$(VENV)/.created:
	python=$$(scripts/find-python.sh) && "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(RECIPE)
	$(UV) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(UV) --group test
	@npm install --silent --no-save --prefix $(VENV)/node axe-core@4.14.1 || \
	echo "axe-core could not be fetched: the test of accessibility will skip." >&2
	@touch $@

# Two packages and no more: all else is the same as in the other tests.
$(VENV)/.installed-napari-first: $(VENV)/.created $(RECIPE)
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --target $(NAPARI_FIRST) --group test-napari-first
	@touch $@

# mypy reads the types of what the front-ends and the trainer import: it needs everything that the tests need.
$(VENV)/.installed-lint: $(VENV)/.installed-test
	$(UV) --group lint
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(UV) --group bench
	@touch $@

# The official package, which the parity tests and benchmarks compare with. It is built against the torch that is there and
# without its CUDA extension. Where that fails, those tests skip and say so, and the rest still runs; the next call tries again.
oracle: $(VENV)/.installed-oracle

$(VENV)/.installed-oracle: $(VENV)/.installed-test
	@if SAM2_BUILD_CUDA=0 $(UV) --no-deps --no-build-isolation sam2 iopath portalocker; then touch $@; \
	else echo "The official package sam2 could not be installed: the tests that compare with it will skip." >&2; fi
