# A thin front for meson and tools/. `make help` lists what there is.
# Downloads and the precompiled guest are kept in ~/.cache/vitrine (VITRINE_CACHE names another).
BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
SOAK_CALLS ?= 20000
SUITES ?=
IN_TEST_ENV = python3 tools/test_env.py
SANITIZERS = -Db_sanitize=address,undefined -Db_lundef=false

.DEFAULT_GOAL := help
.PHONY: run build test check sanitize attack soak fuzz bench install clean help

run: build ## set everything up and run the first example
	@tools/first_example.sh $(BUILD)

build: ## install missing packages, fetch the parts, compile, precompile the guest
	@tools/system_packages.sh run
	@python3 tools/parts.py fetch
	@tools/build.sh $(BUILD) $(if $(wildcard $(BUILD)/build.ninja),,-Dtests=false)
	@python3 tools/guest.py $(BUILD)

test: build ## run all tests and checks (SUITES="unit system" picks some)
	@tools/system_packages.sh test
	@tools/build.sh $(BUILD) -Dtests=true
	@$(IN_TEST_ENV) python tools/run_tests.py $(BUILD) $(SUITES)

check: ## the checks alone: formatting, linters, includes, sizes, documents, both compilers
	@$(MAKE) --no-print-directory test SUITES=check

sanitize: build ## unit and system tests with checks of addresses and undefined behaviour
	@tools/system_packages.sh test
	@tools/build.sh build-asan $(SANITIZERS) -Dtests=true
	@python3 tools/guest.py build-asan
	@$(IN_TEST_ENV) python tools/run_tests.py build-asan unit system attack

attack: build ## the attacks alone: tests/attack, one file for each
	@$(MAKE) --no-print-directory test SUITES=attack

soak: build ## SOAK_CALLS (20000) calls of four clients, a tenth of them hostile
	@tools/system_packages.sh test
	@tools/build.sh $(BUILD) -Dtests=true
	@$(IN_TEST_ENV) python tests/attack/soak.py $(BUILD) --calls $(SOAK_CALLS)

fuzz: build ## run each fuzzer for FUZZ_SECONDS (60)
	@tools/system_packages.sh test
	@CC=clang tools/build.sh build-fuzz $(SANITIZERS) -Dfuzzers=true -Dtests=false \
	    -Dc_args=-fsanitize=fuzzer-no-link
	@tools/fuzz.sh build-fuzz $(FUZZ_SECONDS)

bench: build ## measure against the peers, as ratios
	@tools/system_packages.sh test
	@$(IN_TEST_ENV) python bench/run.py $(BUILD)
	@$(IN_TEST_ENV) python bench/peers.py $(BUILD)
	@$(IN_TEST_ENV) python bench/http_peers.py $(BUILD)
	@$(IN_TEST_ENV) python bench/packages.py $(BUILD)
	@$(IN_TEST_ENV) python bench/sessions.py $(BUILD)

install: build ## install into PREFIX (/usr/local)
	@tools/install.sh $(BUILD) $(PREFIX)

clean: ## remove the build folders; the cache stays
	rm -rf build build-asan build-clang build-fuzz

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18
