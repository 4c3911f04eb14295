# SPDX-License-Identifier: GPL-2.0-only
# The only entry points are those named .PHONY, at the end.

VERSION = 0.1
PREFIX = /usr/local
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man
OBJECTDIR = $(PREFIX)/lib/bpf
LIBDIR = $(PREFIX)/lib/xlb
COMPLETIONDIR = $(PREFIX)/share/bash-completion/completions
UNITDIR = $(PREFIX)/lib/systemd/system
GRAFANADIR = $(PREFIX)/share/xlb/grafana

CLANG = clang
CFLAGS = -O2 -g
WARNINGS = -Wall -Wextra -Werror
# v3 has 32-bit jumps and arithmetic, known to kernels from 5.1 on.
BPF_CFLAGS = -O2 -g -target bpf -mcpu=v3 -std=gnu11 $(WARNINGS) \
	-idirafter /usr/include/$(shell $(CC) -print-multiarch)
XLB_CFLAGS = -std=gnu11 $(WARNINGS) -Ibpf \
	-DXLB_VERSION='"$(VERSION)"' -DXLB_OBJECT_PATH='"$(OBJECTDIR)/xlb.o"'

# Debian and Ubuntu names; what each is for stands in README.md.
BUILD_PACKAGES = clang gcc libbpf-dev libc6-dev libcurl4-openssl-dev libelf-dev \
	libjansson-dev libmnl-dev make pkg-config
RUN_PACKAGES = bpftool ethtool iproute2 jq
TEST_PACKAGES = bash bind9-dnsutils clang-tidy cppcheck curl dnsmasq-base dnsperf faketime \
	iperf3 iputils-ping libcmocka-dev mandoc mount nginx openssl perl procps python3 \
	python3-prometheus-client python3-scapy shellcheck strace systemd tcpdump tmux \
	util-linux wrk
FUZZ_HELPER_PACKAGES = libclang-rt-dev
PEER_PACKAGES = haproxy iptables ipvsadm nftables
VALGRIND_PACKAGES = libc6-dbg valgrind
KERNEL_PACKAGES = cpio debian-archive-keyring kmod qemu-system-x86 xdp-tools
COVERAGE_PACKAGES = llvm

BPF_HEADERS = $(wildcard bpf/*.h)
OBJECTS = bpf/xlb.o bpf/decap.o bpf/probe.o
LOADER_SOURCES = $(filter-out loader/probe%,$(wildcard loader/*.c))
LOADER_OBJECTS = $(LOADER_SOURCES:.c=.o)
LIBRARIES = libbpf libelf libmnl jansson
# The prober, and what it shares with the helper.
PROBE_SOURCES = $(wildcard loader/probe*.c)
PROBE_OBJECTS = $(PROBE_SOURCES:.c=.o) \
	$(addprefix loader/,args.o endpoint.o maps.o maps_read.o namespace.o netlink_ask.o object.o \
		privilege.o sysctl.o words.o)
PROBE_LIBRARIES = libbpf libelf libmnl libcurl
BENCH_HEADERS = $(wildcard tests/bench/*.h) bpf/xlb_abi.h
BENCH_SOURCES = $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))
BENCH_PROGRAMS = $(patsubst %.bpf.c,%.o,$(wildcard tests/bench/*.bpf.c))
FUZZ_SOURCES = $(wildcard tests/fuzz/*.c)
CLI_PROGRAMS = $(patsubst %.bpf.c,%.o,$(wildcard tests/cli/*.bpf.c))
CLI_LIBRARIES = $(patsubst %.c,%.so,$(filter-out %.bpf.c,$(wildcard tests/cli/*.c)))
NET_PROGRAMS = $(patsubst %.c,%,$(filter-out %.bpf.c,$(wildcard tests/net/*.c))) \
	$(patsubst %.bpf.c,%.o,$(wildcard tests/net/*.bpf.c))
UNIT_TESTS = $(patsubst %.c,%.t,$(wildcard tests/unit/*.c))
TESTS = $(UNIT_TESTS) $(filter-out $(UNIT_TESTS),$(sort $(wildcard tests/*/*.t))) \
	$(wildcard tests/fuzz/helper/*.t)
PROGRAMS = loader/xlb loader/xlb-probe $(wildcard scripts/xlb-*)
SCRIPT_PARTS = $(wildcard scripts/*.sh scripts/*.jq)
UNITS = $(wildcard scripts/systemd/*)
DASHBOARDS = $(wildcard scripts/grafana/*)
PAGES7 = $(wildcard man/*.7)
PAGES8 = $(wildcard man/*.8)

all: $(OBJECTS) loader/xlb loader/xlb-probe

bpf/%.o: bpf/%.bpf.c $(BPF_HEADERS)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

loader/%.o: loader/%.c $(wildcard loader/*.h) $(wildcard bpf/*_abi.h) bpf/probe_mark.h \
		Makefile
	$(CC) $(CFLAGS) $(XLB_CFLAGS) $(shell pkg-config --cflags $(LIBRARIES) libcurl) -c $< -o $@

# The object's place is compiled in: made anew when it is another.
loader/object.o: loader/object.path
loader/object.path: always
	@echo '$(OBJECTDIR)' | cmp -s - $@ || echo '$(OBJECTDIR)' >$@

loader/xlb: $(LOADER_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(shell pkg-config --libs $(LIBRARIES)) -o $@

loader/xlb-probe: $(PROBE_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(shell pkg-config --libs $(PROBE_LIBRARIES)) -o $@

tests/bench/%.o: tests/bench/%.bpf.c tests/bench/bench.h
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

tests/bench/bench: $(BENCH_SOURCES) $(BENCH_HEADERS) Makefile
	$(CC) $(CFLAGS) $(XLB_CFLAGS) $(BENCH_SOURCES) \
		$(shell pkg-config --cflags --libs libbpf) -o $@

tests/fuzz/fuzz: $(FUZZ_SOURCES) $(wildcard tests/fuzz/*.h) bpf/xlb_abi.h Makefile
	$(CC) $(CFLAGS) $(XLB_CFLAGS) $(FUZZ_SOURCES) \
		$(shell pkg-config --cflags --libs libbpf) -o $@

tests/cli/%.o: tests/cli/%.bpf.c tests/cli/passes.h $(BPF_HEADERS)
	$(CLANG) $(BPF_CFLAGS) -Ibpf -c $< -o $@

tests/cli/%.so: tests/cli/%.c
	$(CC) $(CFLAGS) -std=gnu11 $(WARNINGS) -shared -fPIC $< -o $@

tests/net/%.o: tests/net/%.bpf.c $(wildcard tests/net/*.h)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

tests/net/%: tests/net/%.c $(wildcard tests/net/*.h)
	$(CC) $(CFLAGS) -std=gnu11 $(WARNINGS) $< $(shell pkg-config --cflags --libs libbpf) -o $@

LINK_TEST = $(CC) $(CFLAGS) $(XLB_CFLAGS) -Iloader $(filter-out %.h,$^) \
	$(shell pkg-config --cflags --libs cmocka jansson) -o $@

# A test of loader/NAME.c is tests/unit/NAME.c; that of table.c is in two parts.
tests/unit/%.t: tests/unit/%.c loader/%.o $(wildcard tests/unit/*.h)
	$(LINK_TEST)

tests/unit/endpoint.t: loader/args.o
tests/unit/packet.t: loader/args.o loader/endpoint.o
tests/unit/prefix.t: loader/endpoint.o loader/args.o
tests/unit/probe_config.t: loader/probe_line.o loader/args.o loader/endpoint.o loader/words.o

tests/unit/table_change.t: tests/unit/table_change.c loader/table.o \
		$(wildcard tests/unit/*.h)
	$(LINK_TEST)

# The packet program's arithmetic, compiled for the host.
tests/unit/checksum.t: tests/unit/checksum.c $(BPF_HEADERS) $(wildcard tests/unit/*.h)
	$(LINK_TEST)

# What they run, besides what is installed.
TEST_PROGRAMS = $(UNIT_TESTS) $(CLI_PROGRAMS) $(CLI_LIBRARIES) $(NET_PROGRAMS) \
	$(FUZZ_REPLAYS) tests/fuzz/fuzz tests/kernels/verify

# Tests wait for much and share nothing, so two run at a time.
PROVE_FLAGS = -j2

# Of the tests that do without traffic.
test-programs: $(UNIT_TESTS) $(CLI_PROGRAMS) $(CLI_LIBRARIES)

# pkg-config is asked only by the second make, when it is there.
check: deps
	@$(MAKE) --no-print-directory all $(TEST_PROGRAMS)
	prove --exec '' $(PROVE_FLAGS) $(TESTS)

tests/kernels/verify: tests/kernels/verify.c loader/object.o loader/privilege.o
	$(CC) $(CFLAGS) $(XLB_CFLAGS) -Iloader $^ $(shell pkg-config --cflags --libs libbpf) -o $@

# With KERNELS="5.10 6.1" on these alone.
check-kernels: deps
	@tests/deps.sh $(KERNEL_PACKAGES)
	@$(MAKE) --no-print-directory all tests/kernels/verify
	tests/kernels/run $(KERNELS)

# Floods of full size, and what rate connections keep in them: for a machine of its own.
check-faults: deps
	@$(MAKE) --no-print-directory all $(NET_PROGRAMS)
	FAULTS=whole prove --exec '' -v tests/net/fault_flood.t tests/net/fault_table.t

# Changes under traffic for so long; SEED=N repeats what a log begins with.
soak: MINUTES = 10
soak: deps
	@$(MAKE) --no-print-directory all
	MINUTES=$(MINUTES) SEED=$(SEED) LOG=tests/soak/log tests/soak/soak.t

# Part of check; both clangs, cppcheck, shellcheck and mandoc.
lint: deps
	prove --exec '' $(PROVE_FLAGS) $(wildcard tests/lint/*.t)

# So many minutes for each part of the helper: fuzz-helper MINUTES=30 PARTS="batch import".
fuzz-helper: MINUTES = 1
fuzz-helper: deps
	@tests/deps.sh $(FUZZ_HELPER_PACKAGES)
	@$(MAKE) --no-print-directory all $(FUZZERS)
	tests/fuzz/helper/run $(MINUTES) $(PARTS)

# SEED=N is the seed, FRAMES=N how many; FRAME=N runs that one again, of this seed.
fuzz: deps
	@$(MAKE) --no-print-directory all tests/fuzz/fuzz
	tests/fuzz/fuzz $(if $(SEED),-s $(SEED)) $(if $(FRAMES),-n $(FRAMES)) \
		$(if $(FRAME),-f $(FRAME))

# With PARTS=helper or PARTS=object on one of them alone.
coverage: deps
	@tests/deps.sh $(COVERAGE_PACKAGES)
	@$(MAKE) --no-print-directory all
	tests/coverage/run $(PARTS)

# Errors of memory, in the tests that do without traffic.
SANITIZE_SKIPPED = tests/cli/papers.t tests/cli/nomemory.t
VALGRIND_SKIPPED = $(patsubst %,tests/cli/%.t,kill migrate nomemory papers probe_exec restore \
	scripts)

check-sanitize: deps
	@echo "skipped, since one runs no program of ours for long, and one has a malloc of" \
		"its own: $(SANITIZE_SKIPPED)"
	tests/sanitize/run sanitizers $(UNIT_TESTS) \
		$(filter-out $(SANITIZE_SKIPPED),$(wildcard tests/cli/*.t))

# valgrind takes half a second for each run of a command, and 3.19 knows no pidfd_open(2).
check-valgrind: deps
	@tests/deps.sh $(VALGRIND_PACKAGES)
	@echo "skipped, since they run the commands of the others a thousand times, under strace," \
		"with a malloc of their own, or wait for processes by pidfd: $(VALGRIND_SKIPPED)"
	tests/sanitize/run valgrind $(UNIT_TESTS) \
		$(filter-out $(VALGRIND_SKIPPED),$(wildcard tests/cli/*.t))

demo: deps
	@$(MAKE) --no-print-directory all
	@tests/demo/demo.sh

bench: bpf/xlb.o tests/bench/bench $(BENCH_PROGRAMS)
	tests/bench/run $(BENCH_FLAGS)

# What a user would pick instead; PEERS="nftables dnat" are those alone.
bench-peers: deps
	@tests/deps.sh $(PEER_PACKAGES)
	@$(MAKE) --no-print-directory all
	tests/bench/peers $(PEERS)

deps:
	@tests/deps.sh $(BUILD_PACKAGES) $(RUN_PACKAGES) $(TEST_PACKAGES)

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(OBJECTDIR) $(DESTDIR)$(LIBDIR) \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(GRAFANADIR) \
		$(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(COMPLETIONDIR)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(SBINDIR)
	install -m 644 $(OBJECTS) $(DESTDIR)$(OBJECTDIR)
	install -m 644 $(SCRIPT_PARTS) $(DESTDIR)$(LIBDIR)
	for unit in $(UNITS); do \
		sed 's|/usr/local/sbin/|$(SBINDIR)/|g' $$unit | \
			install -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$${unit##*/} || exit; \
	done
	install -m 644 $(DASHBOARDS) $(DESTDIR)$(GRAFANADIR)
	install -m 644 $(PAGES7) $(DESTDIR)$(MANDIR)/man7
	install -m 644 $(PAGES8) $(DESTDIR)$(MANDIR)/man8
	install -m 644 scripts/completion/xlb $(DESTDIR)$(COMPLETIONDIR)
	cd $(DESTDIR)$(COMPLETIONDIR) && \
		for tool in $(filter-out xlb,$(notdir $(PROGRAMS))); do ln -sf xlb $$tool; done

uninstall:
	rm -f $(addprefix $(DESTDIR)$(SBINDIR)/,$(notdir $(PROGRAMS))) \
		$(addprefix $(DESTDIR)$(OBJECTDIR)/,$(notdir $(OBJECTS))) \
		$(addprefix $(DESTDIR)$(LIBDIR)/,$(notdir $(SCRIPT_PARTS))) \
		$(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS))) \
		$(addprefix $(DESTDIR)$(GRAFANADIR)/,$(notdir $(DASHBOARDS))) \
		$(addprefix $(DESTDIR)$(MANDIR)/man7/,$(notdir $(PAGES7))) \
		$(addprefix $(DESTDIR)$(MANDIR)/man8/,$(notdir $(PAGES8))) \
		$(addprefix $(DESTDIR)$(COMPLETIONDIR)/,$(notdir $(PROGRAMS)))
	rmdir $(DESTDIR)$(LIBDIR) $(DESTDIR)$(GRAFANADIR) \
		$(DESTDIR)$(PREFIX)/share/xlb 2>/dev/null || :

clean:
	rm -f bpf/*.o loader/*.o loader/xlb loader/xlb-probe loader/object.path \
		tests/bench/*.o tests/bench/bench $(TEST_PROGRAMS) $(FUZZERS) tests/soak/log
	rm -rf $(FUZZ_OBJECTS)

include tests/fuzz/helper/rules.mk

.PHONY: all always bench bench-peers check check-faults check-kernels check-sanitize \
	check-valgrind clean coverage demo deps fuzz fuzz-helper install lint soak \
	test-programs uninstall
