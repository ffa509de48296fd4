# SPDX-License-Identifier: MIT
# The loader: gnu-efi's headers, none of its code. An ELF file linked by
# efi.lds, made into a PE file by elf2pe.

EFI      := $(BUILD)/efi
EFI_INC  ?= /usr/include/efi

# --- what differs between architectures ---
EFI_NAME_x86_64    := x64
EFI_NAME_aarch64   := aa64
EFI_CFLAGS_x86_64  := -mno-red-zone -fcf-protection=none -DGNU_EFI_USE_MS_ABI
EFI_CFLAGS_aarch64 := -mstrict-align
EFI_APPS_aarch64   := mapped
EFI_NAME := $(EFI_NAME_$(ARCH))

EFI_CFLAGS := -std=c11 -ffreestanding -fshort-wchar -fpic -fvisibility=hidden \
              -fno-stack-protector -fno-asynchronous-unwind-tables -fno-strict-aliasing \
              -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections -O2 -g0 \
              $(EFI_CFLAGS_$(ARCH)) $(WARN) -Ishared -Iefi-app \
              -isystem $(EFI_INC) \
              -DSLOTBOOT_VERSION='L"$(VERSION)"'
EFI_LDFLAGS := -nostdlib -static-pie -Wl,--gc-sections -Wl,-Tefi-app/efi.lds -Wl,--no-dynamic-linker \
               -Wl,-z,max-page-size=0x1000 -Wl,--no-undefined -Wl,-z,norelro -Wl,--build-id=none -Wl,--fatal-warnings

EFI_SRC := $(filter-out efi-app/ticks_%.c efi-app/port_%.c,$(wildcard efi-app/*.c)) \
           efi-app/ticks_$(ARCH).c efi-app/port_$(ARCH).c $(SHARED_SRC)
EFI_OBJ := $(EFI_SRC:%.c=$(EFI)/obj/%.o)
LOADER  := $(EFI)/slotboot$(EFI_NAME).efi

.PHONY: loader loader-test-apps loader-check loader-faults loader-measure
loader: $(LOADER)

$(EFI)/obj/%.o: %.c efi-app/efi.mk
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(EFI_CFLAGS) -MMD -MP -c -o $@ $<
$(EFI)/slotboot.elf: $(EFI_OBJ) efi-app/efi.lds efi-app/efi.mk
	$(SAY) CC $@
	$(Q)$(CC) $(EFI_LDFLAGS) -o $@ $(EFI_OBJ)
$(EFI)/sbat.csv: efi-app/sbat.csv Makefile
	@mkdir -p $(@D)
	$(Q)sed 's/@VERSION@/$(VERSION)/' $< >$@
$(LOADER): $(EFI)/slotboot.elf efi-app/elf2pe $(EFI)/sbat.csv
	$(SAY) PE $@
	$(Q)$(PYTHON) efi-app/elf2pe $< $@ .sbat=$(EFI)/sbat.csv

# --- small EFI applications that stand for a UKI; see efi-app/test/run ---
EFI_APPS := show show_stub returns_success returns_error leaves_trace hangs resets starts entry $(EFI_APPS_$(ARCH))

EFI_BARE_aarch64 := $(EFI)/test/gwdt_bare.bin

loader-test-apps: $(EFI_APPS:%=$(EFI)/test/%.efi) $(EFI_BARE_$(ARCH))
$(EFI)/test/%.elf: $(EFI)/obj/efi-app/test/%.o $(EFI)/obj/efi-app/mem.o $(EFI)/obj/efi-app/port_$(ARCH).o \
                   efi-app/efi.lds efi-app/efi.mk
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(EFI_LDFLAGS) -o $@ $(filter %.o,$^)
$(EFI)/test/show.efi: $(EFI)/test/show.elf efi-app/elf2pe efi-app/test/cmdline
	$(SAY) PE $@
	$(Q)$(PYTHON) efi-app/elf2pe $< $@ .cmdline=efi-app/test/cmdline
$(EFI)/test/show_stub.efi: $(EFI)/test/show.elf efi-app/elf2pe efi-app/test/cmdline
	$(SAY) PE $@
	$(Q)$(PYTHON) efi-app/elf2pe $< $@ .sdmagic=efi-app/test/cmdline
$(EFI)/test/%.efi: $(EFI)/test/%.elf efi-app/elf2pe
	$(SAY) PE $@
	$(Q)$(PYTHON) efi-app/elf2pe $< $@
# No EFI application: it runs from QEMU's flash. Its code finds itself wherever it is.
$(EFI)/test/gwdt_bare.elf: $(EFI)/obj/efi-app/test/gwdt_bare.o $(EFI)/obj/efi-app/mem.o $(EFI)/obj/shared/gwdt.o \
                           efi-app/efi.lds efi-app/efi.mk
	$(SAY) CC $@
	$(Q)$(CC) $(EFI_LDFLAGS) -Wl,-e,_start -o $@ $(filter %.o,$^)
$(EFI)/test/%.bin: $(EFI)/test/%.elf
	$(SAY) BIN $@
	$(Q)$(OBJCOPY) -O binary -j .text -j .rodata $< $@
.PRECIOUS: $(EFI)/obj/%.o $(EFI)/test/%.elf

loader-check: loader loader-test-apps
	$(PYTHON) efi-app/test/run $(EFI)
loader-faults:
	$(PYTHON) efi-app/test/faults $(EFI)
loader-measure: loader loader-test-apps
	$(PYTHON) efi-app/test/measure $(EFI)
