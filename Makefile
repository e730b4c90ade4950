# Everything here runs on a machine that has Go and make only. What more there is gets used; what is missing is named.

GO ?= go
GOLANGCI_VERSION := v2.15.0

# Where tools are built and kept. CI keeps them outside the clone.
TOOLS ?= bin/tools
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)

# How long each fuzz target runs; which benchmarks run, and with which flags the comparison does.
FUZZTIME ?= 10s
BENCH ?= .
BENCH_FLAGS ?=

# What make chaos is told; see its -h.
CHAOS ?=

# REQUIRE_ALL=1, as in CI, makes it a failure to leave anything out. Tests read it as PREGON_REQUIRE_ALL.
ifeq ($(REQUIRE_ALL),1)
export PREGON_REQUIRE_ALL := 1
endif

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run a whole campaign in one process, against a simulated provider: nothing else is needed
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/enqueue ./cmd/enqueue
	@./bin/enqueue demo # Its status is 7 and the truth: some of its rows fail on purpose. make calls that an error.

.PHONY: build
build: ## Build every program into bin/, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

.PHONY: test
test: ## Run all tests and say what was left out (REQUIRE_ALL=1: leaving anything out fails)
	@race=; left=; \
	set -- $$($(GO) env CC); \
	if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$1" >/dev/null 2>&1; then race=-race; \
	else export CGO_ENABLED=0; left='left out: -race (no C compiler)\n'; fi; \
	command -v redis-server >/dev/null 2>&1 || left="$${left}left out: real Redis (no redis-server on PATH)\n"; \
	if [ "$$PREGON_REQUIRE_ALL" = 1 ] && [ -n "$$left" ]; then \
		printf "$$left"'REQUIRE_ALL=1 asks for everything: install what is missing\n' >&2; exit 1; fi; \
	status=0; $(GO) test $$race -shuffle=on -timeout 15m ./... || status=$$?; \
	(cd bench && $(GO) test $$race -shuffle=on ./...) || status=$$?; \
	[ -z "$$race" ] || $(GO) test -run TestMillionRowsFitInMemory ./campaign || status=$$?; \
	printf "$$left"; exit $$status

.PHONY: check
check: fmt vet lint arrows tidy ## Check format, vet, lint, arrows between packages, and go.mod

.PHONY: fmt
fmt:
	@unformatted=$$(gofmt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then printf 'gofmt -w these:\n%s\n' "$$unformatted"; exit 1; fi

# bench/ is a module of its own, with other people's queues in its go.mod; it is checked by the same rules.
IN_EACH_MODULE = for module in . bench; do [ -f $$module/go.mod ] || continue; (cd $$module &&

.PHONY: vet
vet:
	@$(IN_EACH_MODULE) $(GO) vet ./...) || exit 1; done

.PHONY: lint
lint: $(GOLANGCI)
	@config=$$PWD/.golangci.yml; linter=$(abspath $(GOLANGCI)); \
	$(IN_EACH_MODULE) "$$linter" run --config "$$config" ./...) || exit 1; done

.PHONY: arrows
arrows:
	@$(GO) test -count=1 .

.PHONY: tidy
tidy:
	@$(IN_EACH_MODULE) $(GO) mod tidy -diff) || { echo 'run go mod tidy'; exit 1; }; done

# Built by version, so that a new version is a new file. It takes about two minutes, once.
$(GOLANGCI):
	@echo 'building golangci-lint $(GOLANGCI_VERSION) into $(TOOLS)'
	@mkdir -p $(TOOLS)
	@GOFLAGS= CGO_ENABLED=0 GOBIN=$(abspath $(TOOLS))/new $(GO) install -trimpath \
		github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/new/golangci-lint $@ && rmdir $(TOOLS)/new

.PHONY: chaos
chaos: ## Break real workers, Redis and the provider by a seed, and judge what arrived (CHAOS="-short", "-seeds 20" …)
	@command -v redis-server >/dev/null 2>&1 || { echo 'chaos needs redis-server on PATH' >&2; exit 1; }
	@CGO_ENABLED=0 $(GO) run ./chaos $(CHAOS)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s each)
	@for package in $$($(GO) list ./...); do \
		listed=$$($(GO) test -list '^Fuzz' "$$package") || { echo "$$listed"; exit 1; }; \
		for target in $$(echo "$$listed" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$package" || exit 1; \
		done; \
	done

.PHONY: bench
bench: ## Run the benchmarks that BENCH selects (all), then the comparison with a plain queue
	@$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...
	@[ ! -f bench/main.go ] || (cd bench && $(GO) run . $(BENCH_FLAGS))
