# Needs rustup or cargo, python3 with pip, and make; test-wasm also node.

CARGO ?= cargo
PYTHON ?= python3
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

# Envoy: one's own binary by ENVOY=/path, else a stock one of this version, fetched once.
ENVOY_VERSION ?= 1.40.0
# What the tests run against, unless ENVOY is set.
ENVOY_VERSIONS ?= 1.36.4 1.38.2 1.40.0
export ENVOY_VERSIONS
LONG_ENVOY_VERSIONS := 1.36.4 1.37.0 1.38.2 1.39.3 1.40.0

WASM := dist/canary_filter.wasm
# What the module uses of WebAssembly beyond its first version: V8 has it in every Envoy from 1.36 on. Bulk memory is left
# out for the compiler, which would otherwise copy by `memory.copy`: sdk-shims/src/memory.rs decides when that pays.
WASM_FEATURES := +mutable-globals,+sign-ext,+nontrapping-fptoint,+simd128
# The same module wherever the crates lie; and a SHA-256 of a tenth the size, which hashes secrets alone.
CARGO_HOME ?= $(HOME)/.cargo
WASM_FLAGS = $(foreach crates,$(wildcard $(CARGO_HOME)/registry/src/*),--remap-path-prefix=$(crates)=crates) \
	--cfg sha2_backend_soft="compact" -C target-cpu=mvp -C target-feature=$(WASM_FEATURES)
# Callbacks of the SDK that the filter does not implement: a host enters the VM for each one that the module exports.
UNUSED_CALLBACKS := vm_start done queue_ready new_connection downstream_data downstream_connection_close upstream_data \
	upstream_connection_close response_body response_trailers http_call_response grpc_receive_initial_metadata grpc_receive \
	grpc_receive_trailing_metadata grpc_close foreign_function
# And what sdk-shims defines for the compiler alone.
UNUSED_EXPORTS := $(addprefix proxy_on_,$(UNUSED_CALLBACKS)) memcpy memmove memcmp
OPTIMIZE_WASM := $(PYTHON) scripts/optimize-wasm $(addprefix --without-export ,$(UNUSED_EXPORTS))
CANARYCTL := $(TARGET_DIR)/debug/canaryctl
# One target of the end-to-end tests: chosen out of the workspace, it takes the crates as `make test` has built them.
E2E := --workspace
# Only test-board and board-picture need it.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
CONFIG ?= envoy-configs/examples/bookinfo/03-jason/config.yaml
RUN_ARGS ?=
# Where `make push` pushes to: oci://HOST[:PORT]/NAME:TAG.
IMAGE ?=
PUSH_ARGS ?=
BENCH_ARGS ?=
# Of `cargo build` for the filter: scripts/release asks what it has built.
BUILD_ARGS ?=

# canaryctl without libraries, for images that hold nothing else; and without the registry's part, which needs a C compiler for it.
STATIC := $(shell uname -m)-unknown-linux-musl

.DEFAULT_GOAL := help
.PHONY: help toolchain build filter envoy envoys run test bench-routing test-wasm lint check-long clean ci test-board board-picture images manifests test-compose istio-tools test-istio check-reproducible bench bench-short bench-pages bench-envoy crates size push test-registry release release-files check-release-reproducible reference

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

toolchain: ## Install the Rust toolchain and targets that are missing, by rustup
	@command -v cargo >/dev/null || command -v rustup >/dev/null || \
		{ echo "make: neither cargo nor rustup found: install Rust with rustup" >&2; exit 1; }
	@for target in wasm32-wasip1 wasm32-unknown-unknown; do \
		test -d "$$(rustc --print target-libdir --target $$target 2>/dev/null)" || missing=1; done; \
	if [ -n "$$missing" ]; then rustup toolchain install || \
		{ echo "make: could not install the toolchain that rust-toolchain.toml names" >&2; exit 1; }; fi

crates:
	@$(CARGO) fetch --locked

build: filter ## Build the filter into dist/canary_filter.wasm, and canaryctl
	$(CARGO) build --locked -p canaryctl

filter: toolchain crates ## Build the filter alone
	CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS='$(WASM_FLAGS)' \
		$(CARGO) build --locked --profile wasm --target wasm32-wasip1 -p canary-filter $(BUILD_ARGS)
	@mkdir -p dist && $(OPTIMIZE_WASM) $(TARGET_DIR)/wasm32-wasip1/wasm/canary_filter.wasm $(WASM)
	@echo "$(WASM): $$(wc -c < $(WASM)) bytes, $$(gzip -9c $(WASM) | wc -c) gzipped"

size: toolchain crates ## Print how many bytes of the filter each crate takes
	CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS='$(WASM_FLAGS) -C symbol-mangling-version=v0' \
		$(CARGO) build --locked --profile wasm --target wasm32-wasip1 -p canary-filter
	@mkdir -p dist && $(OPTIMIZE_WASM) --names $(TARGET_DIR)/wasm32-wasip1/wasm/canary_filter.wasm dist/named.wasm
	@$(PYTHON) scripts/size dist/named.wasm

envoy: ## Fetch a stock Envoy (ENVOY_VERSION=x.y.z) and print its path
	@$(PYTHON) scripts/get-envoy $(ENVOY_VERSION)

run: build ## Run the Bookinfo canary in Envoy (ENVOY=/path, CONFIG=file, RUN_ARGS=flags of `canaryctl run`)
	@envoy="$${ENVOY:-$$($(PYTHON) scripts/get-envoy $(ENVOY_VERSION))}" && \
		exec $(CANARYCTL) run --config $(CONFIG) --envoy "$$envoy" --wasm $(WASM) $(RUN_ARGS)

envoys: ## Fetch the Envoys that the tests use (ENVOY_VERSIONS="..."), unless ENVOY is set
	@test -n "$$ENVOY" || for version in $(ENVOY_VERSIONS); do $(PYTHON) scripts/get-envoy $$version >/dev/null || exit 1; done

test: build envoys ## Test everything that needs neither root, Docker nor Node, real Envoys included (ENVOY_VERSIONS="...")
	$(CARGO) test --locked --workspace

test-board: build ## Test the board's page in a headless Chromium (CHROMIUM=/path; Envoy ENVOY_VERSION)
	@test -n "$(CHROMIUM)" || { echo "make: no Chromium found: install one, or set CHROMIUM=/path" >&2; exit 1; }
	@test -n "$$ENVOY" || $(PYTHON) scripts/get-envoy $(ENVOY_VERSION) >/dev/null
	CHROMIUM="$(CHROMIUM)" ENVOY_VERSIONS=$(ENVOY_VERSION) $(CARGO) test --locked $(E2E) --test board -- page::

board-picture: build ## Take the picture of the board in docs/reference/cli.md anew, docs/board.png (CHROMIUM=/path; a minute of traffic)
	@test -n "$(CHROMIUM)" || { echo "make: no Chromium found: install one, or set CHROMIUM=/path" >&2; exit 1; }
	@test -n "$$ENVOY" || $(PYTHON) scripts/get-envoy $(ENVOY_VERSION) >/dev/null
	BOARD_PICTURE="$(CURDIR)/docs/board.png" CHROMIUM="$(CHROMIUM)" ENVOY_VERSIONS=$(ENVOY_VERSION) \
		$(CARGO) test --locked $(E2E) --test board -- picture

bench: build bench-envoy ## Measure what a request costs, beside what else could do the work, and write docs/benchmarks (ROUNDS=n, SLICE_MS=n, RELOADS=n)
	ENVOY_VERSIONS=$(ENVOY_VERSION) $(CARGO) bench --locked -p e2e --bench costs

bench-short: build bench-envoy ## Check every answer of the benchmark, and write nothing
	ENVOY_VERSIONS=$(ENVOY_VERSION) $(CARGO) test --locked $(E2E) --bench costs -- short

bench-pages: ## Write docs/benchmarks again from the results that are kept there, and from tests/tests/data/budget.json
	$(CARGO) test --locked $(E2E) --bench costs -- pages

bench-envoy:
	@test -n "$$ENVOY" || $(PYTHON) scripts/get-envoy $(ENVOY_VERSION) >/dev/null

bench-routing: ## Measure what a decision costs natively, by the index and rule by rule (BENCH_ARGS=what criterion takes)
	$(CARGO) bench --locked -p canary-routing --bench route -- $(BENCH_ARGS)

test-wasm: toolchain ## Run the tables of the routing crate as wasm32 in Node
	@$(PYTHON) scripts/test-wasm

push: build ## Push the filter into an OCI registry (IMAGE=oci://HOST/NAME:TAG, PUSH_ARGS=flags of `canaryctl push`)
	@test -n "$(IMAGE)" || { echo "make: say where to: make push IMAGE=oci://HOST/NAME:TAG" >&2; exit 1; }
	@$(CANARYCTL) push $(WASM) "$(IMAGE)" $(PUSH_ARGS)

images: build ## Build the images that docker-compose.yml names, without a registry
	@test -d "$$(rustc --print target-libdir --target $(STATIC) 2>/dev/null)" || rustup target add $(STATIC)
	$(CARGO) build --locked --release --target $(STATIC) -p canaryctl --no-default-features
	@cp $(TARGET_DIR)/$(STATIC)/release/canaryctl dist/canaryctl.new && mv dist/canaryctl.new dist/canaryctl
	@$(PYTHON) scripts/build-images

reference: crates ## Write the JSON Schemas and the made parts of docs/reference anew, from the fields and flags in the code
	RECORD=1 $(CARGO) test --locked --quiet -p canaryctl --test schema made::

manifests: crates ## Write the manifests of envoy-configs/istio anew, each by the command in its first line
	$(CARGO) build --locked -p canaryctl
	@for file in $$(grep -rl '^# canaryctl render' --include='*.yaml' envoy-configs/istio); do \
		flags=$$(sed -n '1s/^# canaryctl //p' $$file) && \
		eval "$(CANARYCTL) $$flags" > $$file.new && mv $$file.new $$file || exit 1; done

test-registry: build ## Test `canaryctl push` and `pull` against a real docker-registry, and what Docker pushes where it answers
	@registry="$$($(PYTHON) scripts/get-registry)" && \
		REGISTRY="$$registry" $(CARGO) test --locked $(E2E) --features e2e/registry --test registry

test-compose: build ## Test docker-compose.yml in Docker, and what Prometheus and Grafana show; starts dockerd if none runs (as root)
	@$(PYTHON) scripts/with-docker sh -ec '$(MAKE) images; $(CARGO) test --locked $(E2E) --features e2e/compose --test compose'

istio-tools: ## Build Istio's control plane, its agent and an API server into the cache (some ten minutes, once), and print where
	@$(PYTHON) scripts/get-istio

test-istio: build ## Test the filter under a real control plane of Istio, without a cluster (root, or user namespaces; Envoy ENVOY_VERSION)
	@test -n "$$ENVOY" || $(PYTHON) scripts/get-envoy $(ENVOY_VERSION) >/dev/null
	@tools="$$($(PYTHON) scripts/get-istio)" && registry="$$($(PYTHON) scripts/get-registry)" && \
		ISTIO_TOOLS="$$tools" REGISTRY="$$registry" ENVOY_VERSIONS=$(ENVOY_VERSION) $(CARGO) test --locked $(E2E) --features e2e/istio --test istio

lint: toolchain ## Check format, lints, documentation, and who may depend on whom
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS='$(WASM_FLAGS)' \
		$(CARGO) clippy --locked --target wasm32-wasip1 -p canary-filter -p sdk-shims -- -D warnings
	$(PYTHON) scripts/check-dependencies --self-test
	$(PYTHON) scripts/check-circles --self-test
	$(PYTHON) scripts/check-circles
	$(PYTHON) scripts/size --self-test
	$(PYTHON) scripts/check-dependencies
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

check-reproducible: toolchain ## Build what is committed twice, at two paths, and compare the modules
	@$(PYTHON) scripts/check-reproducible

release-files: toolchain crates
	@$(PYTHON) scripts/release

release: release-files ## Build the files of a release of what is committed into dist/release, and check them
	@$(PYTHON) scripts/check-release
	CANARY_WASM="$(CURDIR)/dist/release/canary_filter.wasm" \
		$(CARGO) test --locked $(E2E) --features e2e/release --test artefact --test release

check-release-reproducible: toolchain ## The same for all files of a release
	@$(PYTHON) scripts/check-reproducible --release

check-long: check-release-reproducible release ## What is too long for every change: all five Envoy versions, the drills at full length, many cases of each property (1,280,000 decisions of the index), two builds of the same bytes
	LONG=1 PROPTEST_CASES=20000 $(MAKE) test ENVOY_VERSIONS="$(LONG_ENVOY_VERSIONS)"

clean: ## Remove what was built (not the cache of Envoys)
	$(CARGO) clean
	rm -rf dist

ci: ## What continuous integration runs
	.ci/run
