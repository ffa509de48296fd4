# SPDX-License-Identifier: MIT
"""Damaged UKIs, records, variable stores and loader files: what starts, why, and after how many boots.

One machine: X good in slot A, Y on trial in slot B and preferred, installed and chosen by slotctl.
Every case begins with that disk and that variable store, and spoils something while it is off."""
import os
import random
import struct

import pytest

import record
from disk import fill_slot
from paths import OVMF, copy
from uki import section, with_words
from varstore import BS, GLOBAL, NV, VarStore

LOADER, FALLBACK = "EFI/slotboot/slotbootx64.efi", "EFI/BOOT/BOOTX64.EFI"
UKI = {"a": "EFI/slotboot/a/uki.efi", "b": "EFI/slotboot/b/uki.efi"}
VARIANT = {"a": "x", "b": "y"}
FOREIGN = "a44b7925-64fe-4f5f-9e3a-49b0319efd70"
NOISE = random.Random(5107).randbytes


@pytest.fixture
def started(machine, request, record_property):
    """Checks that this boot is what was to come of it, and enters it in the table; the status."""
    def check(boot, slot, entries, *words):
        assert (boot.slot, boot.variant) == (slot, VARIANT[slot])
        assert machine.firmware_entries() == entries
        status = machine.status()
        assert status["running"] == slot
        for part in words:
            assert part in status["why"]
        record_property("boot", (request.node.name.removeprefix("test_"), slot, entries, status["why"]))
        return status
    return check


def install(machine, uki, tries=3):
    """Put a UKI into slot B as though an install had brought it."""
    machine.disk.esp.write(UKI["b"], uki)
    state = record.read(machine)
    state.b.holds(uki)
    state.b.try_again(tries)
    record.write(machine, state)


# --- the UKI

def flip_bit(uki):
    middle = section(uki, b".initrd")[1] + 4096
    return uki[:middle] + bytes([uki[middle] ^ 1]) + uki[middle + 1:]


def other_machine(uki):
    """For AArch64, by its header."""
    at = struct.unpack_from("<I", uki, 0x3C)[0] + 4
    assert uki[at:at + 2] == b"\x64\x86"
    return uki[:at] + b"\x64\xaa" + uki[at + 2:]


def section_beyond_image(uki):
    """Neither aligned nor inside the image's size in memory."""
    at = section(uki, b".linux")[0] + 12
    return uki[:at] + struct.pack("<I", 0x7FFFF123) + uki[at + 4:]


def no_kernel(uki):
    """Sound to the firmware; systemd-stub finds no kernel in it and returns."""
    _, at, size = section(uki, b".linux")
    return uki[:at] + bytes(size) + uki[at + size:]


SPOILED = {"empty": lambda uki: b"", "truncated": lambda uki: uki[:len(uki) // 2],
           "random bytes": lambda uki: NOISE(len(uki)), "one flipped bit": flip_bit}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_trial_uki_that_was_not_installed(machine, started, spoil):
    machine.disk.esp.write(UKI["b"], spoil(machine.disk.esp.read(UKI["b"])))
    status = started(machine.cold_boot(), "a", 1, "Slot b failed in this boot: its UKI is not the one that was "
                     "installed", "Slot a was started.")
    assert (status["preferred"], status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == (
        "a", "bad", "digest")


def test_trial_uki_is_missing(machine, started):
    machine.disk.esp.remove(UKI["b"])
    status = started(machine.cold_boot(), "a", 1, "Slot b failed in this boot: the firmware could not load its UKI "
                     "(EFI status 0x800000000000000e, not found). Slot a was started.")
    assert (status["preferred"], status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("a", "bad", "load")


INSTALLED = {"for another architecture": (other_machine, "load", "the firmware could not load its UKI"),
             "with a section out of bounds": (section_beyond_image, "load", "the firmware could not load its UKI"),
             "without a kernel": (no_kernel, "returned", "its UKI gave control back to the loader")}


@pytest.mark.parametrize("spoil,reason,words", INSTALLED.values(), ids=INSTALLED)
def test_trial_uki_was_installed_broken(machine, started, spoil, reason, words):
    install(machine, spoil(machine.disk.esp.read(UKI["b"])))
    status = started(machine.cold_boot(), "a", 1, f"Slot b failed in this boot: {words} (EFI status 0x8",
                     "Slot a was started.")
    assert (status["preferred"], status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("a", "bad", reason)


# --- the record

def version_3(content):
    return record.seal(content[:8] + b"\x03\0" + content[10:])


BAD_VARIABLE = {"short": (lambda content: content[:200], "too short"),
                "long": (lambda content: content + bytes(8), "too long"),
                "bad CRC": (lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:], "wrong checksum"),
                "newer version": (version_3, "unknown version")}


def mirror_is_used(machine, started, error):
    before = record.read_mirror(machine).sequence
    status = started(machine.cold_boot(), "b", 1, f"The variable SlotState was not used ({error}); the mirror on the "
                     "ESP was. Slot b was started: it was the preferred slot, on trial (2 of 3 tries left).")
    # Mended by the try that the loader stored.
    assert (status["state"]["variable"], status["state"]["sequence"]) == ("ok", before + 1)


@pytest.mark.parametrize("spoil,error", BAD_VARIABLE.values(), ids=BAD_VARIABLE)
def test_variable_is_bad(machine, started, spoil, error):
    store = VarStore(machine.vars)
    store.set("SlotState", spoil(store.get("SlotState").data))
    mirror_is_used(machine, started, error)


def test_variable_is_missing(machine, started):
    assert VarStore(machine.vars).delete("SlotState")
    mirror_is_used(machine, started, "missing")


def test_variable_has_wrong_attributes(machine, started):
    store = VarStore(machine.vars)
    store.set("SlotState", store.get("SlotState").data, attributes=NV | BS)
    mirror_is_used(machine, started, "wrong attributes")


def test_mirror_is_bad_and_the_variable_good(machine, started):
    machine.disk.esp.write(record.MIRROR, NOISE(1024))
    status = started(machine.cold_boot(), "b", 1, "Slot b was started: it was the preferred slot, on trial (2 of 3")
    assert (status["state"]["source"], status["state"]["mirror"]) == ("variable", "wrong format")


def test_variable_is_bad_and_the_mirror_missing(machine, started):
    store = VarStore(machine.vars)
    store.set("SlotState", BAD_VARIABLE["bad CRC"][0](store.get("SlotState").data))
    machine.disk.esp.remove(record.MIRROR)
    started(machine.cold_boot(), "a", 1, "The slot record was lost (variable: wrong checksum; mirror: missing), so the "
            "loader tried a, then b. Slot a was started.")
    machine.check("slotctl mark-good")
    status = machine.status()
    assert (status["state"]["source"], status["state"]["mirror"], status["preferred"]) == ("variable", "ok", "a")
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["good", "bad"]


def test_variable_is_missing_and_the_mirror_bad(machine, started):
    assert VarStore(machine.vars).delete("SlotState")
    machine.disk.esp.write(record.MIRROR, NOISE(1024))
    started(machine.cold_boot(), "a", 1, "(variable: missing; mirror: wrong format)", "Slot a was started.")


# --- the variable store

def extent(content):
    """Where the store's variables begin and end."""
    begin = struct.unpack_from("<H", content, 48)[0]
    return begin + 28, begin + struct.unpack_from("<I", content, begin + 16)[0]


def refill(store, variables):
    """These and no others, nor any that are deleted; the bytes they take."""
    content = bytearray(store.path.read_bytes())
    begin, end = extent(content)
    content[begin:end] = b"\xff" * (end - begin)
    store.path.write_bytes(content)
    for variable in variables:
        store.set(variable.name, variable.data, variable.guid, variable.attributes)
    # Headers of 60 bytes, names in UTF-16, each variable aligned to 4.
    return sum((60 + 2 * len(variable.name) + 2 + len(variable.data) + 3) & ~3 for variable in variables)


def make_full(machine, left=200):
    """Junk in all but so many bytes, on the OVMF whose store has 56 KiB: EDK II rewrites a full store at every
    boot, which takes 10 s under TCG here and 100 s with a store of 256 KiB."""
    store = VarStore(machine.vars)
    kept = store.all().values()
    copy("/usr/share/OVMF/OVMF_VARS.fd", machine.vars)
    begin, end = extent(store.path.read_bytes())
    free, number = end - begin - refill(store, kept) - left, 0
    while free >= 100:
        number, size = number + 1, min(free & ~3, 4096)
        store.set(f"Junk{number:04}", bytes(size - 60 - 18), FOREIGN)
        free -= size


def keep_nothing(machine):
    """By its header the store ends behind its last variable: what EDK II appends it never finds again, and what
    that replaces is deleted."""
    store = VarStore(machine.vars)
    used = refill(store, store.all().values())
    content = bytearray(store.path.read_bytes())
    struct.pack_into("<I", content, extent(content)[0] - 12, 28 + used)
    store.path.write_bytes(content)


@pytest.mark.skipif("SLOTBOOT_LONG" not in os.environ, reason="50 s; set SLOTBOOT_LONG=1")
def test_variable_store_is_full(machine, started, monkeypatch):
    """The try is spent in the mirror: EDK II would replace a record in a full store, but takes no new one."""
    arguments = machine._arguments
    monkeypatch.setattr(machine, "_arguments",
                        lambda numbers: [word.replace("OVMF_CODE_4M", "OVMF_CODE") for word in arguments(numbers)])
    state = record.read(machine)
    state.b.try_again(1)
    record.write(machine, state)
    VarStore(machine.vars).delete("SlotState")
    make_full(machine)
    assert machine.cold_boot().slot == "b"
    status = machine.status()
    assert (status["state"]["source"], status["slots"]["b"]["tries_left"]) == ("mirror", 0)
    exit_status, complaint = machine.run("slotctl mark-good")
    assert exit_status == 74 and "the variable store is full" in complaint, complaint
    machine.reset()
    status = started(machine.wait_boot(), "a", 2, "The variable SlotState was not used (missing)", "Slot b was passed "
                     "over: all its tries were spent without mark-good. Slot a was started.")
    assert (status["state"]["source"], status["slots"]["b"]["reason"]) == ("mirror", "tries")


def test_variable_store_accepts_what_it_does_not_keep(machine, started):
    """The try is spent in the mirror."""
    state = record.read(machine)
    state.b.try_again(1)
    record.write(machine, state)
    keep_nothing(machine)
    assert machine.cold_boot().slot == "b"
    status = machine.status()
    assert (status["state"]["source"], status["slots"]["b"]["tries_left"]) == ("mirror", 0)
    exit_status, complaint = machine.run("slotctl mark-good")
    assert exit_status == 74 and "the firmware accepted it, but did not keep it" in complaint, complaint
    machine.reset()
    status = started(machine.wait_boot(), "a", 2, "Slot b was passed over: all its tries were spent without mark-good. "
                     "Slot a was started.")
    assert (status["state"]["source"], status["slots"]["b"]["reason"]) == ("mirror", "tries")


def test_variable_store_forgets_at_every_power_cycle(machine, started):
    """A variable is stored and reads back, and is gone with the power: a flat battery, a failed flash."""
    state = record.read(machine)
    state.b.try_again(1)
    record.write(machine, state)
    copy(OVMF / "OVMF_VARS_4M.fd", machine.vars)
    assert machine.cold_boot().slot == "b"
    machine.power_cut()
    copy(OVMF / "OVMF_VARS_4M.fd", machine.vars)
    started(machine.cold_boot(), "a", 1, "Slot b was passed over: all its tries were spent without mark-good")


def test_variable_store_is_reset_to_factory_defaults(machine, started):
    copy(OVMF / "OVMF_VARS_4M.fd", machine.vars)
    mirror_is_used(machine, started, "missing")
    machine.check("slotctl mark-good")
    machine.shutdown()
    assert order(machine)[:3] == ["loader", "b", "a"]


# --- BootOrder and the loader's files

def order(machine):
    """What BootOrder's entries start: loader, a or b by their paths; others by their number."""
    variables = VarStore(machine.vars).all()
    names = {path.replace("/", "\\").encode("utf-16-le"): name for name, path in (("loader", LOADER), *UKI.items())}
    found = []
    for number in struct.iter_unpack("<H", variables["BootOrder", GLOBAL].data):
        data = variables[f"Boot{number[0]:04X}", GLOBAL].data
        found += [name for path, name in names.items() if b"\\\0" + path in data] or [number[0]]
    return found


def test_boot_order_is_deleted(machine, started):
    assert order(machine)[:3] == ["loader", "a", "b"]
    assert VarStore(machine.vars).delete("BootOrder", GLOBAL)
    started(machine.cold_boot(), "b", 1, "Slot b was started: it was the preferred slot, on trial (2 of 3")
    machine.check("slotctl mark-good")
    machine.shutdown()
    assert order(machine)[:3] == ["loader", "b", "a"]


def loader_was_not_there(machine, started):
    status = started(machine.cold_boot(), "a", 1, "Slot a was booted by the firmware without the loader")
    # Not the loader: not a try less.
    assert (status["preferred"], status["slots"]["b"]["tries_left"]) == ("b", 3)


def test_loader_and_its_copy_are_deleted(machine, started):
    machine.disk.esp.remove(LOADER)
    machine.disk.esp.remove(FALLBACK)
    loader_was_not_there(machine, started)


def test_loader_and_its_copy_are_corrupted(machine, started):
    for name in (LOADER, FALLBACK):
        machine.disk.esp.write(name, NOISE(20000))
    loader_was_not_there(machine, started)


# --- both slots

def test_both_slots_are_bad(machine, started):
    state = record.read(machine)
    state.a.fail(record.TRIES)
    state.b.fail(record.TRIES)
    record.write(machine, state)
    status = started(machine.cold_boot(), "b", 1, "Slot b was started as the last resort.")
    assert "no slot is fit to boot; starting slot b as the last resort" in machine.console()
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["bad", "bad"]


def add_rescue(machine):
    """A foreign entry behind ours: X once more, under another name."""
    store, here = VarStore(machine.vars), "slotboot".encode("utf-16-le")
    numbers = [number for number, in struct.iter_unpack("<H", store.get("BootOrder", GLOBAL).data)]
    loader = store.get(f"Boot{numbers[0]:04X}", GLOBAL)
    store.set("Boot0099", loader.data.replace(here, "rescue__".encode("utf-16-le")), GLOBAL)
    store.set("BootOrder", struct.pack(f"<{len(numbers) + 1}H", *numbers[:3], 0x99, *numbers[3:]), GLOBAL)
    machine.disk.esp.write(LOADER.replace("slotboot", "rescue__"), fill_slot(machine.disk.esp.read(UKI["a"]), "a"))


def test_both_ukis_are_deleted(machine, started):
    add_rescue(machine)
    for name in UKI.values():
        machine.disk.esp.remove(name)
    machine.start()
    machine.wait_for("slotboot: slot b: the firmware could not load its UKI")
    machine.wait_for("slotboot: slot a: the firmware could not load its UKI .*; returning to the firmware")
    machine.wait_for('BdsDxe: starting Boot0099 "rescue__"')
    status = started(machine.wait_boot(), "a", 1, "Slot b failed in this boot", "Slot a failed in this boot")
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["bad", "bad"]


# --- kernels that stop by themselves

STOPPING = {"without a root": ([b"rdinit=/nowhere"], "Unable to mount root fs", 2),
            "whose init exits": ([b"rdinit=/usr/bin/true"], "Attempted to kill init", 1)}


@pytest.mark.parametrize("words,complaint,tries", STOPPING.values(), ids=STOPPING)
def test_trial_kernel_panics(machine, started, words, complaint, tries):
    install(machine, with_words(machine.disk.esp.read(UKI["b"]), *words), tries)
    machine.start()
    for _ in range(tries):
        machine.wait_for(f"Kernel panic - not syncing: .*{complaint}")
    status = started(machine.wait_boot(), "a", tries + 1, "Slot b was passed over: all its tries were spent without "
                     "mark-good. Slot a was started.")
    assert (status["preferred"], status["slots"]["b"]["reason"]) == ("a", "tries")
