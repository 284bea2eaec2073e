# SPDX-License-Identifier: Apache-2.0
# The thin front of the build: each target sets up what it needs, then hands over to Meson or to a script in tools/.
# It holds no build rules of its own. Run `make help` for the list.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=

.PHONY: help all setup demo test soak load broker prove bench fuzz install uninstall clean format gen

help:
	@echo "make demo       set up, build, start the example, show who reaches whom, clean up"
	@echo "make test       set up, build, run every test (ONLY='unit golden' for some groups)"
	@echo "make soak       kill agents, pods and nodes of the shop under load (MINUTES=10, SEED=1)"
	@echo "make load       new flows beside the shop for long; the generator's count = the records (MINUTES=10, RATE=10000)"
	@echo "make broker     the shop with one map file, four kinds of tools, under load for long (MINUTES=10, RATE=300)"
	@echo "make prove      random clusters and packets before reference, engine and kernel, for long (10,000 x 1,000)"
	@echo "make filters    a million random frames before kernel, user space and reference, for each set of filters (FRAMES=1000000)"
	@echo "make all        build into $(BUILD)/"
	@echo "make bench      measure, print the table, write bench/RESULTS.md"
	@echo "make fuzz       fuzz each decoder for long (SECONDS_EACH=600)"
	@echo "make install    into PREFIX=$(PREFIX), below DESTDIR"
	@echo "make uninstall  remove what install put there"
	@echo "make setup      only install the missing Debian packages (tools/packages.txt)"
	@echo "make gen        write the generated documents again from tables/"
	@echo "make format     format the C sources"
	@echo "make clean      remove the build folders"

setup:
	@tools/setup

all: setup
	@tools/build release $(BUILD)

demo: all
	@BUILD=$(BUILD) tools/demo

test:
	@tools/setup test
	@BUILD=$(BUILD) tools/run-tests $(ONLY)

soak:
	@tools/setup test
	@tools/build release $(BUILD)
	@SECONDS_LONG=$$(($(or $(MINUTES),10) * 60)) SEED=$(or $(SEED),1) test/run/soak.sh $(CURDIR)/$(BUILD)/src/cli/weft

load:
	@tools/setup test
	@tools/build release $(BUILD)
	@SECONDS_LONG=$$(($(or $(MINUTES),10) * 60)) RATE=$(or $(RATE),10000) test/run/load.sh $(CURDIR)/$(BUILD)/src/cli/weft

broker:
	@tools/setup test
	@tools/build release $(BUILD)
	@SECONDS_LONG=$$(($(or $(MINUTES),10) * 60)) RATE=$(or $(RATE),300) test/run/broker_shop.sh $(CURDIR)/$(BUILD)/src/cli/weft

prove:
	@tools/setup test
	@tools/build release $(BUILD)
	$(BUILD)/test/prove/prove --configs $(or $(CONFIGS),10000) --packets $(or $(PACKETS),10000000) \
		$(if $(SEED),--seed $(SEED)) --results bench/RESULTS.md

filters:
	@tools/setup test
	@tools/build release $(BUILD)
	WEFT_FILTER_FRAMES=$(or $(FRAMES),1000000) $(BUILD)/test/bpf/test-bpf-filter

bench:
	@tools/setup bench
	@tools/build release $(BUILD)
	@BUILD=$(BUILD) bench/run

fuzz:
	@tools/setup test
	@tools/fuzz $(or $(SECONDS_EACH),600)

install: all
	@BUILD=$(BUILD) tools/install install "$(PREFIX)" "$(DESTDIR)"

uninstall:
	@BUILD=$(BUILD) tools/install uninstall "$(PREFIX)" "$(DESTDIR)"

gen:
	@tools/gen/all

format:
	@git ls-files '*.c' '*.h' | xargs -r clang-format-14 -i

clean:
	rm -rf $(BUILD) build-debug build-fuzz
