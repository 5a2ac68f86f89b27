# One screen: `make help` explains each target in a line.
# Builds without profile-guided optimization (pyenv's, unless told) take half as long again: PYTHON=/usr/bin/python3
PYTHON ?= python3
PY  := .venv/bin/python
BIN := .venv/bin
BESIDE := -n 3 --dist loadfile --no-loadscope-reorder  # tests wait for processes and disks half of their time: three at once keep two cores busy
TWO := -n 2 --dist loadfile --no-loadscope-reorder  # some of the slow ones measure memory and times: no third beside them
PACK := pdp lib permits guards gates duties approvals config:config.yaml
unexport PYTHONDONTWRITEBYTECODE  # where images set it, every one of the suite's processes compiles all that it imports
.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-slow test-all lint types rego bench bench-peers bench-docs revocation compose-test docs lock agree wheel mutants swaps profile chaos soak fuzz faults

help: ## explain every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: .venv/.ready ## create .venv from the lock file and get OPA (needs Python >= 3.11 and Go, or OPA on PATH)

.venv/.ready: requirements.lock pyproject.toml tools/opa/go.sum tools/regal/go.sum
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/pdp opa install
	$(BIN)/pdp opa install --regal
	@touch $@

run: setup ## serve on loopback with sample people, tools and tokens; prints a curl to try
	$(BIN)/pdp serve --dev

demo: setup ## drive a protected MCP server as seven callers and print who got what, and why
	$(PY) -m pdp.dev.demo

test: setup ## every test but the slow ones; offline, a few minutes
	$(BIN)/pytest -m "not slow" $(BESIDE)

test-slow: setup ## the slow tests alone
	$(BIN)/pytest -m slow $(TWO)

test-all: setup ## every test
	$(BIN)/pytest

lint: setup ## ruff: style, names, bugs, formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict, over the package and its tests
	$(BIN)/mypy

rego: setup ## the policy pack: checks, tests with coverage, Regal, drift of generated files
	$(BIN)/pdp policy check
	cd rego && OPA=$$(../.venv/bin/pdp opa path) && REGAL=$$(../.venv/bin/pdp opa path --regal) && \
	$$OPA fmt --diff --fail . && \
	$$OPA test --capabilities capabilities.json $(PACK) && \
	$$OPA test --capabilities capabilities.json --coverage --threshold 100 $(PACK) > /dev/null && \
	$$REGAL lint . && $$REGAL test .regal/rules

bench: setup ## measure raw OPA, our engine client, decisions, the adapter and large stores in one run, about seven minutes
	$(PY) -m tests.bench

bench-peers: setup ## the same question to other decision points, installed into build/bench/peers, in one run with ours
	$(PY) -m tests.bench.peers

bench-docs: setup ## both benches on a quiet machine, their figures and charts written into docs/performance.md
	$(PY) -m tests.bench --write-docs
	$(PY) -m tests.bench.peers --write-docs

revocation: setup ## time from revoking on one replica to the deny on another, 200 times on each store
	$(PY) -m tests.bench.revocation

swaps: setup ## replace the policy 50 times under load, with an OPA of ours and with a sidecar; prints how long it takes
	SWAPS=50 $(BIN)/pytest -q -s -m slow tests/flow/test_swaps.py

fuzz: setup ## feed hostile bytes to what reads them, guided by coverage, for MINUTES (10); the last line counts
	$(PY) -m tests.fuzz --minutes $(or $(MINUTES),10)

compose-test: ## build the images, start the compose file for real, and call through it (skips without Docker)
	bash tests/compose/run

docs: setup ## write the generated reference pages
	$(PY) -m pdp.dev.reference

lock: ## renew requirements.lock and requirements-server.lock from pyproject.toml
	env -u PIP_FIND_LINKS $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra server --extra postgres --extra notify --extra otel --extra dev \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	env -u PIP_FIND_LINKS $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra server --extra postgres \
		--build-deps-for wheel -c requirements.lock --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--output-file requirements-server.lock pyproject.toml

agree: setup ## both engines on 20,000 generated inputs; the count of differences is on the last line
	$(PY) -m tests.agree

wheel: setup ## build the wheel with the compiled default pack in it, which needs no OPA with PDP_ENGINE=wasm
	$(PY) -m pdp.dev.wheel

mutants: setup ## change every rule in many small ways; the pack's own tests must notice 95 % of them
	$(PY) -m tests.mutants

faults: setup ## the fail-closed table and the tests that break each row; PROVE=1 switches controls off, which they must catch
	$(PY) -m tests.faults $(if $(PROVE),--prove)

profile: setup ## where a decision's CPU time goes, by thread, step and function; writes build/bench/profile.folded too
	$(PY) -m tests.bench.profile

chaos: setup ## kill -9 of the PDP, its OPA and both, ROUNDS=300 times under load; every answer is looked up in the log
	$(PY) -m tests.chaos --rounds $(or $(ROUNDS),300)

soak: setup ## MINUTES=20 of load at 70 % with parts breaking all the time; every answer against an oracle, memory flat
	$(PY) -m tests.chaos.soak --minutes $(or $(MINUTES),20)
