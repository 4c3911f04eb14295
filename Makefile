# SPDX-License-Identifier: GPL-2.0-only
# The only entry points: deps, all, install, uninstall, demo, check, bench, clean.

VERSION = 0.1
PREFIX = /usr/local
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man
OBJECTDIR = $(PREFIX)/lib/bpf

CLANG = clang
CFLAGS = -O2 -g
WARNINGS = -Wall -Wextra -Werror
# v3 has 32-bit jumps and arithmetic, known to kernels from 5.1 on.
BPF_CFLAGS = -O2 -g -target bpf -mcpu=v3 -std=gnu11 $(WARNINGS) \
	-idirafter /usr/include/$(shell $(CC) -print-multiarch)
XLB_CFLAGS = -std=gnu11 $(WARNINGS) -Ibpf \
	-DXLB_VERSION='"$(VERSION)"' -DXLB_OBJECT_PATH='"$(OBJECTDIR)/xlb.o"'

# Debian and Ubuntu names; what each is for stands in README.md.
BUILD_PACKAGES = clang gcc libbpf-dev libc6-dev libelf-dev libjansson-dev \
	libmnl-dev make pkg-config
RUN_PACKAGES = bpftool iproute2 jq
TEST_PACKAGES = curl ethtool libcmocka-dev mandoc perl procps \
	python3-minimal python3-scapy shellcheck strace tcpdump util-linux

BPF_HEADERS = $(wildcard bpf/*.h)
LOADER_SOURCES = $(wildcard loader/*.c)
LOADER_OBJECTS = $(LOADER_SOURCES:.c=.o)
LIBRARIES = libbpf libelf libmnl jansson
BENCH_HEADERS = $(wildcard tests/bench/*.h) bpf/xlb_abi.h
BENCH_SOURCES = $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))
BENCH_PROGRAMS = $(patsubst %.bpf.c,%.o,$(wildcard tests/bench/*.bpf.c))
SCRIPTS = $(wildcard scripts/xlb-*)
MAN_PAGES = $(wildcard man/*.[78])

all: bpf/xlb.o loader/xlb

bpf/xlb.o: bpf/xlb.bpf.c $(BPF_HEADERS)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

loader/%.o: loader/%.c $(wildcard loader/*.h) bpf/xlb_abi.h Makefile
	$(CC) $(CFLAGS) $(XLB_CFLAGS) $(shell pkg-config --cflags $(LIBRARIES)) -c $< -o $@

loader/xlb: $(LOADER_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(shell pkg-config --libs $(LIBRARIES)) -o $@

tests/bench/%.o: tests/bench/%.bpf.c tests/bench/bench.h
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

tests/bench/bench: $(BENCH_SOURCES) $(BENCH_HEADERS) Makefile
	$(CC) $(CFLAGS) $(XLB_CFLAGS) $(BENCH_SOURCES) \
		$(shell pkg-config --cflags --libs libbpf) -o $@

bench: bpf/xlb.o tests/bench/bench $(BENCH_PROGRAMS)
	tests/bench/run $(BENCH_FLAGS)

deps:
	@tests/deps.sh $(BUILD_PACKAGES) $(RUN_PACKAGES) $(TEST_PACKAGES)

.PHONY: all bench deps
