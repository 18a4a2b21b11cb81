# What a person does with this repository. Everything but Rust, Python, Node.js and make installs itself here, on first use.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

REGION := us-east-1
REGIONS ?= $(REGION)
EVENT ?= events/create-bucket.json
PORT ?= 0
FUZZ_SECONDS ?= 600
BUCKETS ?= 2000
SHARD ?= 0/1
RUNS ?= 10

# The tools of the virtual environment come first: `cargo lambda` finds cargo-lambda and its zig there, `sam build` both.
TOOLS := .venv/.installed
CARGO_LAMBDA := .venv/.cargo-lambda-installed
EMULATOR := .venv-emulator/.installed
ORACLE := .venv-oracle/.installed
SIMULATOR := tests/local/node_modules/.installed
CHECKOV := .venv-check/.installed
DOCUMENTS := tests/documents/node_modules/.installed
TERRAFORM := .venv-terraform/.installed
CONSTRUCT := constructs/node_modules/.installed
BOTO3 := .venv-bench/.installed
CYCLONEDX := target/tools/bin/cargo-cyclonedx
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

.PHONY: help demo emulator test artifact build dev construct invoke package release acceptance acceptance-clean check documents guarantees schema scale bench fuzz mutants clean rust python node

help: ## Lists the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-16s %s\n' "$$name" "$$text"; done

demo: dev $(TOOLS) $(EMULATOR) ## Deploys the function to a local AWS, and shows a bucket being replicated (PORT=4566 for a port of your choice)
	@python tests/local/demo.py --port $(PORT)

emulator: $(TOOLS) $(EMULATOR) ## Runs a local AWS to try commands on, and prints what to export (PORT=4566 for a port of your choice)
	@python tests/local/start_emulator.py --port $(PORT)

test: dev $(TOOLS) $(EMULATOR) $(ORACLE) $(SIMULATOR) $(TERRAFORM) $(CONSTRUCT) ## Runs the unit and integration tests, then the end-to-end tests on a local AWS
	cargo test --locked --features cli
	npm test --prefix constructs --silent
	python tests/bench/instructions.py
	python -m pytest tests/local

artifact: build $(EMULATOR) $(ORACLE) ## Builds the function and the StackSets package for release, and tests both
	python -m pytest tests/local -m artifact

scale: dev $(TOOLS) $(EMULATOR) $(ORACLE) $(SIMULATOR) ## Walks 10,000 buckets in-process, and 2,000 of a local AWS with each RoleScope, and counts, in about 30 minutes (BUCKETS=2000)
	rm -rf target/scale && mkdir -p target/scale
	IN_PROCESS=10000 cargo test --locked --features cli --test it many_buckets -- --nocapture 2>&1 | tee target/scale/in-process.txt
	python -m pytest tests/local/test_walk.py tests/local/test_role_scope.py --buckets $(BUCKETS)
	@python tests/bench/scale.py

bench: build $(EMULATOR) $(BOTO3) ## Measures the function beside boto3 and the AWS CLI on a local AWS, and writes it into docs/benchmarks.md (RUNS=10)
	cargo lambda build --release --locked --features bench --bin floor
	PYTHONPATH=tests/local python tests/bench/bench.py --runs $(RUNS)

build: rust $(CARGO_LAMBDA) ## Builds the function for release: target/lambda/function/bootstrap and bootstrap.zip
	cargo lambda build --release --locked --bin function
	cd target/lambda/function && rm -f bootstrap.zip && python -m zipfile -c bootstrap.zip bootstrap

# The function for the emulator, and the command-line program. The AWS SDK is compiled once for this target and for `cargo test`, because
# profile and features are the same: a test target in the build enables the features of the dev-dependencies, as in `cargo test`.
dev: rust
	cargo build --locked --features cli --bins --test cli
	@mkdir -p target/local/function
	@strip -o target/local/function/bootstrap target/debug/function
	@sed 's/CodeUri: \./CodeUri: function/' template.yaml > target/local/template.yaml

construct: $(CONSTRUCT) ## Packs the construct for CDK: constructs/s3-kms-replication-construct-*.tgz
	cd constructs && npm pack --silent

invoke: dev $(TOOLS) $(EMULATOR) ## Runs the function on events, against a local AWS: make invoke EVENT='events/create-bucket.json …'
	@python tests/local/invoke.py $(EVENT)

package: rust $(CARGO_LAMBDA) ## Packages .aws-sam/stackset.json for StackSets (BUCKET=code REGIONS='us-east-1 eu-west-1': uploads to code-us-east-1 and code-eu-west-1)
	@test -n '$(BUCKET)' || { echo 'make: BUCKET is missing: the code goes to the buckets BUCKET-<Region>, one for each of REGIONS' >&2; exit 1; }
	sam build
	for region in $(REGIONS); do sam package --region $$region --s3-bucket $(BUCKET)-$$region --output-template-file .aws-sam/packaged.yaml; done
	AWS_DEFAULT_REGION=$(lastword $(REGIONS)) python stackset.py $(BUCKET) $(lastword $(REGIONS)) < .aws-sam/packaged.yaml > .aws-sam/stackset.json

release: rust $(TOOLS) $(CARGO_LAMBDA) $(CYCLONEDX) ## Makes a release in dist/ (VERSION=0.1.0: that of Cargo.toml)
	PATH="$(CURDIR)/target/tools/bin:$$PATH" python release.py '$(VERSION)'

acceptance: build dev $(TOOLS) ## Tries the application on a real AWS account, asks before, and removes all that it made (OPTIONS='--trail')
	python tests/acceptance/acceptance.py $(OPTIONS)

acceptance-clean: $(TOOLS) ## Removes what remains of a run of `make acceptance` that was killed (RUN=0123abcd)
	python tests/acceptance/acceptance.py --clean '$(RUN)'

check: rust documents $(TOOLS) $(CHECKOV) ## Checks format, lints, documentation and the templates
	cargo fmt --check
	cargo clippy --locked --all-targets --features cli -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items --features cli
	sam validate --lint --region $(REGION)
	cfn-lint template.yaml examples/*.yaml
	.venv-check/bin/checkov --quiet --compact --skip-download --framework cloudformation --file template.yaml examples/*.yaml

documents: $(TOOLS) $(DOCUMENTS) ## Checks README.md and docs: Markdown, links, diagrams, and tables against the schema and the template
	python tests/documents/documents.py check
	node constructs/scripts/generate.mjs --check
	tests/documents/node_modules/.bin/markdownlint-cli2
	node tests/documents/diagrams.mjs *.md docs/*.md

guarantees: $(TOOLS) ## Writes the lists of tests in docs/guarantees.md anew, from the code
	python tests/documents/documents.py write

schema: rust node ## Writes replication-policy.schema.json anew, from the types of the policy document, and the construct's properties
	UPDATE_SCHEMA=1 cargo test --locked --features cli --lib schema
	node constructs/scripts/generate.mjs

fuzz: rust ## Feeds made-up input to everything that parses outside input (FUZZ_SECONDS=600)
	@test -x target/tools/bin/cargo-fuzz || cargo install --quiet --locked --root target/tools cargo-fuzz@0.13.2
	@mkdir -p target/fuzz/corpus
	PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo +nightly fuzz run --target-dir target/fuzz outside_input target/fuzz/corpus events -- -max_total_time=$(FUZZ_SECONDS) -max_len=8192

mutants: rust ## Breaks what decides, piece by piece, and counts what the tests catch (over an hour; SHARD=0/4 for a part)
	@test -x target/tools/bin/cargo-mutants || cargo install --quiet --locked --root target/tools cargo-mutants@27.1.0
	PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo mutants --output target/mutants --shard $(SHARD)

clean: ## Removes all that was built or installed here
	rm -rf constructs/dist constructs/node_modules .aws-sam dist .venv .venv-bench .venv-check .venv-emulator .venv-oracle .venv-terraform tests/documents/node_modules tests/local/node_modules target

rust:
	@command -v cargo >/dev/null || { echo 'make: `cargo` is missing: Rust $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer is needed (https://rustup.rs)' >&2; exit 1; }

python:
	@command -v python3 >/dev/null || { echo 'make: `python3` is missing: Python 3.11 or newer is needed' >&2; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed, \`python3\` is $$(python3 --version)" >&2; exit 1; }

node:
	@command -v npm >/dev/null || { echo 'make: `npm` is missing: Node.js 20 or newer is needed' >&2; exit 1; }

# --no-compile: Python compiles a module at its first import, which most of the installed modules never see.
$(TOOLS): tests/local/requirements.txt | python
	@echo 'Installing the tools into .venv (once, about a minute)'
	@rm -rf .venv && python3 -m venv .venv
	@.venv/bin/pip install --quiet --no-compile --disable-pip-version-check -r $< && touch $@

$(CARGO_LAMBDA): tests/local/requirements-build.txt $(TOOLS)
	@echo 'Installing cargo-lambda and zig into .venv (once)'
	@.venv/bin/pip install --quiet --no-compile --disable-pip-version-check -r $< && touch $@

$(CYCLONEDX): | rust
	@echo 'Compiling cargo-cyclonedx into target/tools (once, some minutes)'
	@cargo install --quiet --locked --root target/tools cargo-cyclonedx@0.5.9

$(EMULATOR): tests/local/requirements-emulator.txt | python
	@echo 'Installing the emulator into .venv-emulator (once)'
	@rm -rf .venv-emulator && python3 -m venv .venv-emulator
	@.venv-emulator/bin/pip install --quiet --no-compile --disable-pip-version-check -r $< && touch $@

$(ORACLE): tests/local/requirements-oracle.txt | python
	@echo 'Installing the service models of the oracle into .venv-oracle (once)'
	@rm -rf .venv-oracle && python3 -m venv .venv-oracle
	@.venv-oracle/bin/pip install --quiet --no-compile --disable-pip-version-check -r $< && touch $@

$(SIMULATOR): tests/local/package-lock.json | node
	@echo 'Installing the IAM simulator into tests/local/node_modules (once)'
	@npm ci --prefix tests/local --silent --ignore-scripts --no-audit --no-fund && touch $@

$(DOCUMENTS): tests/documents/package-lock.json | node
	@echo 'Installing the Markdown linter and Mermaid into tests/documents/node_modules (once)'
	@npm ci --prefix tests/documents --silent --ignore-scripts --no-audit --no-fund && touch $@

$(CONSTRUCT): constructs/package-lock.json | node
	@echo 'Installing CDK into constructs/node_modules (once)'
	@npm ci --prefix constructs --silent --ignore-scripts --no-audit --no-fund && touch $@

$(CHECKOV): tests/local/requirements-check.txt | python
	@echo 'Installing checkov into .venv-check (once, about a minute)'
	@rm -rf .venv-check && python3 -m venv .venv-check
	@.venv-check/bin/pip install --quiet --no-compile --disable-pip-version-check -r $< && touch $@

$(TERRAFORM): tests/local/requirements-terraform.txt | python
	@echo 'Installing Terraform into .venv-terraform (once)'
	@rm -rf .venv-terraform && python3 -m venv .venv-terraform
	@.venv-terraform/bin/pip install --quiet --no-compile --disable-pip-version-check -r $< && touch $@

$(BOTO3): tests/bench/requirements.txt | python
	@echo 'Installing boto3 and awslambdaric into .venv-bench (once)'
	@rm -rf .venv-bench && python3 -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@
