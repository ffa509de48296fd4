# SPDX-License-Identifier: MIT
# Nets beside the tests: a second compiler, an analyser, ThreadSanitizer, line coverage. Included
# by the Makefile, whose variables it uses. docs/TESTING.md says what each proves.

.PHONY: clang analyse tsan coverage

# --- clang: every source through its front end, with the flags of the program that it is part
# of. A stamp for each, so that the next run looks at what has changed only. ---
CLANG_SRC     := $(SHARED_SRC) $(AGENT_SRC) $(TEST_SRC) $(FUZZ_SRC) $(PROOF_SRC) linux-agent/proof/walk.c \
                 $(wildcard fuzz/*.c)
CLANG_EFI_SRC := $(EFI_SRC) $(wildcard efi-app/test/*.c)
CLANG_OK      := $(CLANG_SRC:%=$(BUILD)/clang/agent/%.ok) $(CLANG_EFI_SRC:%=$(BUILD)/clang/efi/%.ok)
CLANG_CHECK    = clang -Werror -fsyntax-only -MMD -MP -MF $(@:.ok=.d) -MT $@
# The flags of a source; an optimisation that clang does not have is left out.
clang_agent    = $(AGENT_CFLAGS) $(call includes,$(1)) -Ifuzz $(PKG_CFLAGS) $(1)
clang_efi      = $(filter-out -fno-tree-loop-distribute-patterns,$(EFI_CFLAGS)) $(1)

clang: $(CLANG_OK)
$(BUILD)/clang/agent/%.ok: %
	@mkdir -p $(@D)
	$(SAY) CLANG $<
	$(Q)$(CLANG_CHECK) $(call clang_agent,$<)
	@touch $@
$(BUILD)/clang/efi/%.ok: %
	@mkdir -p $(@D)
	$(SAY) CLANG $<
	$(Q)$(CLANG_CHECK) $(call clang_efi,$<)
	@touch $@

# --- for editors: what clang is called with, as JSON; shared/ as part of the agent ---
quoted  = "$(subst ",\",$(subst \,\\,$(1)))"
command = {"directory": $(call quoted,$(CURDIR)), "file": "$(1)", "command": $(call quoted,clang -c $(2))}
comma  := ,
compile_commands.json: Makefile efi-app/efi.mk ovmf-test/nets.mk $(CLANG_SRC) $(CLANG_EFI_SRC)
	$(file >$@,[)
	$(foreach f,$(filter-out $(CLANG_SRC),$(CLANG_EFI_SRC)),$(file >>$@,$(call command,$f,$(call clang_efi,$f))$(comma)))
	$(foreach f,$(CLANG_SRC),$(file >>$@,$(call command,$f,$(call clang_agent,$f))$(comma)))
	@sed -i '$$s/,$$//' $@ && echo ']' >>$@

# --- gcc -fanalyzer, without optimisation: what is inlined and moved costs it its way, and
# hours. Not over the tests. ---
ANALYSE_OK := $(patsubst %,$(BUILD)/analyse/%.ok,$(SHARED_SRC) $(AGENT_SRC))
ANALYSE     = gcc -Werror -fanalyzer $(ANALYSE_NOT) -MMD -MP -MF $(@:.ok=.d) -MT $@ -c -o /dev/null

analyse: $(ANALYSE_OK)
$(BUILD)/analyse/%.ok: %
	@mkdir -p $(@D)
	$(SAY) ANALYSE $<
	$(Q)$(ANALYSE) $(AGENT_CFLAGS) $(INCLUDES) $(PKG_CFLAGS) $<
	@touch $@
# What gcc 12's analyser sees wrongly. Memory whose only pointer is in an element of an array, at
# an offset known when the program runs, or inside of what was allocated, or that libzip was
# given, is lost to it: here LeakSanitizer watches alone, in the unit tests and the dry runs.
$(patsubst %,$(BUILD)/analyse/linux-agent/%.c.ok,base/pool bundle/spool bundle/bundle_source_file \
  firmware/bootentries machine/config machine/machine machine/machine_entries pack/packer_base \
  repair/archive_file stage/uki_extras): ANALYSE_NOT := -Wno-analyzer-malloc-leak
# The words of the schedule are written in one loop and read in the next.
$(BUILD)/analyse/shared/sha256.c.ok: ANALYSE_NOT := -Wno-analyzer-use-of-uninitialized-value
# A --base is put into an array by one loop and read by another, and does not count as put there.
$(BUILD)/analyse/linux-agent/verb/verb_bundle_create.c.ok: ANALYSE_NOT := -Wno-analyzer-null-argument

# --- the unit tests again, built under $(BUILD)/tsan and $(BUILD)/coverage by a make of its own,
# to which SAN is something else ---
# ThreadSanitizer: of the rooms that use pool.h, and of http, where libcurl has threads.
THREADED := $(foreach r,base http bundle engine pack stage update,$(filter $(BUILD)/san/linux-agent/$(r)/test_%,$(TESTS)))
tsan: THREADED := $(THREADED:$(BUILD)/%=$(BUILD)/tsan/%)
tsan:
	@$(MAKE) --no-print-directory $(ALL_CPUS) BUILD=$(BUILD)/tsan SAN=-fsanitize=thread $(THREADED)
	@TSAN_OPTIONS=halt_on_error=1 shared/run-tests $(THREADED)

# Line coverage, of the unit tests and then of them and the dry runs.
coverage:
	@ovmf-test/install-deps ovmf-test/packages-coverage.txt
	@$(MAKE) --no-print-directory $(ALL_CPUS) BUILD=$(BUILD)/coverage SAN='--coverage -O0' unit-programs
	@BUILD=$(BUILD)/coverage PYTHON=$(PYTHON) DRY_RUNS="$(DRY_RUNS)" ovmf-test/coverage $(TESTS:$(BUILD)/%=$(BUILD)/coverage/%)
