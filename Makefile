# SPDX-License-Identifier: MIT
# slotboot: A/B boot and update for machines that boot UKIs. "make help" prints this.
#
# Build
#   all                build/slotctl and the loader; the default
#   loader             the loader alone: build/efi/slotboot*.efi
#   install            into DESTDIR, under PREFIX=/usr
#   deb                Debian packages in build/deb/, built twice and compared; ARCH=arm64: in build/aarch64/deb/
#   deps               install from Debian what building and testing need
#   clean              remove build/, which is all that a build writes
#
# Test (docs/TESTING.md says what each proves)
#   demo               the main job, shown in QEMU
#   demo-debian        the same for a Debian 12, from its packages and an empty disk to a bad update that is undone
#   check              what is to pass before each commit, in fifteen minutes
#   check-all          every suite, all of it: an hour and a half
#   check-quick        what needs no QEMU: unit tests, dry runs and the walk
#   check-debian       all cases of a real Debian in QEMU
#   check-arm64        the loader on AAVMF; updates end to end there and on U-Boot; unit tests and simulator for arm64
#   check-arm64-kexec  kexec on AAVMF, with a kernel that is built for it: Debian's cannot
#   lint               shell scripts, Python and manual pages, each by its linter; clang, analyse
#   clang              every source through clang, as a second compiler
#   analyse            the agent and shared/ through gcc -fanalyzer
#   unit               unit tests, under ASan and UBSan
#   unit-programs      build them, run nothing
#   tsan               those of what has threads, under ThreadSanitizer
#   coverage           lines covered by unit tests and dry runs, room by room
#   loader-check       the loader on OVMF, with small images
#   loader-faults      deliberate faults of the loader, each to be caught
#   loader-test-apps   build the small images
#   proof              the crash simulator at full depth, and its deliberate faults
#   proof-quick        the share of it that is in check
#   proof-faults       the deliberate faults alone
#   proof-programs     build the simulator, run nothing
#   soak               power cuts on real firmware: CUTS=200 SEED=N JOBS=2
#   fuzz               each fuzz target for SECONDS=30
#   fuzz-programs      build the fuzz targets, run nothing
#   seeds              the seeds that are not text, anew; only when a format has changed
#
# Measure and look
#   bench              beside RAUC, SWUpdate and a pipe: speed, memory, bytes (root)
#   loader-measure     size and time of the loader
#   figures            docs/*.svg of docs/*.dot and of the tables in docs/BENCHMARKS.md, with graphviz and gnuplot
#   rooms              the rooms of linux-agent/ and what each may include
#   compile_commands.json  for editors
#   help               this
#
# Variables: ARCH=aarch64 builds for that into build/aarch64 (docs/GUIDE.md, "For another architecture");
# BUILD=build, CC, CFLAGS, LDFLAGS, PKG_CONFIG, PYTHON, UNITDIR, VERSION; V=1 shows the commands.

MACHINE := $(shell uname -m)
ARCH    ?= $(MACHINE)
ifeq ($(ARCH),arm64)
override ARCH := aarch64
endif
PREFIX  ?= /usr
PYTHON  ?= /usr/bin/python3
UNITDIR ?= $(PREFIX)/lib/systemd/system
VERSION := 0.1

# --- for another architecture: Debian's cross compiler, that architecture's libraries by multiarch ---
BUILD   ?= $(if $(filter-out $(MACHINE),$(ARCH)),build/$(ARCH),build)
CROSS   := $(if $(filter-out $(MACHINE),$(ARCH)),$(ARCH)-linux-gnu)
NATIVE_BUILD := $(BUILD:%/$(ARCH)=%)
ifneq ($(CROSS),)
PKG_CONFIG ?= PKG_CONFIG_LIBDIR=/usr/lib/$(CROSS)/pkgconfig:/usr/share/pkgconfig pkg-config
ifeq ($(origin CC),default)
CC := $(CROSS)-gcc
endif
ifeq ($(origin AR),default)
AR := $(CROSS)-ar
endif
endif
PKG_CONFIG ?= pkg-config
OBJCOPY ?= $(CROSS:%=%-)objcopy

Q       := $(if $(V),,@)
SAY     := @$(if $(V),:,echo " ")

WARN    := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
SAN     := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# --- the agent's side: libc, libcurl, libzip, libefivar, libcrypto ---
PKGS         := libcurl libzip efivar efiboot libcrypto jansson inih blkid fdisk libzstd libxxhash zlib libseccomp
AGENT_CFLAGS := -std=c11 -D_GNU_SOURCE -DSLOTBOOT_VERSION='"$(VERSION)"' -Ishared $(WARN)
# What Debian's hardening=+all sets, and more.
HARDEN        = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
                -ftrivial-auto-var-init=zero -fPIE $(HARDEN_$(ARCH))
HARDEN_x86_64  := -fcf-protection
HARDEN_aarch64 := -mbranch-protection=standard
AGENT_OPT     = -O2 -g $(HARDEN)
# Asked once, and not before something needs it.
PKG_CFLAGS    = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS      = $(eval PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS)))$(PKG_LIBS)

# --- shared/ compiles into both: freestanding C11, no libc ---
SHARED_CFLAGS := -std=c11 -ffreestanding -Ishared $(WARN)

SHARED_SRC := $(filter-out shared/test_%.c shared/fuzz_%.c shared/sha256_%.c,$(wildcard shared/*.c)) shared/sha256_$(ARCH).c

# --- the rooms of linux-agent/, lowest first. A file includes from its own room, from shared/
# and from the rooms that its room sees, and from no other: see "make rooms" ---
ROOMS := base http trust bundle engine uki firmware secureboot pack stage preflight machine kexec update disk health repair verb
SEES_base      :=
SEES_http      := base
SEES_trust     := base
SEES_bundle    := base http trust
SEES_engine    := base http trust bundle
SEES_uki       := base http trust bundle
SEES_firmware  := base
SEES_secureboot := base http trust bundle uki firmware
SEES_pack      := base http trust bundle engine uki firmware secureboot
SEES_stage     := base http trust bundle uki
SEES_preflight := base http trust bundle uki
SEES_machine   := base http trust bundle uki firmware secureboot
SEES_kexec     := base http trust bundle uki stage preflight firmware secureboot machine
SEES_update    := base http trust bundle engine uki stage preflight firmware secureboot machine kexec
SEES_disk      := base http trust bundle engine uki stage preflight firmware secureboot machine kexec update
SEES_health    := base http trust bundle engine uki stage preflight firmware secureboot machine kexec update
SEES_repair    := base http trust bundle engine uki stage preflight firmware secureboot machine kexec update
SEES_verb      := base http trust bundle engine uki pack stage preflight firmware secureboot machine kexec update disk health repair
SEES_proof     := $(ROOMS)
# The room of a path in linux-agent/; the rooms that a source may use; their -I.
room     = $(word 2,$(subst /, ,$(1)))
sees     = $(if $(filter linux-agent/%,$(1)),$(call room,$(1)) $(SEES_$(call room,$(1))),$(if $(filter fuzz/%,$(1)),$(ROOMS)))
includes = $(patsubst %,-Ilinux-agent/%,$(call sees,$(1)) $(if $(filter test_% fuzz_%,$(notdir $(1)))$(filter fuzz/%,$(1)),testing))
INCLUDES = $(call includes,$<)
EVERY_ROOM := $(patsubst %,-Ilinux-agent/%,$(ROOMS) testing)

AGENT_DIRS := $(ROOMS:%=linux-agent/%)
AGENT_SRC  := $(foreach dir,$(AGENT_DIRS),$(filter-out $(dir)/test_%.c $(dir)/fuzz_%.c,$(wildcard $(dir)/*.c)))
TEST_SRC   := $(wildcard shared/test_*.c $(AGENT_DIRS:%=%/test_*.c))

AGENT_OBJ  := $(SHARED_SRC:%.c=$(BUILD)/%.o) $(AGENT_SRC:%.c=$(BUILD)/%.o)
SAN_OBJ    := $(SHARED_SRC:%.c=$(BUILD)/san/%.o) \
              $(filter-out $(BUILD)/san/linux-agent/verb/main.o,$(AGENT_SRC:%.c=$(BUILD)/san/%.o))
FUZZ_SRC   := $(wildcard shared/fuzz_*.c $(AGENT_DIRS:%=%/fuzz_*.c))
REPLAYS    := $(FUZZ_SRC:%.c=$(BUILD)/san/%)
TESTS      := $(TEST_SRC:%.c=$(BUILD)/san/%) $(REPLAYS)

.PHONY: all help deps check check-all check-quick check-arm64 check-arm64-kexec check-debian lint unit unit-programs demo demo-debian soak bench fuzz fuzz-programs seeds install deb clean rooms figures
all: $(BUILD)/slotctl loader

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

$(BUILD)/slotctl: $(AGENT_OBJ)
	$(SAY) CC $@
	$(Q)$(CC) -pie -Wl,-z,relro,-z,now $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/shared/%.o: shared/%.c
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(SHARED_CFLAGS) -O2 -g $(HARDEN) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/linux-agent/%.o: linux-agent/%.c
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(AGENT_CFLAGS) $(INCLUDES) $(AGENT_OPT) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# --- unit tests: the same sources again, under ASan and UBSan ---
$(BUILD)/san/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(AGENT_CFLAGS) $(INCLUDES) -Ifuzz -Werror -O1 -g $(SAN) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
# One archive a room; a test has those of its room and of what that sees.
define ARCHIVE
$(BUILD)/san/$(1).a: $(filter $(BUILD)/san/$(2)%,$(SAN_OBJ))
	@rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(eval $(call ARCHIVE,shared,shared/))
$(foreach r,$(ROOMS),$(eval $(call ARCHIVE,$(r),linux-agent/$(r)/)))
archives = $(patsubst %,$(BUILD)/san/%.a,$(1) shared)
.SECONDEXPANSION:
$(BUILD)/san/%: $(BUILD)/san/%.o $$(call archives,$$(call sees,$$*))
	$(SAY) CC $@
	$(Q)$(CC) $(SAN) -o $@ -Wl,--start-group $^ -Wl,--end-group $(PKG_LIBS) -lcmocka
$(REPLAYS): $(BUILD)/san/fuzz/replay.o
.PRECIOUS: $(BUILD)/san/%.o
# The agent itself, for the cases that run it against files.
$(BUILD)/san/slotctl: $(BUILD)/san/linux-agent/verb/main.o $(call archives,$(ROOMS))
	$(SAY) CC $@
	$(Q)$(CC) $(SAN) -o $@ -Wl,--start-group $^ -Wl,--end-group $(PKG_LIBS)
unit: $(TESTS) $(BUILD)/san/slotctl
	@shared/run-tests $(TESTS)

figures: $(patsubst %.dot,%.svg,$(wildcard docs/*.dot))
	@bench/plot_tables
docs/%.svg: docs/%.dot
	dot -Tsvg -o $@ $<

rooms:
	@$(foreach r,$(ROOMS),printf '%-10s sees %s\n' $(r) '$(or $(strip $(SEES_$(r))),nothing)';)

deps:
	@ovmf-test/install-deps $(CROSS:%=--arch $(ARCH))
# As many jobs as processors, where make was not told how many.
ALL_CPUS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
# make again after deps: pkg-config may have been missing when this one started.
ifneq ($(CROSS),)
check check-all:
	@$(MAKE) --no-print-directory ARCH=$(MACHINE) BUILD=$(NATIVE_BUILD) check-arm64
else
check check-all: deps
	@$(MAKE) --no-print-directory $(ALL_CPUS) all loader-test-apps unit-programs proof-programs clang analyse
	@$(MAKE) --no-print-directory $(ALL_CPUS) $(FOR_ARM64) loader loader-test-apps
	@PYTHON=$(PYTHON) BUILD=$(BUILD) MAKE=$(MAKE) ovmf-test/run-check $(if $(filter %-all,$@),--all) $(TESTS)
endif
check-debian: deps
	@$(MAKE) --no-print-directory $(ALL_CPUS) all
	@SLOTBOOT_BUILD=$(BUILD) $(PYTHON) -m pytest -v -n 2 --dist loadgroup ovmf-test/test_debian.py \
		ovmf-test/test_debian_verity.py ovmf-test/test_debian_roots.py ovmf-test/test_installer.py
# The first dry runs: those of check-quick, and those that are counted by coverage.
DRY_RUNS := $(patsubst %,linux-agent/verb/test_%.py,dryrun refused_bundle refused_machine)
check-quick: deps
	@$(MAKE) --no-print-directory $(ALL_CPUS) all unit-programs $(BUILD)/proof/walk clang analyse
	@PYTHON=$(PYTHON) BUILD=$(BUILD) DRY_RUNS="$(DRY_RUNS)" ovmf-test/run-check --quick $(TESTS)
# Makes the bundles, also those for another architecture.
NATIVE_SLOTCTL = $(MAKE) -s --no-print-directory $(ALL_CPUS) ARCH=$(MACHINE) BUILD=$(NATIVE_BUILD) $(NATIVE_BUILD)/slotctl
# The compiler is named, so that one given to this make does not reach it. Not fuzz_kexec: its
# seeds are UKIs for x86-64.
FOR_ARM64 = ARCH=aarch64 BUILD=$(BUILD)/aarch64 CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar
check-arm64:
	@ovmf-test/install-deps --arch aarch64
	@$(NATIVE_SLOTCTL)
	@$(MAKE) --no-print-directory $(ALL_CPUS) $(FOR_ARM64) all loader-test-apps unit-programs $(BUILD)/aarch64/proof/proof
	@PYTHON=$(PYTHON) BUILD=$(BUILD)/aarch64 ovmf-test/run-check --arm64 \
		$(filter-out %/fuzz_kexec,$(TESTS:$(BUILD)/%=$(BUILD)/aarch64/%))
check-arm64-kexec:
	@ovmf-test/install-deps --arch aarch64 ovmf-test/packages-arm64-kexec.txt
	@SLOTBOOT_BUILD=$(BUILD) ovmf-test/kernel-arm64
	@$(NATIVE_SLOTCTL)
	@$(MAKE) --no-print-directory $(ALL_CPUS) $(FOR_ARM64) all
	@SLOTBOOT_BUILD=$(BUILD)/aarch64 SLOTBOOT_KERNEL=own $(PYTHON) -m pytest -v -n 2 --dist loadgroup \
		ovmf-test/test_arm64_kexec.py ovmf-test/test_kexec.py ovmf-test/test_kexec_explain.py
lint: deps
	@$(MAKE) --no-print-directory $(ALL_CPUS) clang analyse
	@PYTHON=$(PYTHON) ovmf-test/lint
unit-programs: $(TESTS) $(BUILD)/san/slotctl $(BUILD)/san/fuzz/make_seeds
demo: deps
	@$(MAKE) --no-print-directory $(ALL_CPUS) all
	@$(NATIVE_SLOTCTL)
	@SLOTBOOT_BUILD=$(BUILD) $(PYTHON) ovmf-test/demo.py
demo-debian: deps
	@$(MAKE) --no-print-directory $(ALL_CPUS) all
	@SLOTBOOT_BUILD=$(BUILD) $(PYTHON) ovmf-test/demo_debian.py
CUTS ?= 200
JOBS ?= 2
soak: deps
	@$(MAKE) --no-print-directory $(ALL_CPUS) all
	@$(PYTHON) ovmf-test/soak.py --cuts $(CUTS) --jobs $(JOBS) $(if $(SEED),--seed $(SEED))

# --- benchmarks: what they need and print is in docs/BENCHMARKS.md ---
bench:
	@ovmf-test/install-deps bench/packages.txt
	@$(MAKE) --no-print-directory all
	@$(PYTHON) bench/install.py
	@bench/plot $(BUILD)/bench/install.tsv docs/benchmark-install.svg
	@bench/delta-sizes
	@$(PYTHON) bench/deltas.py
	@$(PYTHON) bench/new_kernel.py
	@$(PYTHON) bench/packing.py
	@$(PYTHON) bench/links.py --root
	@bench/plot_links $(BUILD)/bench/links.tsv docs/benchmark-links.svg
	@bench/stage-cost
	@bench/digest
	@$(PYTHON) bench/latency.py
	@$(MAKE) --no-print-directory loader-measure

# --- fuzz targets: libFuzzer, from clang; the seeds in fuzz/seeds are replayed by make unit, too ---
SECONDS ?= 30
FUZZ_OBJ := $(SHARED_SRC:%.c=$(BUILD)/fuzz/%.o) \
            $(filter-out $(BUILD)/fuzz/linux-agent/verb/main.o,$(AGENT_SRC:%.c=$(BUILD)/fuzz/%.o))
$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) CLANG $@
	$(Q)clang $(AGENT_CFLAGS) $(INCLUDES) -Ifuzz -O1 -g -fsanitize=fuzzer-no-link $(SAN) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/fuzz/libslot.a: $(FUZZ_OBJ)
	@rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/fuzz/%: $(BUILD)/fuzz/%.o $(BUILD)/fuzz/libslot.a
	$(SAY) CLANG $@
	$(Q)clang -fsanitize=fuzzer $(SAN) -o $@ $^ $(PKG_LIBS)
.PRECIOUS: $(BUILD)/fuzz/%.o
# The seeds that are not text, anew: only when a format has changed.
seeds: $(BUILD)/san/fuzz/make_seeds
	@$<
fuzz-programs: $(FUZZ_SRC:%.c=$(BUILD)/fuzz/%)
fuzz:
	@ovmf-test/install-deps fuzz/packages.txt
	@$(MAKE) --no-print-directory fuzz-programs
	@BUILD=$(BUILD) fuzz/run $(SECONDS) $(FUZZ_SRC)

INITRAMFS = $(DESTDIR)$(PREFIX)/share/initramfs-tools
DRACUT = $(DESTDIR)$(PREFIX)/lib/dracut/modules.d/90slotboot-verity
install: all
	install -D -m 755 $(BUILD)/slotctl $(DESTDIR)$(PREFIX)/sbin/slotctl
	install -D -m 644 $(LOADER) $(DESTDIR)$(PREFIX)/lib/slotboot/$(notdir $(LOADER))
	install -d $(DESTDIR)$(UNITDIR)
	install -m 644 docs/units/slotboot-* $(DESTDIR)$(UNITDIR)
	install -D -m 644 docs/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/slotboot.conf
	install -D -m 644 docs/slotboot.conf $(DESTDIR)$(PREFIX)/lib/slotboot/slotboot.conf
	install -D -m 644 docs/slotctl.8 $(DESTDIR)$(PREFIX)/share/man/man8/slotctl.8
	install -D -m 644 docs/slotboot.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/slotboot.conf.5
	install -D -m 755 docs/initramfs-tools/installer-hook $(INITRAMFS)/hooks/slotboot-installer
	install -D -m 755 docs/initramfs-tools/installer-script $(INITRAMFS)/scripts/init-premount/slotboot-installer
	install -D -m 755 docs/initramfs-tools/verity-hook $(INITRAMFS)/hooks/slotboot-verity
	install -D -m 755 docs/initramfs-tools/verity-script $(INITRAMFS)/scripts/local-top/slotboot-verity
	install -D -m 755 -t $(DRACUT) docs/dracut/module-setup.sh docs/dracut/settled.sh
	install -D -m 644 -t $(DRACUT) docs/dracut/functions
	install -D -m 644 linux-agent/completion/slotctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/slotctl
	install -D -m 644 linux-agent/completion/_slotctl $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_slotctl
	install -D -m 644 linux-agent/completion/slotctl.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/slotctl.fish

deb:
	@ovmf-test/install-deps $(CROSS:%=--arch $(ARCH)) debian/packages.txt
	@BUILD=$(BUILD) DEB_HOST=$(if $(CROSS),$(DEB_$(ARCH))) debian/build-twice
DEB_aarch64 := arm64

# --- the loader's side: EFI types, gnu-efi; see efi-app/efi.mk ---
include efi-app/efi.mk

# --- power cuts and faults over both programs ---
include linux-agent/proof/proof.mk

# --- analysers, sanitizers and counters beside the tests ---
include ovmf-test/nets.mk

clean:
	rm -rf $(BUILD)

# What each object is made of. Other trees below BUILD, a Debian's root among them, have files *.d that are not for make.
OTHER_TREES = $(patsubst %,-path '$(BUILD)/%' -prune -o,ovmf-test bench deb aarch64)
-include $(shell find $(BUILD) $(OTHER_TREES) -name '*.d' -type f -print 2>/dev/null)
