# Every target makes the virtual environment that it needs, from the lock. `make` alone lists the targets.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
LOCK := requirements.lock
READY := $(VENV)/ready
FILES := ztag_extauthz tests loadtest proto k8s/verify
# uv trusts the authorities of the machine, as pip does.
export UV_SYSTEM_CERTS := 1

NEEDS_GO := command -v go >/dev/null || { echo "needs Go 1.26 or later (go.dev/dl)" >&2; exit 1; }
# An opa is what OPA names, what is on the path, or what go installs.
NEEDS_OPA = test -n "$${OPA:-}" || command -v opa >/dev/null || { $(NEEDS_GO); go install github.com/open-policy-agent/opa@v1.22.2; }
WITH_OPA := PATH="$$PATH:$$(go env GOPATH 2>/dev/null)/bin"

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ To try ztag, and what it costs

.PHONY: demo
demo: $(READY) ## Real requests through a real Envoy, and a table of what was decided and why
	$(RUN) -m ztag_extauthz demo

.PHONY: up
up: $(READY) ## The demo, left running, with curl lines to go on by hand
	$(RUN) -m ztag_extauthz demo --keep

.PHONY: bench
bench: $(READY) ## What each stage costs, the whole against a constant answer, and policies against opa (OPA=path)
	$(RUN) -m loadtest.bench
	$(RUN) -m loadtest.identity
	$(RUN) -m loadtest.rego_bench

.PHONY: clean
clean: ## Remove what the targets made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find $(FILES) -name __pycache__ -prune -exec rm -rf {} +

##@ To work on it

.PHONY: test
test: $(READY) ## Everything that must be green: unit, property, security and end-to-end tests
	$(RUN) -m pytest -n 2 --dist loadgroup

.PHONY: lint
lint: $(READY) ## ruff, ruff format, mypy --strict
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

.PHONY: examples
examples: $(READY) ## The tests of policy/ by the real opa, too, its check, fmt and decision logs (OPA=path)
	$(RUN) -m loadtest.conformance.examples
	$(RUN) -m loadtest.decision_logs

.PHONY: fuzz
fuzz: $(READY) ## Hostile inputs for all that reads what others wrote (FOR=seconds for each target, INPUTS=n at most, OUT=file)
	$(RUN) -m loadtest.fuzz $(if $(FOR),--seconds $(FOR)) $(if $(INPUTS),--inputs $(INPUTS)) $(if $(OUT),--out $(OUT))

.PHONY: chaos
chaos: $(READY) ## What breaks, broken on purpose under load through a real Envoy (RATE=, OPA=path, OUT=page)
	$(RUN) -m loadtest.chaos $(if $(RATE),--rate $(RATE)) $(if $(OUT),--out $(OUT))

.PHONY: soak
soak: $(READY) ## The same load for long: memory, descriptors and latency stay where they are (MINUTES=60, RATE=, OUT=page)
	$(RUN) -m loadtest.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE)) $(if $(OUT),--out $(OUT))

.PHONY: risk
risk: $(READY) ## Limits under load, and what the risk scorer finds (DATA=folder of the data sets), also live behind Envoy
	$(RUN) -m loadtest.limits
	$(RUN) -m loadtest.risk $(if $(DATA),--data $(DATA))
	$(RUN) -m loadtest.risk.live

.PHONY: cache
cache: $(READY) ## The cache on one node: hits beside an exact LRU, answers beside those without it, reloads under load
	$(RUN) -m loadtest.cache.zipf
	$(RUN) -m loadtest.cache.identities
	$(RUN) -m loadtest.cache.reloads

.PHONY: cache-replicas
cache-replicas: $(READY) ## The cache over replicas: a hit in Redis, a Redis that is down, masters killed under load
	$(RUN) -m loadtest.cache

.PHONY: proto
proto: $(READY) ## Generate the protobuf classes
	$(RUN) proto/generate.py

.PHONY: docs
docs: $(READY) ## Write what is made of the code: docs/configuration.md, parts of other pages, envoy/, k8s/
	$(RUN) -m ztag_extauthz config reference > docs/configuration.md
	$(RUN) -m tests.rego_page
	$(RUN) -m tests.living_page
	$(RUN) -m loadtest.capacity
	$(RUN) -m ztag_extauthz wire envoy --config envoy/ztag.yaml --full --body-bytes 8192 --host ztag \
		--upstream upstream:8080 > envoy/envoy.yaml
	$(RUN) -m k8s.verify.schema
	$(RUN) -m k8s.verify.kustomize

.PHONY: lock
lock: $(VENV)/bin/uv ## Make the lock anew from pyproject.toml (UPGRADE=1: with the newest versions)
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra dev $(if $(UPGRADE),--upgrade) pyproject.toml --output-file $(LOCK)
	printf 'hatchling\npyjwt\n' | $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --constraints $(LOCK) --extra geo --extra grpcio --extra opa --extra redis --extra reflection \
		pyproject.toml - --output-file envoy/requirements.lock

##@ To compare it with others (these need Go)

.PHONY: loadtest
loadtest: $(READY) ## ztag beside its peers, and its goals; writes loadtest/report and what repeats it (needs Go; ROUNDS=3, ONLY="hits held" for parts)
	@$(NEEDS_GO)
	@$(NEEDS_OPA)
	$(WITH_OPA) $(RUN) -m loadtest.load $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))
	$(RUN) -m loadtest.report
	$(RUN) -m loadtest.capacity

.PHONY: peers
peers: $(READY) ## ztag beside opa-envoy-plugin and an OPA sidecar: throughput, latency, CPU (needs Go)
	@$(NEEDS_GO)
	@$(NEEDS_OPA)
	$(WITH_OPA) $(RUN) -m loadtest.peers

.PHONY: contract
contract: $(READY) ## Compare with a real opa-envoy-plugin (needs Go)
	@$(NEEDS_GO)
	$(RUN) -m loadtest.contract

.PHONY: conformance
conformance: $(READY) ## Compare the Rego engine with OPA: its cases, random and mutated policies (needs Go)
	@$(NEEDS_GO)
	$(RUN) -m loadtest.conformance.cases
	$(RUN) -m loadtest.conformance.oracle

.PHONY: engines
engines: $(READY) ## The same policies on the embedded engine and on a real opa, answer by answer (needs Go, or OPA=path)
	@$(NEEDS_OPA)
	$(WITH_OPA) $(RUN) -m loadtest.conformance.engines

.PHONY: verify-platform
verify-platform: $(READY) ## The chart and the mesh, by helm, kubeconform, istioctl, istiod (needs Go; CRD_SCHEMAS, see k8s/verify)
	$(RUN) -m k8s.verify
	$(RUN) -m k8s.verify.image

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "needs python3, 3.11 or later" >&2; exit 1; }
	@if command -v uv >/dev/null; then uv venv --quiet --python "$(PYTHON)" $(VENV); \
	else "$(PYTHON)" -m venv $(VENV); fi

# The stamp is newer than what was installed from. The build backend is in the lock, too: nothing is fetched beside it.
$(READY): $(LOCK) pyproject.toml | $(VENV)/bin/python
	@echo "installing what ztag needs into $(VENV): about a minute" >&2
	@if command -v uv >/dev/null; then \
		uv pip install --quiet --python $(RUN) --require-hashes -r $(LOCK); \
		uv pip install --quiet --python $(RUN) --no-deps --no-build-isolation --editable .; \
	else \
		$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK); \
		$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@

$(VENV)/bin/uv: | $(VENV)/bin/python
	@if command -v uv >/dev/null; then ln -s "$$(command -v uv)" $@; \
	else $(RUN) -m pip install --quiet --disable-pip-version-check uv; fi
