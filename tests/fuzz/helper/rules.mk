# SPDX-License-Identifier: GPL-2.0-only
# Programs that fuzz the helper: TARGET.fuzz by libFuzzer (make fuzz-helper), and
# TARGET.replay, which replays what is kept in corpus/TARGET (make check).

FUZZ_FOLDER = tests/fuzz/helper
FUZZ_OBJECTS = $(FUZZ_FOLDER)/fuzz $(FUZZ_FOLDER)/replay
comma = ,
FUZZ_CHECKS = address,undefined
FUZZ_CFLAGS = -O1 -g -Iloader $(XLB_CFLAGS) -UXLB_OBJECT_PATH -DXLB_OBJECT_PATH='"/nonexistent"' \
	$(shell pkg-config --cflags $(LIBRARIES) libcurl)
FUZZ_HEADERS = $(wildcard loader/*.h bpf/*_abi.h $(FUZZ_FOLDER)/*.h) bpf/probe_mark.h Makefile $(FUZZ_FOLDER)/rules.mk

# The whole helper over a kernel in memory; words, and the prober's own, need less.
FUZZ_OF_HELPER = grammar batch restore
FUZZ_TARGETS = $(FUZZ_OF_HELPER) words probe answer
FUZZERS = $(FUZZ_TARGETS:%=$(FUZZ_FOLDER)/%.fuzz)
FUZZ_REPLAYS = $(FUZZ_TARGETS:%=$(FUZZ_FOLDER)/%.replay)
# What surroundings.c stands for.
FUZZ_SURROUNDINGS = netlink% clock $(addprefix monitor_,event hop link watch)
FUZZ_PARTS_HELPER = $(filter-out $(FUZZ_SURROUNDINGS),$(notdir $(LOADER_SOURCES:.c=))) \
	kernel surroundings helper said
FUZZ_PARTS_words = words args endpoint said
FUZZ_PARTS_probe = probe_config probe_line words args endpoint maps privilege kernel said
FUZZ_PARTS_answer = probe_http probe_check probe_loop probe_health probe_line words args \
	endpoint said
$(foreach target,$(FUZZ_OF_HELPER),$(eval FUZZ_PARTS_$(target) = $(FUZZ_PARTS_HELPER)))
FUZZ_LINK = $(shell pkg-config --libs $(LIBRARIES) libcurl)
# What a kernel in memory answers; main() is the fuzzer's.
FUZZ_RENAMES = $(foreach name,open fopen flock access mkdir rmdir unlink rename getifaddrs \
	inotify_init1 mnl_socket_close,\
	--redefine-sym $(name)=kernel_$(name)) --redefine-sym main=xlb_main

vpath %.c loader $(FUZZ_FOLDER)

define fuzz_compile
@mkdir -p $(@D)
@echo $(1) $<
@$(1) $(FUZZ_CFLAGS) -fno-sanitize-recover=all -c $< -o $@
@$(if $(filter loader/%,$<),objcopy $(FUZZ_RENAMES) $@)
endef

$(FUZZ_FOLDER)/fuzz/%.o: %.c $(FUZZ_HEADERS)
	$(call fuzz_compile,$(CLANG) -fsanitize=fuzzer-no-link$(comma)$(FUZZ_CHECKS))

$(FUZZ_FOLDER)/replay/%.o: %.c $(FUZZ_HEADERS)
	$(call fuzz_compile,$(CC) -fsanitize=$(FUZZ_CHECKS))

define fuzz_target
$(FUZZ_FOLDER)/$(1).fuzz: $(addprefix $(FUZZ_FOLDER)/fuzz/,$(addsuffix .o,fuzz_$(1) $(FUZZ_PARTS_$(1))))
	@echo link $$@
	@$$(CLANG) -fsanitize=fuzzer,$$(FUZZ_CHECKS) $$^ $$(FUZZ_LINK) -o $$@

$(FUZZ_FOLDER)/$(1).replay: $(addprefix $(FUZZ_FOLDER)/replay/,$(addsuffix .o,fuzz_$(1) replay $(FUZZ_PARTS_$(1))))
	@echo link $$@
	@$$(CC) -fsanitize=$$(FUZZ_CHECKS) $$^ $$(FUZZ_LINK) -o $$@
endef
$(foreach target,$(FUZZ_TARGETS),$(eval $(call fuzz_target,$(target))))
