# Tidegate: `make help` lists what can be made.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
.DEFAULT_GOAL := help

# Every module of the workspace. `./...` at the root matches nothing, so loops go over this list.
MODULES := proto migrations admin-ui controlplane dataplane e2e
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
BINARIES := bin/tidegate bin/tidegate-controlplane bin/tidegate-agent
GO_SOURCES = $(shell find proto migrations controlplane dataplane -name '*.go' -not -name '*_test.go' -o -name '*.sql' -path 'migrations/*' -o -name 'openapi.json')
CONSOLE_SOURCES = $(shell find admin-ui -path admin-ui/node_modules -prune -o -path admin-ui/dist -prune -o -type f -print)
export GOTOOLCHAIN := local

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-zA-Z/_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-20s %s\n", $$1, $$2}'

# ---------------------------------------------------------------------------------------------------------- running

.PHONY: up
up: build ## Build and run everything here: Postgres, the control plane, three agents, a demo
	@bin/tidegate up $(UP_FLAGS)
UP_FLAGS ?=

.PHONY: demo-bad-release
demo-bad-release: build ## Publish a broken change under live load, and watch it being taken back
	@bin/tidegate-demo bad-release $(DEMO_FLAGS)
DEMO_FLAGS ?=

GITHUB_API := .tools/github/api.github.com.json
.PHONY: demo-github
demo-github: build $(GITHUB_API) ## Load GitHub's API, over a thousand routes, into the running stack
	@bin/tidegate-demo github $(DEMO_FLAGS)

# The package has 400 MB; only one file of it is needed.
$(GITHUB_API): .tools/github/package-lock.json
	@echo "fetching GitHub's description of its API"
	(cd .tools/github && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	cp .tools/github/node_modules/@octokit/openapi/generated/api.github.com.json $@
	rm -rf .tools/github/node_modules

# --------------------------------------------------------------------------------------------------------- building

.PHONY: build
build: $(BINARIES) bin/tidegate-demo ## Build the programs into bin/, with the console

LDFLAGS = -X main.version=$(VERSION)
bin/tidegate bin/tidegate-controlplane: admin-ui/dist/index.html $(GO_SOURCES)
	@echo "building $@"
	(cd controlplane && go build -tags console -ldflags '$(LDFLAGS)' -o ../$@ ./cmd/$(notdir $@))
# The profile tells the compiler what requests need; it saves some 2 % of a request.
bin/tidegate-agent: $(GO_SOURCES) dataplane/cmd/tidegate-agent/agent.pgo
	@echo "building $@"
	(cd dataplane && go build -pgo=cmd/tidegate-agent/agent.pgo -ldflags '$(LDFLAGS)' -o ../$@ ./cmd/tidegate-agent)
bin/tidegate-demo: $(shell find e2e -name '*.go' 2>/dev/null) $(GO_SOURCES)
	@echo "building $@"
	(cd e2e && go build -o ../$@ ./cmd/demo)

bin/tidegate-bench: $(shell find e2e/cmd/bench -type f 2>/dev/null)
	@echo "building $@"
	(cd e2e && go build -o ../$@ ./cmd/bench)

bin/tidegate-fleet: $(shell find e2e/cmd/fleet e2e/fleetagent proto -name '*.go' 2>/dev/null)
	@echo "building $@"
	(cd e2e && go build -o ../$@ ./cmd/fleet)

.PHONY: console
console: admin-ui/dist/index.html
admin-ui/dist/index.html: admin-ui/node_modules/.installed $(CONSOLE_SOURCES)
	@echo "building the console"
	(cd admin-ui && npm run --silent build)
admin-ui/node_modules/.installed: admin-ui/package-lock.json
	@echo "installing the console's packages"
	(cd admin-ui && npm ci --no-audit --no-fund --loglevel=error)
	touch $@

# Playwright drives the browser that is installed; it downloads none.
e2e/console/node_modules/.installed: e2e/console/package-lock.json
	@echo "installing what drives the browser"
	(cd e2e/console && npm ci --no-audit --no-fund --loglevel=error)
	touch $@

.PHONY: clean
clean: ## Remove what was built (not the data of `make up`)
	rm -rf bin .bin admin-ui/dist

# ---------------------------------------------------------------------------------------------------------- testing

# Everything with goroutines is race-tested; the e2e tests drive binaries that are built once, as users get them. They wait more
# than they work, so more of them run at once than there are processors.
TEST_FLAGS ?=
.PHONY: test
test: build $(GITHUB_API) e2e/console/node_modules/.installed ## Run every test: Go with the race detector, the console's, and end to end
	./.ci/modules proto controlplane dataplane -- go test -race -timeout 5m $(TEST_FLAGS) ./...
	(cd admin-ui && go vet ./... && npm run --silent test)
	(cd migrations && go vet ./...)
	(cd e2e && go test -timeout 8m -count=1 -parallel 5 $(TEST_FLAGS) ./...)

.PHONY: e2e
e2e: build $(GITHUB_API) e2e/console/node_modules/.installed ## Run the end-to-end tests alone
	(cd e2e && go test -timeout 8m -count=1 -v $(TEST_FLAGS) ./...)

BENCH ?= .
.PHONY: bench-go
bench-go: ## Run the Go benchmarks, with allocations
	./.ci/modules proto dataplane controlplane -- go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

.PHONY: profile
profile: ## Record anew the profile by which the agent is compiled
	(cd dataplane && go test -trimpath -run '^$$' -bench Exchange/ -benchtime 4s -cpuprofile cmd/tidegate-agent/agent.pgo -o ../.bin/proxy.test ./proxy)

# All peers take some 25 minutes on a quiet machine, and Caddy and Traefik some to build. QUICK=1 leaves these out.
QUICK ?=
BENCH_FLAGS ?=
.PHONY: bench
bench: build bin/tidegate-bench $(if $(QUICK),,.bin/caddy .bin/traefik) ## Measure an agent beside nginx, haproxy, Caddy and Traefik (QUICK=1: 3 minutes)
	@bin/tidegate-bench $(if $(QUICK),--quick) $(BENCH_FLAGS)

# Agents of the real protocol, all in one process, against a control plane that is started for it.
FLEET_FLAGS ?=
.PHONY: fleet
fleet: build bin/tidegate-fleet ## Measure a control plane with a thousand agents of the real protocol (some minutes)
	@bin/tidegate-fleet $(FLEET_FLAGS)

.PHONY: overload
overload: build ## Five times too much load, and memory under attack, at full size and held to what is promised (some minutes)
	(cd dataplane/overload && TIDEGATE_SIMULATE=1 go test -count=1 -v -run 'Rivals' .)
	(cd e2e && TIDEGATE_FULL=1 go test -count=1 -v -timeout 15m -run 'TestFiveTimesTooMuchLoad|TestMemoryIsBounded' -parallel 1 .)

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each (default 30s)
	@./.ci/fuzz $(FUZZTIME)

# ------------------------------------------------------------------------------------------------ checks and generation

.PHONY: lint
lint: .bin/golangci-lint .bin/buf admin-ui/node_modules/.installed e2e/console/node_modules/.installed ## Run every linter, and each module without the workspace
	./.ci/modules $(MODULES) -- $(CURDIR)/.bin/golangci-lint run --config $(CURDIR)/.golangci.yml ./...
	GOWORK=off ./.ci/modules $(MODULES) -- go vet ./...
	.bin/buf lint
	.bin/buf breaking --against '.git#branch=$(BREAKING_BASE)'
	.bin/buf format --diff --exit-code --path proto/tidegate >/dev/null || { echo "run: make format"; exit 1; }
	(cd admin-ui && npm run --silent lint)
	(cd .tools && GOWORK=off go vet ./... && GOWORK=off go test ./...)
	(cd e2e/console && npm run --silent lint)
	./.ci/scripts
BREAKING_BASE ?= main

.PHONY: format
format: .bin/gofumpt .bin/buf ## Format Go and proto sources
	.bin/gofumpt -w $(MODULES)
	.bin/buf format -w --path proto/tidegate

GENERATORS := .bin/buf .bin/protoc-gen-go .bin/protoc-gen-go-grpc .bin/protoc-gen-grpc-gateway .bin/protoc-gen-openapiv3 .bin/protoc-gen-openapi .bin/sqlc
.PHONY: generate
generate: $(GENERATORS) admin-ui/node_modules/.installed ## Generate what is generated (it is committed, and CI checks that it is fresh)
	.bin/buf generate
	(cd controlplane/store && ../../.bin/sqlc generate)
	(cd admin-ui && npm run --silent generate)

.PHONY: verify
verify: generate ## Check that what is generated is fresh
	git diff --exit-code

# ------------------------------------------------------------------------------------------------------------ tools
# Tools live in a module outside the workspace, so that their requirements never move ours.

tool_protoc-gen-go := google.golang.org/protobuf/cmd/protoc-gen-go
tool_protoc-gen-go-grpc := google.golang.org/grpc/cmd/protoc-gen-go-grpc
tool_protoc-gen-grpc-gateway := github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway
tool_protoc-gen-openapiv3 := github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3
tool_protoc-gen-openapi := ./cmd/protoc-gen-openapi
tool_sqlc := github.com/sqlc-dev/sqlc/cmd/sqlc
tool_golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
tool_gofumpt := mvdan.cc/gofumpt

.bin/%: .tools/go.mod .tools/go.sum
	@echo "building the tool $*"
	mkdir -p .bin
	(cd .tools && GOWORK=off go build -o ../.bin/$* $(tool_$*))
	touch $@
.bin/protoc-gen-openapi: $(wildcard .tools/cmd/protoc-gen-openapi/*.go)
# No lock file: npm wants every platform's binary in it, and not every registry has all. The version is exact.
.bin/buf: .tools/package.json
	@echo "installing the tool buf"
	mkdir -p .bin
	(cd .tools && npm install --no-package-lock --no-audit --no-fund --loglevel=error)
	ln -sf ../.tools/node_modules/.bin/buf .bin/buf
	touch -h $@

# Peers for `make bench`, each in a module of its own. They are large: one package at a time, behind everything else.
.bin/caddy: .tools/peers/caddy/go.mod .tools/peers/caddy/go.sum
	@echo "building Caddy"
	mkdir -p .bin
	(cd .tools/peers/caddy && GOWORK=off nice -n 19 go build -p 1 -o $(CURDIR)/$@ github.com/caddyserver/caddy/v2/cmd/caddy)
	touch $@
.bin/traefik: $(shell find .tools/peers/traefik -type f 2>/dev/null)
	@echo "building Traefik"
	.tools/peers/traefik/build $@
	touch $@
