# SPDX-License-Identifier: MIT
"""The test OS and the harness themselves: a case that passes means something only if these can fail."""
import filecmp
import os
import shutil
import signal

import pytest

import images
from machine import MachineError
from paths import OVMF, WORK
from varstore import VarStore


def test_same_inputs_give_the_same_images(variants):
    directory = WORK / "images-again"
    shutil.rmtree(directory, ignore_errors=True)
    again = images.build("x", directory)
    assert filecmp.cmp(again.rootfs, variants["x"].rootfs, shallow=False)
    assert filecmp.cmp(again.uki, variants["x"].uki, shallow=False)


def test_variable_store_gives_back_what_was_set_replaced_and_deleted(tmp_path):
    shutil.copy(OVMF / "OVMF_VARS_4M.fd", tmp_path / "vars.fd")
    store = VarStore(tmp_path / "vars.fd")
    store.set("One", b"first")
    store.set("Other", b"kept")
    store.set("One", b"second")
    assert store.get("One").data == b"second"
    assert store.delete("One")
    assert not store.delete("One")
    assert [(v.name, v.data, v.attributes) for v in store.all().values()] == [("Other", b"kept", 7)]


def test_altered_root_never_starts(new_machine):
    machine = new_machine()
    content = machine.disk.read("slotboot-a")
    # The superblock of the erofs; the hash tree and the root hash stay as they were.
    machine.disk.write("slotboot-a", bytes([content[1024 + 40] ^ 1]), offset=1024 + 40)
    machine.start()
    machine.wait_for("TESTOS-INITRD failed: cannot mount")
    assert machine.boots() == []


def test_snapshot_sees_one_changed_byte(new_machine):
    machine = new_machine()
    before = machine.snapshot()
    assert machine.snapshot() == before
    machine.disk.write("slotboot-b", b"\x01", offset=40 << 20)
    assert machine.snapshot() != before


def test_wait_that_fails_shows_the_console(new_machine):
    machine = new_machine().start()
    machine.wait_for("BdsDxe: loading")
    with pytest.raises(MachineError, match="BdsDxe: loading"):
        machine.wait_for("never to be seen", 0.2)
    machine.power_cut()


def test_firmware_that_sleeps_is_started_again_unless_it_has_started_something(new_machine):
    machine = new_machine().start()
    machine.asleep = 20
    asleep = machine.process
    os.kill(asleep.pid, signal.SIGSTOP)
    assert machine.wait_boot().variant == "x" and machine.process is not asleep
    started = machine.process
    os.kill(started.pid, signal.SIGSTOP)
    with pytest.raises(MachineError, match="never showed"):
        machine.wait_for("never to be seen", 40)
    assert machine.process is started
    machine.power_cut()
