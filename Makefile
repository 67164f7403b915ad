# What a person types. Every target installs what it needs; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Outside the checkout, so that a second checkout on this machine reuses the dependencies.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/openledger/target
export OPENLEDGER_NODE ?= $(CARGO_TARGET_DIR)/release/openledger-node
ENV := source "$(HOME)/.cache/openledger/env" 2>/dev/null || true

.PHONY: help setup build demo test fmt lint unit clients net net-full chain-specs weights bench clean-data

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## Install compilers, libraries and the wasm target
	@scripts/setup.sh

build: setup ## Build the node (the first time takes a while: see docs/building.md)
	@$(ENV); cargo build --release -p openledger-node

demo: build ## Start the dev chain and show a transfer, a contract and a vote on it
	@scripts/demo.sh

test: setup ## Everything CI checks
	@$(ENV); scripts/test.sh
