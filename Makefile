# What a person types. Every target installs what it needs; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Outside the checkout, so that a second checkout on this machine reuses the dependencies.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/openledger/target
export OPENLEDGER_NODE ?= $(CARGO_TARGET_DIR)/release/openledger-node
# What scripts/setup.sh found out about the wasm toolchain.
ENV := source "$${OPENLEDGER_ENV:-$${XDG_CACHE_HOME:-$$HOME/.cache}/openledger/env}"

# Every target is a command, none a file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

setup: ## Install compilers, libraries and the wasm target
	@scripts/setup.sh

build: setup ## Build the node, the worker and the command line (docs/building.md says how long the first time takes)
	@$(ENV); cargo build --release --locked --workspace
	@$(ENV); cargo build --release --locked --workspace --manifest-path gpu-offchain/Cargo.toml

demo: build ## The whole loop: records, a trained model, paid answers, everyone credited, a liar caught
	@scripts/demo.sh

demo-kills: demo-once ## The loop with worker and node killed at named points; the same is credited
	@node tests/demo/kills.mjs

demo-once: build
	@CI=1 scripts/demo.sh

demo-chain: build ## Start the dev chain; show a transfer, a contract and a vote on it
	@scripts/demo-chain.sh

test: setup ## Everything CI checks
	@$(ENV); scripts/test.sh

clients: build ## The foreign-client tests at full length
	@FULL=1 scripts/clients.sh

adversary: setup ## 10,000 lies and 100,000 forged challenges of every dispute row in random worlds, through the pallets: counts of each
	@$(ENV); ATTRIBUTION_SCALE=$${SCALE:-50} cargo test --release --locked --workspace --lib -- --nocapture adversary life honest drawn

fuzz: build ## The whole runtime under random transactions, its promises checked after each block (CALLS=1000000, SEED=N to repeat)
	@$(ENV); export FUZZ_CALLS=$${CALLS:-1000000} FUZZ_THREADS=$$(nproc); [ -z "$${SEED:-}" ] || export FUZZ_SEED=$$SEED; \
		cargo test --release --locked --workspace --test fuzz -- --nocapture promises

protocol-numbers: build ## Bytes of state that calls leave, what hooks do with 100,000 of everything, receipts a second by the weights
	@$(ENV); export FUZZ_BYTES=1 FUZZ_CALLS=6000 FUZZ_SEED=1 FUZZ_COPIES=100000; \
		cargo test --release --locked --workspace --test fuzz -- --nocapture --test-threads 1; \
		cargo test --release --locked --workspace --test scenarios -- --nocapture --test-threads 1 receipts_should dispute

weights: build ## Measure the benchmarks of our pallets on the wasm and write their weights.rs (PALLETS="attribution compute" for some)
	@$(ENV); scripts/weights.sh $(PALLETS)

metadata-hash: build ## A runtime that knows the digest of its metadata: the right one is taken, another refused
	@$(ENV); out=$(CARGO_TARGET_DIR)/metadata-hash/openledger_runtime.wasm; mkdir -p $$(dirname $$out); \
		scripts/wasm.sh $$out metadata-hash; scripts/client-packages.sh; \
		node tests/clients/metadata-hash.mjs $$out $$($(CARGO_TARGET_DIR)/release/openledger-runtime-tools metadata-digest --wasm $$out)

net: build ## Four validators on this machine, their state shown until Ctrl-C
	@scripts/net.sh up

net-steady: build ## Ten minutes of the network: slots filled, finality lag
	@scripts/net.sh steady

net-faults: build ## One validator killed, then two
	@scripts/net.sh faults

net-upgrade: build ## A runtime upgrade by referendum
	@$(ENV); scripts/net.sh upgrade

net-equivocation: build ## The same session key run twice
	@scripts/net.sh equivocation

lies: build ## Every kind of lie told by a worker on a development node, caught by a watcher; LIES="score withheld" tells those
	@DEMO_DIR=.lies node tests/lies/dev.mjs

committee: build ## Lies that only recomputing finds, a sketch, an answer, a training: a committee of five judges them (ten minutes)
	@DEMO_DIR=.committee node tests/lies/committee.mjs

net-lies: build ## The same on four validators with eight light workers, the honest paid to the planck
	@scripts/net.sh lies

parameters: setup ## Write docs/parameters.md from the runtime
	@$(ENV); OPENLEDGER_WRITE_PARAMETERS=1 SKIP_WASM_BUILD=1 cargo test --release --locked -p openledger-runtime --test scenarios \
		-- parameters::the_page

chain-specs: build ## Write the reviewed genesis of every preset to chain-specs/
	@scripts/chain-specs.sh

bench-credit: build ## How often the right contributor is credited most, beside what the words alone say
	@$(CARGO_TARGET_DIR)/release/openledger-bench-credit --base gpu-offchain/shipped/base --corpora gpu-offchain/shipped/corpora

bench-gaming: build ## What a provider of 5% of the records gains by copying, mislabelling, merging and cutting, on text
	@$(CARGO_TARGET_DIR)/release/openledger-bench-gaming --base gpu-offchain/shipped/base --corpora gpu-offchain/shipped/corpora

example: build ## An answer with what shaped it, as pictures: docs/example
	@$(CARGO_TARGET_DIR)/release/openledger-example --base gpu-offchain/shipped/base --corpora gpu-offchain/shipped/corpora --out docs/example

bench: build ## ERC-20 transfers per second beside anvil, in one run
	@scripts/client-packages.sh; cd tests/clients && node bench/evm.mjs

bench-transfers: build ## Native transfers per second beside the SDK's minimal runtime, in one run
	@$(ENV); cd tests/peers/minimal && cargo build --release --locked
	@scripts/client-packages.sh; cd tests/clients && FULL=1 node bench/transfers.mjs

bench-verbatim: setup ## Suffix arrays and span queries beside infini-gram 2.6.0 from PyPI, in one run
	@$(ENV); scripts/bench-verbatim.sh

cuda-kernels: ## Compile every CUDA kernel for every architecture, no GPU needed; what each needs, to docs/results
	@scripts/cuda-kernels.sh

cuda-emulate: ## Run every CUDA kernel on the CPU beside a naive computation, no GPU needed
	@scripts/cuda-emulate.sh

cuda-driver: ## Run the CUDA backend's checks on a stand-in for the driver that computes on the CPU, no GPU needed
	@$(ENV); scripts/cuda-driver.sh $(CARGO_TARGET_DIR)/release/openledger-bench-gpu --pairs 2000

bench-gpu: ## Build the program that checks and measures the CUDA backend on a GPU machine (gpu-offchain/bench/gpu/README.md)
	@cargo build --release --locked --manifest-path gpu-offchain/Cargo.toml -p openledger-backend-cuda --bin openledger-bench-gpu
	@mkdir -p $(CARGO_TARGET_DIR)/bench-gpu
	@strip -o $(CARGO_TARGET_DIR)/bench-gpu/openledger-bench-gpu $(CARGO_TARGET_DIR)/release/openledger-bench-gpu
	@echo "$(CARGO_TARGET_DIR)/bench-gpu/openledger-bench-gpu"

bench-content: setup ## Files in and out of the content store, beside what disk and processor allow, and in how much memory
	@$(ENV); cargo run --release --locked --quiet --manifest-path gpu-offchain/Cargo.toml -p openledger-content --example bench-content -- $(CARGO_TARGET_DIR)/bench-content

bench-exchange: build ## Files from one worker process to another, at 1, 4 and 16 times 128 MiB: rates and memory
	@scripts/bench-exchange.sh $(CARGO_TARGET_DIR)

helia: build ## Files both ways between a worker's content exchange and helia from npm
	@scripts/helia.sh

peers: setup ## Logits, losses, tokens and conversations beside transformers and peft, adapters both ways (installs torch, 7 GB on disk)
	@$(ENV); scripts/peers.sh

bench-engine: setup ## Serving and training beside transformers and peft, in one run (installs torch, 7 GB on disk)
	@$(ENV); scripts/bench-engine.sh

bench-serving: setup ## What payment and attribution cost beside the bare engine, in one run
	@$(ENV); cargo test --release --locked --manifest-path gpu-offchain/Cargo.toml --workspace --test worker -- --ignored --nocapture beside_the_bare_engine

sdk: build ## OpenAI's SDKs, x402 and schemathesis (EXAMPLES=200) against a worker and a development node
	@EXAMPLES=$${EXAMPLES:-200} scripts/sdk.sh javascript python x402 schemathesis

load: build ## 200 paying consumers for about ten minutes: nobody unpaid, nothing paid twice, latencies
	@CONSUMERS=$${CONSUMERS:-200} QUESTIONS=$${QUESTIONS:-40} BATCH=$${BATCH:-400} scripts/sdk.sh load

bench-scores: setup ## Scoring beside a plain read of the same bytes, in turn, at 1, 4 and 16 times the size
	@$(ENV); cargo run --release --locked --manifest-path gpu-offchain/Cargo.toml -p openledger-influence --example speed

bits: setup ## 10^8 scores of 1 KiB by every backend, one and two threads, in any order: the same bits; and the primitives' own
	@$(ENV); INFLUENCE_SCALE=$${SCALE:-100} cargo test --release --locked --manifest-path gpu-offchain/Cargo.toml -p openledger-influence --test bits -- --nocapture
	@$(ENV); ATTRIBUTION_SCALE=$${SCALE:-100} cargo test --release --locked --manifest-path primitives/Cargo.toml -p openledger-attribution --test bits -- --nocapture

lds: setup ## Accuracy of influence beside dattri's methods on the same models (digits, breast_cancer, wine); 3 GB of Python packages, once
	@$(ENV); gpu-offchain/bench/lds/run.sh

lds-attacks: setup ## Mislabelled records found, and what a provider gains by copying, mislabelling, merging
	@$(ENV); gpu-offchain/bench/lds/run.sh attacks.py

lds-lora: setup ## The same score on adapters of the shipped byte transformer, for several k, rho and z
	@$(ENV); gpu-offchain/bench/lds/run.sh lora.py
