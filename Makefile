# make help lists the targets. Go is the only thing that must be there already;
# what the tests run besides (redis-server, memcached, nutcracker, promtool) `make deps`
# installs, and the linters are pinned in tools/go.mod.

GO      ?= go
BIN     ?= bin/nuthatch
LDFLAGS ?=
# How many seconds `make fuzz-short` spreads over the fuzz targets.
FUZZ ?= 60
# What `make matrix` runs everything in once more (internal/testkit/variant.go).
VARIANTS ?= threads tls
# How long `make soak` takes, about.
SOAK    ?= 12m
# What `make demo` and `make bench` pass on.
ARGS ?=

TOOL := $(GO) tool -modfile=tools/go.mod

.DEFAULT_GOAL := build
.PHONY: help build demo test race invariants fuzz-short stacks matrix examples cross verify packages packages-quick release chart site compat integration soak bench profile lint fmt deps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/nuthatch (the default)
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/nuthatch

demo: build ## run a proxy over three in-process servers (ARGS=--memcached for memcached)
	$(BIN) demo $(ARGS)

test: deps ## run every test, in its shortest form
	$(GO) test ./...

# The browser's tests look at the page, the examples at files; the bench builds a program of its
# own, without assertions. Integration has them on in a variant of the matrix.
invariants: deps ## run tests with assertions on and released buffers overwritten
	$(GO) test -pgo=off -tags invariants $$($(GO) list ./... | grep -v -e /internal/dashboard -e /bench$$ -e /examples$$ -e /test/integration$$)

# What shares state between goroutines. Whole programs run in their short form.
RACE := admin ctl daemon demo eventloop health logging proto/redis proxy slowlog stats top

# What changes a running program, and asks it. (How much memory it takes is not the
# program's own under the detector.)
RACE_PROGRAMS := Reload|Upgrade|Drain|Orders|Admin|Status|Answers|Names|Health|Log|Start

race: deps ## run the packages that hold shared state, and whole programs, under the race detector
	$(GO) test -pgo=off -race -short $(RACE:%=./internal/%) ./cmd/...
	$(GO) test -pgo=off -race -short -run '$(RACE_PROGRAMS)' -skip Memory ./test/integration

fuzz-short: ## spread FUZZ seconds (60) over the fuzz targets
	GO=$(GO) .ci/fuzz $(FUZZ)

STACKS := ^Test(Stack|RedisPy|Node|RedisCLI|RedisTools|RedisBenchmark|GoRedis|Pymemcache|GoMemcache|Libmemcached)

stacks: deps ## run the clients and the stacks that applications use, in their own languages, against the proxy
	$(GO) test -count=1 -run '$(STACKS)' ./test/integration

# With several threads there is most to assert.
matrix: deps ## run integration and faults once more for each of VARIANTS; with threads with assertions on, with tls conversations, too
	@set -eu; for variant in $(VARIANTS); do \
		echo "== variant $$variant"; \
		flags=; if [ $$variant = threads ]; then flags="-pgo=off -tags invariants"; fi; \
		if [ $$variant = tls ]; then $(GO) test -count=1 -run 'InTLS$$' ./internal/proxy; fi; \
		NUTHATCH_VARIANT=$$variant $(GO) test $$flags -count=1 ./test/integration; \
	done

examples: build ## check every configuration file and example, once
	@set -eu; for file in conf/*.yml; do echo "$$file: $$($(BIN) -t -c $$file 2>&1)"; done
	$(GO) test -count=1 ./examples

cross: ## build for the other architecture that is released
	GOARCH=arm64 $(GO) build -pgo=off ./...
	GOARCH=arm64 $(GO) vet ./...

# (go mod verify cannot verify tools/helm, which has nuthatch itself as a folder. Its modules are
# held against go.sum when they are downloaded.)
verify: ## hold the modules against their checksums
	$(GO) mod verify
	$(GO) mod verify -modfile=tools/go.mod
	$(GO) -C tools/release mod verify

packages: deps ## build packages and image; install, run, upgrade, remove them in a clean root (as root)
	@command -v qemu-aarch64-static >/dev/null || .ci/apt-install qemu-user-static
	$(GO) -C tools/release vet .
	$(GO) -C tools/release test -count=1 -timeout 30m .

packages-quick: deps ## the same for this architecture alone, of the program as tests have compiled it (in CI)
	NUTHATCH_PACKAGES=quick $(GO) -C tools/release test -vet=off -count=1 -timeout 15m .

release: ## build what is released from HEAD into dist, twice, and compare
	$(GO) -C tools/release run . -root $(CURDIR) -o $(CURDIR)/dist

chart: ## render and check the Helm chart, with Helm's own packages
	$(GO) -C tools/helm test -vet=off -count=1 .

site: deps ## build the documentation as a site into dist-site; check its links, and its pages in a browser
	cd site && npm ci --no-audit --no-fund && npm run build && npm run check
	$(GO) test -tags site -count=1 ./test/site

compat: deps ## send the same bytes to nutcracker and to nuthatch, and compare
	$(GO) test -count=1 ./test/compat/...

integration: deps ## run against real servers and injected faults
	$(GO) test -count=1 ./test/integration/...

soak: deps build ## hold it under fire, and print a table of what was seen (SOAK=2h: for two hours; NUTHATCH_SEED=n: again)
	NUTHATCH_BIN=$(abspath $(BIN)) NUTHATCH_SOAK=$(SOAK) $(GO) test -v -count=1 -timeout 0 ./test/soak

bench: deps ## measure side by side with other proxies, in ten minutes (ARGS=-quick: in one; ARGS=-h)
	$(GO) run ./bench $(if $(ARGS),$(ARGS),-o docs/BENCHMARKS.md)

profile: deps ## profile nuthatch under load, for the compiler (cmd/nuthatch/default.pgo)
	$(GO) run ./bench -profile cmd/nuthatch/default.pgo

lint: ## what CI runs first: formatting, vet, and the linters of .golangci.yml
	@unformatted=$$($(TOOL) gofumpt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not gofumpt-clean (make fmt):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags invariants ./...
	$(TOOL) golangci-lint run --allow-parallel-runners ./...

fmt: ## format every Go file
	$(TOOL) gofumpt -w .

deps: ## install what the tests run, where it is missing (Debian, Ubuntu)
	@missing=""; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v redis-cli    >/dev/null || missing="$$missing redis-tools"; \
	command -v memcached    >/dev/null || missing="$$missing memcached"; \
	command -v jq           >/dev/null || missing="$$missing jq"; \
	command -v stunnel      >/dev/null || missing="$$missing stunnel4"; \
	PATH="$$PATH:/usr/sbin"; command -v nutcracker >/dev/null || missing="$$missing nutcracker"; \
	command -v memccapable  >/dev/null || missing="$$missing libmemcached-tools"; \
	/usr/bin/python3 -c 'import pymemcache' 2>/dev/null || missing="$$missing python3-pymemcache"; \
	python3 -c 'import redis' 2>/dev/null || /usr/bin/python3 -c 'import redis' 2>/dev/null || missing="$$missing python3-redis"; \
	/usr/bin/python3 -c 'import celery' 2>/dev/null || missing="$$missing python3-celery"; \
	/usr/bin/python3 -c 'import rq' 2>/dev/null && command -v rq >/dev/null || missing="$$missing python3-rq"; \
	/usr/bin/python3 -c 'import django_redis' 2>/dev/null || missing="$$missing python3-django-redis"; \
	/usr/bin/python3 -c 'import channels_redis' 2>/dev/null || missing="$$missing python3-channels-redis"; \
	command -v php >/dev/null || missing="$$missing php-cli"; \
	php -m 2>/dev/null | grep -qx redis || missing="$$missing php-redis"; \
	command -v sidekiq  >/dev/null || missing="$$missing ruby-sidekiq"; \
	[ -n "$$(find /usr/share/rubygems-integration /var/lib/gems -name 'redis-namespace-*.gemspec' 2>/dev/null)" ] || missing="$$missing ruby-redis-namespace"; \
	command -v groff >/dev/null || missing="$$missing groff-base"; \
	command -v zsh  >/dev/null || missing="$$missing zsh"; \
	command -v fish >/dev/null || missing="$$missing fish"; \
	command -v mmdebstrap >/dev/null || missing="$$missing mmdebstrap"; \
	command -v rpm  >/dev/null || missing="$$missing rpm"; \
	command -v promtool >/dev/null || missing="$$missing prometheus"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm  >/dev/null || missing="$$missing npm"; \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	if [ -n "$$missing" ]; then .ci/apt-install $$missing; fi

clean: ## remove what build made
	rm -rf bin dist dist-site
