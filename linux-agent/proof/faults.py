#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Deliberate faults: each is put into a copy of one real source file, the simulator
is linked with that object before the archive that has the right one, and it must fail.

    faults.py --compile "cc FLAGS" --link "cc FLAGS OBJECTS" --walk OBJECT --archive FILE --build DIR
              [--only WORD] OBJECT...
"""
import argparse
import os
import subprocess
import sys
import time

# Of the scenarios only those of that word are run, where a fault names one: they are not the first.
NEW = "a new loader"
TWO = "two ESPs"
DIRECT = "without the loader"
KEYS = "keys that change"

FAULTS = [
    ("a slot target is not flushed", "linux-agent/update/slot_target.c",
     "if (dev->disk->flush(dev->disk->ctx, dev->file) < 0)", "if (0)"),
    ("the end of a slot target is not flushed", "linux-agent/update/slot_target.c",
     "return slot_target_flush(dev, err);", "return 0;"),
    ("the UKI is not flushed", "linux-agent/firmware/espfile.c",
     "if (r == 0 && disk->flush(disk->ctx, sink->file) < 0)", "if (0)"),
    ("the directory is not flushed", "linux-agent/firmware/espfile.c",
     "if (disk_flush_parent(disk, path) < 0)", "if (0)"),
    ("the mirror is not flushed", "linux-agent/machine/statefile.c",
     "    disk->flush(disk->ctx, fd) < 0)\n\t\terror", "    0)\n\t\terror"),
    ("the name of state.bin is not flushed", "linux-agent/machine/statefile.c",
     " || disk_flush_parent(disk, file->mirror) < 0", ""),
    ("trial before the image is written", "linux-agent/update/install.c",
     "\tif (save(m, o->report, err) < 0)\n\t\treturn -1;\n\tif (m->mirror_failed)",
     "\tm->state.record.slots[slot].status = SLOT_TRIAL;\n"
     "\tm->state.record.slots[slot].tries_left = m->state.record.slots[slot].tries_granted = 2;\n"
     "\tif (save(m, o->report, err) < 0)\n\t\treturn -1;\n"
     "\tm->state.record.slots[slot].status = SLOT_WRITING;\n"
     "\tif (m->mirror_failed)"),
    ("the writing mark is not saved", "linux-agent/update/install.c",
     "\tif (save(m, o->report, err) < 0)\n\t\treturn -1;\n\tif (m->mirror_failed)",
     "\tif (m->mirror_failed)"),
    ("the direct entry stays active while its slot is written", "linux-agent/update/install.c",
     "return machine_is_direct(m) ? 0 : machine_hide_entry(m, slot, err);", "return 0;"),
    ("a trial starts although its try was not saved", "shared/boot.c",
     "return trace->save_error == SB_OK || !step->save_required;", "return true;"),
    ("a try is never saved", "shared/policy.c",
     ".save = policy->dirty,\n\t\t\t.save_required", ".save = false,\n\t\t\t.save_required"),
    ("tries are not spent", "shared/policy.c", "s->tries_left--;", ";"),
    ("a slot in writing is started", "shared/policy.c",
     "{ SLOT_WRITING,     IF_ALWAYS,     DO_SKIP, ", "{ SLOT_WRITING,     IF_ALWAYS,     DO_BOOT, "),
    ("a kexec-trial is not condemned", "shared/policy.c",
     "if (policy->record.slots[slot].status == SLOT_KEXEC_TRIAL)", "if (0)"),
    ("mark-good does not prefer the slot", "shared/policy.c",
     "{ ON_GOOD_KEXEC,     ANY,              true,  SLOT_TRIAL,       REASON_NONE,        PREFER_THIS }",
     "{ ON_GOOD_KEXEC,     ANY,              true,  SLOT_TRIAL,       REASON_NONE,        PREFER_KEEP }"),
    ("the digest is not checked", "shared/boot.c",
     "bool check = step->check_digest &&", "bool check = false &&"),
    ("the newest copy of the mirror is overwritten by the loader", "shared/state.c",
     "state, (state->mirror_newest + 1) % STATE_MIRROR_COPIES", "state, state->mirror_newest"),
    ("the newest copy of the mirror is overwritten first by the agent", "shared/state.c",
     "unsigned older = (state->mirror_newest + 1) % STATE_MIRROR_COPIES;",
     "unsigned older = state->mirror_newest;"),
    ("the agent writes one copy of the mirror", "shared/state.c",
     "for (unsigned i = 0; i < STATE_MIRROR_COPIES; i++) {\n\t\tunsigned copy = (older",
     "for (unsigned i = 0; i < 1; i++) {\n\t\tunsigned copy = (older"),
    ("the mirror has one copy instead of two", "shared/state.c",
     "state, (state->mirror_newest + 1) % STATE_MIRROR_COPIES", "state, 0"),
    ("the older copy of the mirror wins", "shared/state.c",
     "r.sequence > ret_record->sequence", "r.sequence < ret_record->sequence"),
    ("the mirror wins over a newer variable", "shared/state.c",
     "mirror.sequence > s.record.sequence", "mirror.sequence < s.record.sequence"),
    ("the mirror is not written by the agent", "shared/state.c",
     "mirror = mirrors_write(ops, state, bytes);", "mirror = SB_OK;"),
    ("the mirror before the variable", "shared/state.c",
     "enum sb_error error = var_current ? SB_OK : var_save(ops, bytes), mirror;",
     "enum sb_error mirror = mirrors_write(ops, state, bytes);\n"
     "\tenum sb_error error = var_current ? SB_OK : var_save(ops, bytes);"),
    ("the loader does not read the variable back", "shared/state.c",
     "if (error == SB_OK)\n\t\terror = ops->var_read(ops->ctx, back, sizeof back, &len);",
     "if (error == SB_OK)\n\t\treturn SB_OK;"),
    ("a state.bin that an image brought is not told", "shared/state.c",
     "if (!has_image(v->status))\n\t\t\treturn true;", "if (!has_image(v->status))\n\t\t\treturn false;"),
    ("a wrong checksum is accepted", "shared/record.c",
     "if (le32_get(bytes + AT_CRC) != crc32_of(bytes, AT_CRC))", "if (0)"),
    ("the running slot as the target", "linux-agent/update/install_check.c",
     "*ret_slot = 1 - running;", "*ret_slot = running;"),
    ("an install from an unconfirmed slot", "linux-agent/update/install_check.c",
     "if (!policy_slot_confirmed(slot, machine->running.kexec))", "if (0)"),
    ("kexec-good counts as confirmed after a firmware boot", "linux-agent/update/install_check.c",
     "policy_slot_confirmed(slot, machine->running.kexec)",
     "policy_slot_confirmed(slot, true)"),
    ("a chunk's hash is not checked", "linux-agent/engine/enginework.c",
     "if (decoded && chunk_is_right(e, t))", "if (decoded)"),
    ("a chunk in place is not hashed", "linux-agent/engine/enginework.c",
     "&& chunk_is_right(e, t);", "&& (held == HELD_TARGET || chunk_is_right(e, t));"),
    ("a chunk of the running slot is not hashed", "linux-agent/engine/enginework.c",
     "&& chunk_is_right(e, t);", "&& (held == HELD_RUNNING || chunk_is_right(e, t));"),
    ("a chunk is written before the slot is in writing", "linux-agent/update/install.c",
     "if (begin(in, err) < 0 || install_write_images(in, err) < 0 ||",
     "if (install_write_images(in, err) < 0 || begin(in, err) < 0 ||"),
    ("a bundle at hand is not verified before the slot is in writing", "linux-agent/update/install_payload.c",
     ".verify = spooled || !source->remote,", ""),
    ("the image is not read back", "linux-agent/update/install_payload.c",
     "if (engine_check(p->engine, err) < 0)", "if (0)"),
    ("what is read back is not compared", "linux-agent/engine/enginecheck.c",
     "if (readback_mark(e, t->out, len) != e->back.marks[t->chunk])", "if (0)"),
    ("the UKI is not read back", "linux-agent/update/install_files.c",
     "return readback_check(disk, path, payload->size, payload->sha256, cancel, err);",
     "return 0;"),
    ("success although the variable did not take", "linux-agent/machine/machine.c",
     "STATE_SAVE_AGENT, &machine->state, &mirror);",
     "STATE_SAVE_AGENT, &machine->state, &mirror);\n\terror = SB_OK;"),
    ("the old loader is replaced while BootOrder leads to it", "linux-agent/update/loader_settle.c",
     "lead(m, &leads, err) < 0)", "(leads = true, 0))", NEW),
    ("a loader that did not start is promoted", "linux-agent/update/loader_settle.c",
     "if (started != LOADER_TRIAL || strcmp(version, note->trial.version) != 0)", "if (0)", NEW),
    ("a new loader is promoted in name only", "linux-agent/update/loader_settle.c",
     "if (!loader_id_is(&id, &files->home) && loader_file_put(m, source, files->home.path, err) < 0)", "if (0)", NEW),
    ("BootNext outlives the entry that it names", "linux-agent/machine/machine_entries.c",
     "if (r == 0 && !entries.want.trial)", "if (0)", NEW),
    ("deletions, BootOrder, then its entries", "linux-agent/firmware/bootentries.c",
     "&plan->ops[i];", "&plan->ops[plan->op_count - 1 - i];"),
    ("deletions before BootOrder", "linux-agent/firmware/bootplan.c",
     "\tplan_order(state, kept, &plan);\n\tplan_deletes(state, kept, &plan);",
     "\tplan_deletes(state, kept, &plan);\n\tplan_order(state, kept, &plan);"),
    ("foreign entries leave BootOrder", "linux-agent/firmware/bootplan.c",
     "if (!entry || entry->role == BOOT_FOREIGN)", "if (!entry)"),
    ("the old UKI stands beside half a new image", "linux-agent/update/install_files.c",
     "if (file_remove(machine, slot, \"uki.efi\", err) < 0)", "if (0)"),
    ("what lies beside the UKI stays for the next version", "linux-agent/update/install_files.c",
     "(path && espfile_remove(&machine->disk, path, err) < 0)", "0"),
    ("a slot's files stay for the next version", "linux-agent/update/install_files.c",
     "(path && espfile_remove(&machine->disk, path, err) < 0)",
     "(path && old->payloads[i].type != PAYLOAD_FILE && espfile_remove(&machine->disk, path, err) < 0)"),
    ("dbx is applied whatever a slot needs", "linux-agent/update/key_judge.c",
     "reason = all_judge(machine, &rules->now, &then, ret_words, size);", "reason = KEY_REASON_NONE;", KEYS),
    ("dbx is never applied", "linux-agent/update/key_judge.c",
     "if (rules->now.shim && !machine->config->shim) {", "if (rules->now.on) {", KEYS),
    ("the UKI comes before what lies beside it", "linux-agent/update/install_files.c",
     "files_write(in, err) < 0 ||\n\t    machine_slot_file(in->machine, in->slot, \"uki.efi\", &path, err) < 0 ||\n"
     "\t    memory_write(in, uki, path, err) < 0)",
     "machine_slot_file(in->machine, in->slot, \"uki.efi\", &path, err) < 0 ||\n"
     "\t    memory_write(in, uki, path, err) < 0 ||\n\t    files_write(in, err) < 0)"),
    ("the record before the boot entries", "linux-agent/update/install.c",
     "return machine_sync_entries(m, err) < 0 ? -1 : save(m, report, err);",
     "return save(m, report, err) < 0 ? -1 : machine_sync_entries(m, err);"),
    ("BootNext before the record", "linux-agent/update/install.c",
     "if (save(m, report, err) < 0 || machine_sync_entries(m, err) < 0)\n\t\treturn -1;\n\treturn direct_arm(m, err);",
     "if (machine_sync_entries(m, err) < 0 || direct_arm(m, err) < 0)\n\t\treturn -1;\n\treturn save(m, report, err);", DIRECT),
    ("an entry that nobody checks is active when its slot is in writing", "linux-agent/update/install.c",
     "if (machine_is_direct(m) && machine_hide_entry(m, slot, err) < 0)", "if (0)", DIRECT),
    ("BootNext is not taken back before the record changes", "linux-agent/machine/machine.c",
     "if (direct_disarm(machine, err) < 0)", "if (0)", DIRECT),
    ("a slot is bad while BootOrder starts it", "linux-agent/update/mark.c",
     "if (machine_is_direct(machine) && machine_sync_entries(machine, err) < 0)", "if (0)", DIRECT),
    ("a try by BootNext is not spent", "linux-agent/machine/direct.c",
     "if (spent || kexec_failed(machine))", "if (0)", DIRECT),
    ("BootOrder begins with the preferred slot before it is good", "linux-agent/machine/machine_entries.c",
     "(other->status == SLOT_GOOD || (is_new && is_there))", "0", DIRECT),
    ("an ESP that is away stays in the record through an install", "linux-agent/machine/other_esp.c",
     "\t(void)record_name(&machine->state.record, machine->esp.guid,\n"
     "\t\t\t  in_step(machine) ? machine->other_esp.guid : NULL);", "\t;", TWO),
    ("the slot is not copied to the other ESP", "linux-agent/machine/other_esp.c",
     "if (in_step(machine) && other_esp_copy_files(machine, slot, &why) < 0)",
     "if (0 && other_esp_copy_files(machine, slot, &why) < 0)", TWO),
    ("an ESP that was left behind starts what it has", "shared/state.c",
     "\t\ts->left_behind = true;", "\t\t;", TWO),
    ("the other ESP does not get what lies beside the UKI", "linux-agent/machine/other_esp_files.c",
     "return beside_copy(m, slot, here, err);", "return 0;", TWO),
    ("the record names an ESP before its files are there", "linux-agent/machine/other_esp.c",
     "if (other_esp_bring_up_files(m, &why) < 0 || (", "if ((", TWO),
    ("the loader does not look which copy is newest", "shared/state.c",
     "\ts->mirror_newest = copy;", "\t;"),
    ("mark-good leaves an older mirror", "linux-agent/update/mark.c",
     ": mark_repair(machine, &before, err)", ": 0"),
    ("mark-good keeps the record of the disk before", "linux-agent/update/mark.c",
     "if (known && m->state.unmirrored)", "if (0)"),
    ("mark-good leaves a provisional record", "linux-agent/update/mark.c",
     "(state->record.flags & RECORD_FLAG_PROVISIONAL) ||", "0 ||"),
    ("another disk's record is believed", "shared/state.c",
     "if (!record_belongs(&r, ops->esp)) {", "if (0) {"),
    ("the loader writes over another disk's record", "shared/state.c",
     "state->var_is_foreign ? SB_FOREIGN : var_save(ops, bytes)", "var_save(ops, bytes)"),
    ("a mirror far ahead of the variable counts", "shared/state.c",
     "ret_record->sequence - s->record.sequence > STATE_AHEAD_MAX)", "false)"),
    ("the mirror is not read beside a valid variable", "shared/state.c",
     "s.mirror_error = mirror_load(ops, &s, &mirror);",
     "s.mirror_error = s.var_error == SB_OK ? SB_SHORT : mirror_load(ops, &s, &mirror);"),
    ("what came from the mirror goes to the variable alone", "shared/state.c",
     "(state->source == STATE_VARIABLE_COPY || state->mirror_error == SB_NOT_FOUND))", "true)"),
    ("a variable that cannot be replaced stops the save", "shared/state.c",
     "if (error != SB_OK && error != SB_ATTRIBUTES)", "if (error != SB_OK)"),
    ("a save that one copy of the mirror took has failed", "shared/state.c",
     "!state->mirror_current[0] && !state->mirror_current[1])", "mirror != SB_OK)"),
    ("a provisional record is not stored", "shared/policy.c",
     ".save = policy->dirty,\n\t\t\t.save_required",
     ".save = policy->dirty && !(policy->record.flags & RECORD_FLAG_PROVISIONAL),\n"
     "\t\t\t.save_required"),
    ("nothing is started unchecked", "shared/policy.c",
     "if (policy->loaded[slot] ||", "if (true ||"),
    ("on a new disk nothing is started that the old record calls half written",
     "shared/policy.c", "(!policy->unmirrored && status", "(status"),
    ("the watchdog's reason is dropped", "shared/boot.c",
     "trace.reset == TRACE_RESET_WATCHDOG);", "false);"),
    ("the watchdog is not armed", "shared/boot.c",
     "if (step->watchdog_s > 0 && ops->watchdog_arm)", "if (0)"),
    ("the watchdog is not disarmed after a start that failed", "shared/boot.c",
     "if (trace->watchdog != TRACE_WATCHDOG_OFF && ops->watchdog_disarm)", "if (0)"),
    ("the watchdog is armed before the save", "shared/boot.c",
     "\tif (!step->save)\n\t\treturn true;",
     "\tif (ops->watchdog_arm)\n\t\t(void)ops->watchdog_arm(ops->ctx, WATCHDOG_ITCO, 1);\n"
     "\tif (!step->save)\n\t\treturn true;"),
    ("an install goes on without the mirror", "linux-agent/update/install.c",
     "if (m->mirror_failed)\n\t\treturn begin_undo", "if (0)\n\t\treturn begin_undo"),
    ("the rollback floor is not raised", "linux-agent/update/mark.c",
     "if (r == 1 && m.manifest->raises_floor)", "if (0)"),
    ("the rollback floor has one copy instead of two", "linux-agent/machine/rollback_floor.c",
     "unsigned at = i ^ (p.highest == 0 ? 1 : 0);", "unsigned at = 0 * i;"),
]

# Seen by the walk, in the policy alone.
WALK_FAULTS = [
    ("a kexec alone makes a slot good", "shared/policy.c",
     "{ ON_GOOD_KEXEC,     ANY,              true,  SLOT_TRIAL,       REASON_NONE,        PREFER_THIS }",
     "{ ON_GOOD_KEXEC,     ANY,              true,  SLOT_GOOD,        REASON_NONE,        PREFER_THIS }"),
    ("a slot may be started twice in a boot", "shared/policy.c",
     "policy->started[step.slot] = true;", ";"),
    ("good-limit is not looked at", "shared/policy.c",
     "return slot->good_boots < record->good_limit;", "return true;"),
    ("a trial is started without its digest", "shared/policy.c",
     ".check_digest = action == DO_BOOT_COUNTED ||", ".check_digest ="),
    ("a trial is started without its save", "shared/policy.c",
     ".save_required = action == DO_BOOT_COUNTED &&", ".save_required = false &&"),
    ("a provisional start waits for its save", "shared/policy.c",
     ".save_required = action == DO_BOOT_COUNTED &&\n"
     "\t\t\t\t\t !(policy->record.flags & RECORD_FLAG_PROVISIONAL),",
     ".save_required = action == DO_BOOT_COUNTED,"),
    ("more than one kexec-trial is overlooked", "shared/policy.c",
     "if (policy->record.slots[slot].status == SLOT_KEXEC_TRIAL)",
     "if (slot == 0 && policy->record.slots[slot].status == SLOT_KEXEC_TRIAL)"),
    ("no last resort", "shared/policy.c",
     "if (next_normal(policy, &step) || next_last_resort(policy, &step) ||\n"
     "\t    next_unchecked(policy, &step)) {",
     "(void)next_last_resort, (void)next_unchecked;\n\tif (next_normal(policy, &step)) {"),
    ("the unchecked start comes before the last resort", "shared/policy.c",
     "next_last_resort(policy, &step) ||\n\t    next_unchecked(policy, &step)",
     "next_unchecked(policy, &step) ||\n\t    next_last_resort(policy, &step)"),
    ("the last resort goes by letter", "shared/policy.c",
     "unsigned slot = i % 2 ? 1u - policy->record.preferred : policy->record.preferred;",
     "unsigned slot = i % 2;"),
    ("the preference is not put back where both slots fail", "shared/policy.c",
     "record->preferred = policy->chosen;", ";"),
    ("a slot in writing is started unchecked beside a mirror", "shared/policy.c",
     "(!policy->unmirrored && status", "(false && status"),
    ("the watchdog is armed for the last resort", "shared/policy.c",
     ".check_digest = true,\n", ".check_digest = true,\n.watchdog_s = policy->record.watchdog_s,\n"),
    ("the watchdog is armed for a good slot unasked", "shared/policy.c",
     "action == DO_BOOT_COUNTED ? WATCHDOG_FLAG_TRIAL : WATCHDOG_FLAG_GOOD;", "WATCHDOG_FLAG_TRIAL;"),
    ("a failed health check leaves the slot preferred", "shared/policy.c",
     "(row->prefer == PREFER_OTHER || row->prefer == PREFER_OTHER_ONLY)", "row->prefer == PREFER_OTHER"),
    ("a failed health check leaves a trial on trial", "shared/policy.c",
     "{ ON_HEALTH_FAILED,  SLOT_TRIAL,       true,  SLOT_BAD,         REASON_HEALTH,",
     "{ ON_HEALTH_FAILED,  SLOT_TRIAL,       true,  SLOT_TRIAL,       REASON_NONE,  "),
    ("a failed health check is the end also where there is no other slot", "shared/policy.c",
     "(row->prefer == PREFER_OTHER_ONLY && !policy_slot_bootable(record, other))", "false"),
    ("any reset is laid to the watchdog", "shared/policy.c",
     "policy->hung[slot] = watchdog_reset &&", "policy->hung[slot] = true &&"),
    ("a hang is laid to a slot that did not run", "shared/policy.c",
     "last->event == event && last->slot == slot &&", "last->event == event &&"),
    ("a hang is laid to a slot that ran long ago", "shared/policy.c",
     "last->sequence == (uint32_t)record->sequence;", "true;"),
    ("a hang with a try left is not noted", "shared/policy.c",
     "if (policy->hung[slot])", "if (0)"),
    ("a record that does not fit its decoder", "shared/policy.c",
     "s->tries_left = status == SLOT_TRIAL ? tries : 0;", "s->tries_left = tries;"),
    ("a slot that is wanted for one boot is not the first", "shared/policy.c",
     "policy->once ? policy->once - 1u : policy->record.preferred;", "policy->record.preferred;"),
    ("a bad slot that is wanted for one boot gets no try", "shared/policy.c",
     "slot_enter(s, SLOT_TRIAL, REASON_NONE, 1);", "s->status = SLOT_TRIAL;"),
    ("the hang of a kexec-trial that is wanted for one boot is noted twice", "shared/policy.c",
     "policy->hung[slot] = false;", ";"),
]


def run(words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)


def fault_build(o, source, text, walk):
    """The simulator or the walk with this text for source; None and the output if it
    fails."""
    path = os.path.join(o.build, os.path.basename(source))
    obj, program = path[:-2] + ".o", os.path.join(o.build, "proof")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    objects = [obj, *([o.walk] if walk else o.objects), o.archive]
    for words in (o.compile.split() + ["-w", "-c", "-o", obj, path],
                  [x for y in o.link.split() for x in
                   (["-o", program] + objects if y == "OBJECTS" else [y])]):
        done = run(words)
        if done.returncode != 0:
            return None, done.stdout
    return program, ""


def fault_try(o, source, old, new, walk, scenario=""):
    with open(source, encoding="utf-8") as f:
        text = f.read()
    if text.count(old) != 1:
        return False, f"the text to replace is there {text.count(old)} times in {source}"
    program, output = fault_build(o, source, text.replace(old, new), walk)
    if not program:
        return False, "does not build: " + output
    # What the quick set's samples miss, all combinations must show.
    for how in ([[]] if walk else [["--quick"], []]):
        done = run([program, "--first", *how, *(["--scenario", scenario] if scenario else [])])
        lines = [x for x in done.stdout.splitlines() if x.startswith("VIOLATION")]
        if lines:
            return True, lines[0][11:]
    if done.returncode < 0 or "Sanitizer" in done.stdout:
        return True, f"crashed ({done.returncode})"
    return False, "the simulator does not see it"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--compile", required=True)
    p.add_argument("--link", required=True, help="with the word OBJECTS in it")
    p.add_argument("--build", required=True)
    p.add_argument("--walk", required=True, help="the walk's own object")
    p.add_argument("--archive", required=True, help="of all the rooms and shared/")
    p.add_argument("--only", default="")
    p.add_argument("objects", nargs="+", help="the simulator's own")
    o = p.parse_args()
    os.makedirs(o.build, exist_ok=True)
    passed = failed = 0
    begin = time.monotonic()
    for fault in FAULTS + WALK_FAULTS:
        name, source, old, new, *scenario = fault
        if o.only not in name:
            continue
        caught, why = fault_try(o, source, old, new, fault in WALK_FAULTS, *scenario)
        passed, failed = passed + caught, failed + (not caught)
        print(f"{'caught' if caught else 'NOT CAUGHT'}: {name}: {why}", flush=True)
    print(f"deliberate faults: {time.monotonic() - begin:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
