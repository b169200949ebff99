# `make demo` and `make test` do all the set-up by themselves, on Debian and Ubuntu.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-kernel bench check format venv deps wheel clean

demo: venv ## a real guest pings the host through a wire that vecnet made
	./topologies/demo/run

test: venv ## the tests here, then those that need a kernel with tunnels
	$(BIN)/pytest -m "not kernel and not soak" $(TESTS)
	$(BIN)/python -m tests.kernel.boot

test-kernel: venv ## only the tests that need a kernel with gretap and l2tp, in QEMU
	$(BIN)/python -m tests.kernel.boot

bench: venv ## every transport next to a bare loop on the same sockets; the README's chart
	$(BIN)/vecnet bench --json bench.json --svg docs/bench.svg
	@echo "figures: bench.json, chart: docs/bench.svg"

check: venv ## style and types, strictly
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: venv
	$(BIN)/python -m build --wheel

venv: $(BIN)/.made

$(BIN)/.made: pyproject.toml setup.py $(wildcard _native/*.* _native/transports/*.c) | deps
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable . --group dev
	touch $@

deps: ## the system's packages
	@./.ci/deps

clean:
	rm -rf .venv build dist *.egg-info .kernel .mypy_cache .ruff_cache .pytest_cache .hypothesis
