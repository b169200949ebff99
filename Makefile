# `make demo` and `make test` do all the set-up by themselves, on Debian and Ubuntu.

PYTHON ?= python3
BIN := .venv/bin
AGAIN := $(if $(CI),--reruns 1 -r fER) # once more in CI, and shown: what passes then is a fault of its own, to be mended
WORKERS := --dist loadfile $(AGAIN) --numprocesses # a module shares what it boots
MANY := $(shell echo $$(($$(nproc) * 3 / 2))) # of a worker's time a third is waiting

unexport PYTHONDONTWRITEBYTECODE # the tests start hundreds of commands, and each would compile all modules again

.PHONY: demo test test-beside test-long test-kernel sanitize fuzz bench recording docs check format venv deps wheel wheel-aarch64 wheel-musl deb fresh release-tools release onefile clean

demo: venv ## real guests ping each other and reach the host, without root, and by a wire that vecnet made
	./topologies/demo/run

# What needs no machine to itself: it runs beside the emulated one.
BESIDE := $(addprefix tests/,cli graph guests newcomers plugin topology transports) $(wildcard tests/test_*.py)

test: venv ## the tests here, once more under sanitizers, and those that need a kernel with tunnels
	$(BIN)/pytest $(WORKERS) $(MANY) -m "not kernel and not long" --durations=10 \
	    $(or $(TESTS),--ignore=tests/datapath $(addprefix --ignore=,$(BESIDE)))
	$(BIN)/pytest --numprocesses auto $(AGAIN) -m "unsanitized and not long" $(or $(TESTS),tests/datapath)
	$(MAKE) --jobs=2 test-beside test-kernel  # the emulated processor is one, and leaves the others free

test-beside: sanitize
	$(if $(TESTS),,$(BIN)/pytest $(WORKERS) auto -m "not kernel and not long" --durations=10 $(BESIDE))

test-long: venv release-tools ## what takes minutes: ten million frames, the oldest kernel, 200 kills
	$(BIN)/pytest -m "long and not kernel" $(TESTS)
	VECNET_KERNEL_TESTS="kernel and long" $(BIN)/python -m tests.kernel.boot
	VECNET_THOROUGH=1 $(BIN)/python -m tests.kernel.boot
	VECNET_THOROUGH=1 VECNET_CHAOS=200 $(BIN)/pytest -m "not kernel and not long" \
	    $$(grep -rlE "^from tests.thorough import" tests) tests/test_chaos.py

test-kernel: venv ## only the tests that need a kernel with gretap and l2tp, in QEMU
	$(BIN)/python -m tests.kernel.boot

bench: venv ## every transport next to a bare loop on the same sockets; the README's chart
	$(BIN)/vecnet bench --json bench.json --svg docs/bench.svg
	@echo "figures: bench.json, chart: docs/bench.svg"

SANITIZED ?= tests/datapath

sanitize: venv ## what runs the compiled module, under the address and undefined-behaviour sanitizers
	VECNET_SANITIZE=1 $(BIN)/python setup.py --quiet build --build-base .sanitize --build-lib .sanitize/lib
	VECNET_SANITIZE=1 tests/sanitized/python -m pytest $(WORKERS) auto -m "not kernel and not unsanitized and not long" \
	    -o pythonpath=".sanitize/lib ." $(or $(TESTS),$(SANITIZED))

fuzz: venv ## the fuzzers, for longer than the tests do: make fuzz RUNS=10000000
	VECNET_FUZZ_RUNS=$(or $(RUNS),1000000) $(BIN)/pytest tests/datapath/test_fuzz.py

recording: venv ## the README's picture of a terminal, from a real run
	$(BIN)/python -m manual.recording docs/recording.svg

docs: venv ## the documentation as a site, in site/
	$(BIN)/pip install --quiet --group docs
	PYTHONPATH=. $(BIN)/mkdocs build  # --quiet would pass over what is strict

check: venv ## style and types, strictly
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

deb: wheel ## the Debian package, built and tried on fresh machines of Debian's newest suite: minutes, and root
	.ci/fresh sid deb

fresh: wheel ## make fresh SUITE=noble: had in every way, used, and removed on fresh machines of that suite: minutes, and root
	.ci/fresh $(or $(SUITE),bookworm)

wheel: venv ## one for every Python from 3.11 on: the same commit gives the same bytes, and auditwheel names what it runs on
	rm -rf build dist/built
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --wheel --outdir dist/built
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair --wheel-dir dist dist/built/*.whl

wheel-aarch64 wheel-musl: release-tools ## wheels that are compiled across; that for aarch64 is tried under qemu-user: minutes, and root
	.ci/wheel $(@:wheel-%=%)

release-tools: venv
	$(BIN)/pip install --quiet --group release

release: release-tools ## all of a release but the upload, in dist/VERSION/: versions agree, built twice alike, checked, summed
	.ci/release

onefile: release-tools ## dist/vecnet, the whole of it in one file, for machines with this Python
	mkdir -p dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/shiv --quiet --console-script vecnet --extend-pythonpath \
	    --reproducible --compressed --python '/usr/bin/env python3' --output-file dist/vecnet .

venv: $(BIN)/.made

$(BIN)/.made: pyproject.toml setup.py $(wildcard _native/*.* _native/*/*.[ch]) | deps
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable . --group dev
	touch $@

deps: ## the system's packages, and guest kernels of every generation
	@./.ci/deps
	@$(PYTHON) -m tests.uml.fetch

clean:
	rm -rf .venv .sanitize build dist site *.egg-info vecnet/_native.abi3.so _native/generated .kernel .guests .mypy_cache .ruff_cache .pytest_cache .hypothesis
