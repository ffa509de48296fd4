# SPDX-License-Identifier: MIT
# The crash simulator; included by the Makefile, whose variables it uses.
PROOF_SRC   := $(filter-out %/walk.c,$(wildcard linux-agent/proof/*.c))
# Not linked: what simbundle.c and simkexec.c stand in for, and the command line.
PROOF_OUT   := bundle/bundle_read kexec/kexec base/report verb/main $(patsubst linux-agent/%.c,%,$(wildcard linux-agent/verb/verb_*.c))
PROOF_LIB   := $(filter-out $(PROOF_OUT:%=$(BUILD)/linux-agent/%.o),$(AGENT_OBJ))
PROOF_LSAN  := $(filter-out $(PROOF_OUT:%=$(BUILD)/san/linux-agent/%.o),$(SAN_OBJ))
PROOF_WRAP  := -Wl,--wrap=ukifile_open,--wrap=read_file,--wrap=cms_verify_detached,--wrap=access,--wrap=time
PROOF_OBJ   := $(PROOF_SRC:%.c=$(BUILD)/proof/%.o)
PROOF_SAN   := $(PROOF_SRC:%.c=$(BUILD)/proof/san/%.o)
PROOF_WALK  := $(BUILD)/proof/linux-agent/proof/walk.o

.PHONY: proof proof-quick proof-faults proof-programs

$(BUILD)/proof/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(AGENT_CFLAGS) $(INCLUDES) -Werror -O2 -g -fPIE $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/proof/san/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(AGENT_CFLAGS) $(INCLUDES) -Werror -O1 -g $(SAN) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/proof/libslot.a: $(PROOF_LIB)
	@mkdir -p $(@D)
	@rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/proof/san/libslot.a: $(PROOF_LSAN)
	@mkdir -p $(@D)
	@rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/proof/proof: $(PROOF_OBJ) $(BUILD)/proof/libslot.a
	$(SAY) CC $@
	$(Q)$(CC) -pie $(PROOF_WRAP) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(BUILD)/proof/proof-san: $(PROOF_SAN) $(BUILD)/proof/san/libslot.a
	$(SAY) CC $@
	$(Q)$(CC) $(SAN) $(PROOF_WRAP) -o $@ $^ $(PKG_LIBS)
# Without sanitizers: a hundred million times the policy, which the unit tests have under them.
$(BUILD)/proof/walk: $(PROOF_WALK) $(BUILD)/proof/libslot.a
	$(SAY) CC $@
	$(Q)$(CC) -pie $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

proof-programs: $(BUILD)/proof/proof $(BUILD)/proof/proof-san $(BUILD)/proof/walk
proof-quick: proof-programs
	@$(BUILD)/proof/walk
	@$(BUILD)/proof/proof --quick
	@$(BUILD)/proof/proof-san --quick --scenario rollback
proof: $(BUILD)/proof/proof proof-programs
	@$(BUILD)/proof/walk
	@$(BUILD)/proof/proof
	@$(BUILD)/proof/proof-san --quick --seed 2
	@$(MAKE) --no-print-directory proof-faults
proof-faults: $(PROOF_OBJ) | $(BUILD)/proof/libslot.a $(PROOF_WALK)
	@$(PYTHON) linux-agent/proof/faults.py --build $(BUILD)/proof/faults --walk $(PROOF_WALK) \
		--archive $(BUILD)/proof/libslot.a \
		--compile '$(CC) $(AGENT_CFLAGS) $(EVERY_ROOM) -O1 -fPIE $(PKG_CFLAGS) $(CFLAGS)' \
		--link '$(CC) -pie $(PROOF_WRAP) $(LDFLAGS) OBJECTS $(PKG_LIBS)' $^
