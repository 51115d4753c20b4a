# Landfall's verbs. Each target does everything it needs on a fresh machine and assumes nothing of earlier runs.
# What they leave behind lives in target/ and .run/, both ignored.

SHELL := /bin/sh
CARGO ?= cargo
# One profile for everything that is tested: dependencies and the process under test are optimised in it (see Cargo.toml).
ROUNDS ?= 200
SEED ?= 1
TIME ?= 10m
SECONDS ?= 600
# `skip` compiles no MongoDB test server: for those whose MONGODB_URI names a replica set.
MONGO ?= install
# mold makes links quicker where it is there; nothing needs it.
MOLD := $(shell command -v mold 2>/dev/null)
ifneq ($(MOLD),)
  WITH_MOLD := $(MOLD) -run
endif
# What is handed out, demonstrated and measured is one build.
RELEASE := CARGO=$(CARGO) deploy/dist/cargo.sh

.PHONY: help setup build dist demo demo-mongo test lint deny kill-test bench soak verify-load clean

help:
	@echo "make setup      install what is missing (PostgreSQL, python3, openssl, promtool, systemd-analyze and Chromium from Debian, helm where there is a Go, MongoDB test servers; MONGO=skip: not those)"
	@echo "make build      the product: target/release/landfall"
	@echo "make dist       target/dist: an archive and a Debian package of it, with completions, manual, unit, rules, licences, and their sums"
	@echo "make demo       a whole pipeline on a sample store, in under two minutes after the build"
	@echo "make demo       STORE=flux|pend|finance|myfinance: one of the four example stores, with edits of every kind"
	@echo "make demo-mongo the same from MongoDB, on a test server that is installed in seconds"
	@echo "make test       lint and every proof"
	@echo "make lint       formatting and clippy"
	@echo "make kill-test  ROUNDS=$(ROUNDS) SEED=$(SEED): seeded SIGKILL rounds only"
	@echo "make bench      the numbers"
	@echo "make verify-load SECONDS=$(SECONDS): verify beside writers that do not stop, every corruption with 50 seeds"
	@echo "make soak       TIME=$(TIME): kills, cuts and restarts with new seeds until the time is over"

setup:
	@deploy/setup/postgres.sh
	@LANDFALL_MONGO=$(MONGO) deploy/setup/mongodb.sh
	@deploy/setup/chromium.sh
	@deploy/setup/deployment.sh

build:
	$(RELEASE) build --release --locked -p landfall-pipeline --bin landfall

dist: build
	@deploy/dist/fit.sh target/release/landfall
	@deploy/dist/pack.sh target/release/landfall target/dist

# STORE=flux|pend|finance|myfinance: one of the example stores instead of the small one.
demo: build
	@deploy/setup/postgres.sh
	@[ "$(STORE)" != finance ] || LANDFALL_MONGO=python deploy/setup/mongodb.sh
	LANDFALL_BIN=$(CURDIR)/target/release/landfall deploy/demo/$(if $(STORE),demo-store.sh $(STORE),demo.sh)

demo-mongo: build
	@deploy/setup/postgres.sh
	@LANDFALL_MONGO=python deploy/setup/mongodb.sh
	LANDFALL_BIN=$(CURDIR)/target/release/landfall deploy/demo/demo-mongo.sh

lint:
	$(CARGO) fmt --all --check
	$(WITH_MOLD) $(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Advisories, licences, bans and sources; needs cargo-deny, which we do not install for you.
deny:
	$(CARGO) deny check

# Proofs share two cores with the servers they start: few at a time, or deadlines measure the machine.
test: setup lint
	$(WITH_MOLD) $(CARGO) test --locked --workspace --no-fail-fast -- --test-threads=2

kill-test: setup
	ROUNDS=$(ROUNDS) SEED=$(SEED) $(WITH_MOLD) $(CARGO) test --locked -p landfall-tests --test recovery -- --nocapture --test-threads=1 kill_rounds

bench: setup build
	$(RELEASE) run --release --locked --quiet -p landfall-benches --bin bench_table -- --clear
	$(RELEASE) bench --locked -p landfall-benches $(if $(BENCH_ARGS),-- $(BENCH_ARGS))
	$(RELEASE) run --release --locked --quiet -p landfall-benches --bin bench_table

soak: setup
	LANDFALL_SOAK=$(TIME) LANDFALL_DOWN_SECONDS=60 $(WITH_MOLD) $(CARGO) test --locked -p landfall-tests --test recovery -- --nocapture --test-threads=1 soak target_down

verify-load: setup
	LANDFALL_LOAD_SECONDS=$(SECONDS) LANDFALL_SEEDS=50 $(WITH_MOLD) $(CARGO) test --locked -p landfall-tests --test endtoend -- --nocapture --test-threads=1 verify::under_load verify::corruptions

clean:
	rm -rf .run
