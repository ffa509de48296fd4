# SPDX-License-Identifier: MIT
"""slotctl against files: variables as odd firmware, or somebody, leaves them, and a store that takes nothing more. What
others' entries look like is in test_bootzoo.py, what comes back after a reset in test_quirks.py."""
import os
import struct
import subprocess

import pytest
from drymachine import GLOBAL, IOERR, OURS, SLOTCTL, changes, start_by_loader
from test_doctor import doctor, entry_path, healthy, ours, relabel  # noqa: F401

HIDDEN, FORCE_RECONNECT = 8, 2


def eio(machine, name, guid=GLOBAL):
    """Reading and writing it gives EIO, as address 0 of a process does."""
    path = machine.top / f"vars/{name}-{guid}"
    path.unlink(missing_ok=True)
    path.symlink_to("/proc/self/mem")


def set_bits(machine):
    name, option = ours(machine)
    machine.set_variable(name, GLOBAL, struct.pack("<I", 1 | HIDDEN | FORCE_RECONNECT) + option[4:])


def append(machine):
    name, option = ours(machine)
    machine.set_variable(name, GLOBAL, option + b"\0\0BO")


def in_order(*numbers):
    """Numbers, and "ours" for that of the loader's entry, put in front of BootOrder."""
    def change(machine):
        number = int(ours(machine)[0][4:], 16)
        named = [number if n == "ours" else n for n in numbers]
        machine.set_variable("BootOrder", GLOBAL,
                             struct.pack(f"<{len(named)}H", *named) + machine.variable("BootOrder", GLOBAL))
    return change


def behind_order(*numbers):
    return lambda m: m.set_variable("BootOrder", GLOBAL,
                                    m.variable("BootOrder", GLOBAL) + struct.pack(f"<{len(numbers)}H", *numbers))


def current(number):
    return lambda machine: machine.set_variable("BootCurrent", GLOBAL, struct.pack("<H", number))


# What mark-good writes, and what doctor finds before it and after it.
ODD = {
    "EIO from another's entry": (lambda m: eio(m, "Boot0044"), set(), {"entry-unreadable"}, {"entry-unreadable"}),
    "EIO from the loader's entry": (lambda m: eio(m, ours(m)[0]), {"Boot0003", "BootOrder"},
                                    {"entry-unreadable", "entry-missing", "order"}, {"entry-unreadable"}),
    "our entry twice in BootOrder": (in_order("ours"), {"BootOrder"}, {"order"}, set()),
    "another's entry twice in BootOrder": (behind_order(0, 0), set(), set(), set()),
    "attribute bits set in our entry": (set_bits, set(), set(), set()),
    "bytes appended to the loader's entry": (append, set(), set(), set()),
    "no BootCurrent": (lambda m: None, set(), set(), set()),
    "a BootCurrent that names no entry": (current(0x7777), set(), set(), set()),
}


@pytest.mark.parametrize("name", ODD)
def test_what_stands_in_the_variables_is_mended_or_left(healthy, quirk, name):  # noqa: F811
    spoil, writes, before, after = ODD[name]
    spoil(healthy)
    _, found = doctor(healthy)
    assert set(found) == before
    other = healthy.variable("Boot0000", GLOBAL)
    did, status, said = changes(healthy, "mark-good")
    assert status == 0, said
    assert did == f"mark-good wrote {', '.join(sorted(writes)) or 'nothing'}"
    assert set(doctor(healthy)[1]) == after and healthy.variable("Boot0000", GLOBAL) == other
    assert changes(healthy, "mark-good")[0] == "mark-good wrote nothing"
    quirk(name, did, "; ".join(f["what"] for f in found.values()) or "nothing wrong")


@pytest.mark.parametrize("loader_ran", [True, False])
def test_a_bootorder_that_cannot_be_read_is_left_alone(healthy, quirk, loader_ran):  # noqa: F811
    if loader_ran:
        start_by_loader(healthy, 0, 0)
    eio(healthy, "BootOrder")
    relabel(healthy)
    _, found = doctor(healthy)
    assert "BootOrder" in found["entries"]["cause"] and "device error" in found["entries"]["cause"]
    did, status, said = changes(healthy, "mark-good")
    assert status == (0 if loader_ran else IOERR) and did.startswith("mark-good wrote nothing")
    assert "the firmware reports a device error" in said
    quirk(f"EIO from BootOrder, the loader {'ran' if loader_ran else 'is not known to have run'}", did,
          found["entries"]["cause"])


def test_a_record_that_the_firmware_cannot_read_is_not_guessed_from_its_mirror(healthy, create, quirk):  # noqa: F811
    """The mirror may be older. The loader goes by it: something must be started."""
    eio(healthy, "SlotState", OURS)
    _, found = doctor(healthy)
    assert set(found) == {"slots"} and "device error" in found["slots"]["cause"]
    assert "the machine boots by the record's mirror" in found["slots"]["remedy"]
    for argv in (["status"], ["install", str(create()), "--activate=none"], ["mark-good"]):
        did, status, said = changes(healthy, *argv)
        assert status == IOERR and "wrote nothing" in did and "SlotState" in said
    quirk("EIO from SlotState", did, found["slots"]["cause"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for the flag")
def test_an_immutable_entry_is_written_where_it_must_be(healthy, quirk):  # noqa: F811
    relabel(healthy)
    path = entry_path(healthy, ours(healthy, "UEFI  OS")[0])
    if subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
        pytest.skip("no immutable flag can be set here")
    try:
        found = doctor(healthy)[1]
        assert set(found) == {"entry-differs", "immutable"}
        did, status, said = changes(healthy, "mark-good")
        assert status == 0 and did == "mark-good wrote Boot0001", said
        assert set(doctor(healthy)[1]) == {"immutable"}
    finally:
        subprocess.run(["chattr", "-i", path], check=True)
    quirk("an immutable entry of ours that differs", did, found["immutable"]["what"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
@pytest.mark.parametrize("loader_ran", [True, False])
def test_a_store_without_room_for_an_entry_is_named_with_what_may_go(healthy, create, quirk, loader_ran):  # noqa: F811
    """A file system with a block for each variable that is there, so that what is there can be rewritten."""
    variables, store = healthy.top / "vars", healthy.top / "store"
    store.mkdir()
    if loader_ran:
        start_by_loader(healthy, 0, 0)
    for number in range(12):
        (variables / f"dump-type0-{number}-1-1700000000-C-cfc8fc79-be2e-4ddc-97f0-9f98bfe298a0").write_bytes(b"panic")
    entry_path(healthy, ours(healthy)[0]).unlink()
    blocks = len(list(variables.iterdir()))

    def run(*argv):
        script = f'mount -t tmpfs -o nr_blocks={blocks} tmpfs "$1" && cp "$0"/* "$1" && shift && exec "$@"'
        process = subprocess.run(["unshare", "-m", "sh", "-c", script, variables, store, SLOTCTL, *argv,
                                  f"--config={healthy.top / 'slotboot.conf'}"], capture_output=True, text=True,
                                 env={**os.environ, "EFIVARFS_PATH": f"{store}/", "LC_ALL": "C"})
        said = process.stdout + process.stderr
        assert "the variable store is full; remove crash dumps (12 variables dump-*), through /sys/fs/pstore" in said
        assert process.returncode == (0 if loader_ran else IOERR), said
        return said
    run("install", create(), "--activate=none")
    said = run("mark-good")
    quirk(f"a store without room for an entry, the loader {'ran' if loader_ran else 'is not known to have run'}",
          f"mark-good stored the record, not the entry{', with a warning' if loader_ran else ', and failed (74)'}",
          said[said.index("the variable store is full"):].splitlines()[0])
