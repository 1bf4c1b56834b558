# Everything is reached through this file; `make` alone lists what there is.
# On Debian a missing C++ compiler, python3-venv or the like is installed with
# apt-get (through sudo when not root), and said so.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

GO ?= go
MODULE := github.com/supertable-go/supertable
CACHE := $(CURDIR)/.cache

# The version and the commit that the program shows; an archive of the source,
# or a checkout that git refuses, has none.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
VCS := $(shell git status --porcelain >/dev/null 2>&1 && echo auto || echo false)

# The linter, built once into .cache/bin. A Go release needs a version of it
# that knows the release.
LINT_VERSION := v2.15.0
LINT := $(CACHE)/bin/golangci-lint-$(LINT_VERSION)

FUZZTIME ?= 30s
KILLS ?= 200
SOAK ?= 10m
SIZE ?= 10
SEED ?=
SEEDS ?=
BENCH ?=
LAKE_TESTS ?=
PKG ?= ./...
ARGS ?=

# DuckDB and SQLite are C and C++: without a compiler Go would turn cgo off.
export CGO_ENABLED := 1

# What tests read: where the DuckDB extensions lie, how many processes a crash
# test kills, and the seed to repeat (empty: a new one, which is printed).
export ST_EXTENSIONS := $(CACHE)/extensions
export ST_SEED := $(SEED)

# The tests' build: invariants compiled in (internal/invariant); vet is lint's.
TESTFLAGS := -tags invariants -vet=off -timeout 20m

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: compiler ## build bin/supertable
	$(GO) build -buildvcs=$(VCS) -ldflags '-X $(MODULE)/internal/cli.version=$(VERSION)' -o bin/supertable ./cmd/supertable

.PHONY: quickstart
quickstart: build ## build, then a tour of the program on 3 million flights
	@scripts/quickstart.sh

.PHONY: test
test: lint race interop ## what .ci/run calls: lint, every test under the race detector, and interop whole

.PHONY: unit
unit: deps compiler ## every test without the race detector; PKG=./query/... for some
	ST_KILLS=$${ST_KILLS:-10} $(GO) test $(TESTFLAGS) -short $(PKG)

# Interop spends its time in DuckDB's C++, where the detector sees nothing and
# our own code beside it runs several times slower: its random histories are the
# part that runs under it; the whole runs without (make interop).
.PHONY: race
race: deps compiler ## every test under the race detector (interop in part), crash short; PKG=
	list=$$($(GO) list $(PKG)); others=$$(grep -v '/interop$$' <<<"$$list" || true); \
	if [ -n "$$others" ]; then ST_KILLS=$${ST_KILLS:-10} $(GO) test $(TESTFLAGS) -race -short $$others; fi; \
	if grep -q '/interop$$' <<<"$$list"; then $(GO) test $(TESTFLAGS) -race -short -run TestRandom ./interop/; fi

.PHONY: lint
lint: compiler $(LINT) ## golangci-lint with .golangci.yml
	$(LINT) run

.PHONY: fmt
fmt: compiler $(LINT) ## format every Go file as lint wants it, and mend what lint can
	$(LINT) fmt
	$(LINT) run --fix

.PHONY: fuzz
fuzz: compiler ## every fuzz target, FUZZTIME=30s each
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: crash
crash: deps compiler ## kill KILLS=200 writers and look at what they leave; SEED= repeats a run
	ST_KILLS=$(KILLS) $(GO) test $(TESTFLAGS) -timeout 0 -count=1 -v ./internal/crash/...

.PHONY: soak
soak: compiler ## writers, readers, monitoring and maintenance together for SOAK=10m, then a model check
	ST_SOAK=$(SOAK) $(GO) test $(TESTFLAGS) -race -timeout 0 -count=1 -v -run TestSoak .

.PHONY: interop
interop: deps compiler clients ## beside DuckDB's own DuckLake and other clients; SEED= repeats a run, SEEDS=1000
	ST_CLIENTS=$(CACHE)/clients ST_SEEDS=$(SEEDS) $(GO) test $(TESTFLAGS) -timeout 0 -count=1 ./interop/

.PHONY: interop-report
interop-report: deps compiler clients ## interop with SEEDS=1000 random histories, written down in docs/interop.md
	rm -rf $(CACHE)/interop
	status=0; \
	ST_INTEROP_RESULTS=$(CACHE)/interop ST_CLIENTS=$(CACHE)/clients ST_SEEDS=$(or $(SEEDS),1000) $(GO) test $(TESTFLAGS) -timeout 0 -count=1 ./interop/ || status=$$?; \
	ST_INTEROP_RESULTS=$(CACHE)/interop ST_INTEROP_REPORT=$(CURDIR)/docs/interop.md $(GO) test $(TESTFLAGS) -count=1 -run TestReport ./interop/; \
	exit $$status

# Other programs that read DuckLake: in Python, and in Node where it is at hand.
.PHONY: clients
clients:
	@scripts/venv.sh $(CACHE)/clients duckdb==1.5.5 pytz ducklake-dataframe==1.0.0 polars==1.38.1 pyarrow
	@if command -v npm >/dev/null 2>&1; then scripts/node.sh $(CACHE)/clients @duckdb/node-api@1.5.5-r.5; fi

.PHONY: conformance
conformance: deps compiler ## replay the reference implementation's own tests; LAKE_TESTS=dir
	ST_LAKE_TESTS='$(abspath $(LAKE_TESTS))' $(GO) test $(TESTFLAGS) -timeout 0 -count=1 -v -run TestConformance ./interop/

.PHONY: bench
bench: deps compiler ## ratios to raw DuckDB and DuckLake; BENCH=regexp, ARGS='-rows 1000000'
	-@scripts/deps.sh flights
	ST_DATA=$(CACHE)/data $(GO) run ./bench -only '$(BENCH)' $(ARGS)

.PHONY: bench-memory
bench-memory: deps build ## memory of write, query and compact over SIZE=10 GB; ARGS='-limit 1GiB'
	$(GO) run ./bench -only '^memory$$' -memory $(SIZE) $(ARGS)

.PHONY: bench-peers
bench-peers: deps compiler ## beside DuckLake, delta-rs and pyiceberg; ARGS='--rows 1000000'
	@scripts/venv.sh $(CACHE)/peers duckdb==1.5.5 pytz deltalake pyarrow 'pyiceberg[sql-sqlite]' matplotlib
	-@scripts/deps.sh flights
	$(GO) build -o $(CACHE)/bin/ours ./bench/ours
	ST_DATA=$(CACHE)/data ST_OURS=$(CACHE)/bin/ours PYTHONDONTWRITEBYTECODE=1 $(CACHE)/peers/bin/python bench/peers/run.py $(ARGS)

.PHONY: check
check: test quickstart ## before a change is proposed: test, then the quickstart
	$(GO) mod verify

.PHONY: deps
deps: ## fetch into .cache what the tests need: the DuckDB extensions
	@scripts/deps.sh extensions

.PHONY: acceptance
acceptance: build ## the acceptance suite beside the checkout, if there is one; ARGS='-k name -x'
	@if [ ! -d ../shared/acceptance ]; then echo "no ../shared/acceptance: nothing to run"; exit 0; fi; \
	scripts/venv.sh $(CACHE)/acceptance pytest duckdb==1.5.5 pyarrow zstandard; \
	ST_BIN=$(CURDIR)/bin/supertable PYTHONDONTWRITEBYTECODE=1 $(CACHE)/acceptance/bin/python -m pytest -q -p no:cacheprovider ../shared/acceptance $(ARGS)

.PHONY: clean
clean: ## remove bin/ and .cache/
	rm -rf bin .cache

.PHONY: compiler
compiler:
	@scripts/need.sh g++ g++

$(LINT):
	@mkdir -p $(CACHE)/bin
	GOBIN=$(CACHE)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv $(CACHE)/bin/golangci-lint $@
