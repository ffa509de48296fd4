# SPDX-License-Identifier: MIT
"""Machines on which a verb is refused: with the cause in words, the right exit status, and every byte of slots, ESP and
variables as it was; and work that ends half-way."""
import json
import signal
import struct
import threading
import zlib
from http.server import HTTPServer

import pytest
from drymachine import CONFIG, DATAERR, GLOBAL, IOERR, OURS, TEMPFAIL, UNAVAILABLE, USAGE, mount, refuse, refuse_install
from stall import Stall


@pytest.mark.parametrize("second", ["a.img", "link.img"])
def test_one_target_for_both_slots(machine, create, second):
    (machine.top / "link.img").symlink_to(machine.top / "a.img")
    machine.configure()
    text = (machine.top / "slotboot.conf").read_text().replace(f"b = {machine.top}/b.img", f"b = {machine.top}/{second}")
    (machine.top / "slotboot.conf").write_text(text)
    refuse_install(machine, CONFIG, ["[image rootfs] b", "also another"], create())


def test_a_running_slot_that_is_unknown(machine, create):
    (machine.top / "sysroot/proc/cmdline").write_text("quiet\n")
    refuse_install(machine, CONFIG, ["running slot"], create())


def test_a_slot_mounted_to_be_looked_at_neither_runs_nor_is_written(machine, create):
    """Also where nothing but the mount says anything of a slot."""
    mount(machine, "20 1 0:21 / / rw - tmpfs tmpfs rw\n21 20 7:1 / /mnt ro - ext4 /dev/loop1 ro\n",
          ["a.img", "b.img"])
    assert machine.status()["running"] == "a"
    refuse_install(machine, CONFIG, ["slot b is mounted on /mnt", "unmount it first"], create())
    (machine.top / "sysroot/proc/cmdline").write_text("quiet\n")
    assert machine.status()["running"] is None
    refuse_install(machine, CONFIG, ["running slot"], create())


def test_a_root_that_is_no_slot_is_not_taken_for_one(machine, create):
    """Another disk's partition of the same label: the command line says a all the same."""
    mount(machine, "20 1 8:3 / / rw - ext4 /dev/sda3 rw\n", [])
    refuse_install(machine, CONFIG, ["root is on 8:3, which is no slot"], create())
    refuse(machine, CONFIG, ["root is on 8:3, which is no slot"], "mark-good")


def test_a_running_slot_that_is_not_confirmed(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    refuse_install(machine, CONFIG, ["not confirmed", "mark-good"], create("3"))


def test_no_record_at_all(machine, create):
    (machine.top / "vars" / f"SlotState-{OURS}").unlink()
    (machine.top / "esp/EFI/slotboot/state.bin").write_bytes(bytes(8192))
    refuse_install(machine, CONFIG, ["mark-good first"], create())


def test_missing_efivarfs(machine, create):
    (machine.top / "vars").rename(machine.top / "gone")
    refuse_install(machine, CONFIG, ["EFI variables"], create())


def test_missing_esp(machine, create):
    (machine.top / "esp").rename(machine.top / "gone")
    refuse_install(machine, CONFIG, ["esp"], create())


def test_a_keyring_that_is_missing_or_empty(machine, create):
    bundle = create()
    machine.keyring = machine.top / "no.pem"
    machine.configure()
    refuse_install(machine, CONFIG, ["no.pem"], bundle)
    machine.keyring.write_text("")
    refuse_install(machine, CONFIG, ["no.pem"], bundle)


def test_a_bad_configuration(machine, create, tmp_path):
    (tmp_path / "bad.conf").write_text("[slotboot]\ncompatible = acme\ntires = 3\n")
    refuse(machine, CONFIG, ["bad.conf:3", "tires"], "install", create(), "--activate=none",
           config=tmp_path / "bad.conf")


def test_an_install_while_another_runs(machine, create):
    import fcntl
    with (machine.top / "run/lock.install").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refuse_install(machine, TEMPFAIL, ["another slotctl"], create())


def test_activate_must_be_given(machine, create):
    refuse(machine, USAGE, ["--activate"], "install", create())
    refuse(machine, USAGE, ["--activate"], "install", create(), "--activate=maybe")
    refuse(machine, USAGE, ["--tries"], "install", create(), "--activate=none", "--tries=0")


@pytest.mark.parametrize("argv", [["install"], ["mark-active"], ["mark-active", "c"], ["mark-bad", "a", "b"],
                                  ["rollback"], ["kexec"], ["kexec", "fly"], ["status", "x"],
                                  ["status", "--tries=3"], ["mark-good", "a"], ["nonsense"]])
def test_a_wrong_command_line(machine, argv):
    refuse(machine, USAGE, [], *argv)


def test_marking_what_holds_nothing(machine):
    refuse(machine, CONFIG, ["slot b is empty"], "mark-active", "b")
    refuse(machine, CONFIG, ["nothing to roll back to"], "rollback", "--activate=none")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_fetching_leaves_every_byte(machine, sig):
    Stall.reached.clear()
    Stall.release.clear()
    server = HTTPServer(("127.0.0.1", 0), Stall)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = machine.bytes()
    process = machine.start("install", f"http://127.0.0.1:{server.server_port}/x.zip", "--activate=none")
    assert Stall.reached.wait(600)
    process.send_signal(sig)
    _, errors = process.communicate(timeout=600)
    Stall.release.set()
    server.shutdown()
    assert process.returncode == TEMPFAIL and "cancelled" in errors, errors
    assert machine.bytes() == before


def test_a_slot_that_cannot_be_written_keeps_the_boot_choice(machine, create):
    """The disk is full: the idle slot is left in writing, and all else as it was."""
    (machine.top / "b.img").unlink()
    (machine.top / "b.img").symlink_to("/dev/full")
    status, _, errors = machine.run("install", create(), "--activate=reboot")
    assert status != 0 and "slot target" in errors
    assert machine.status()["preferred"] == "a"


def test_boot_entries_that_cannot_be_written_keep_the_boot_choice(machine, create):
    """BootOrder has attributes that nobody may change: the install fails at its last step."""
    order = machine.top / "vars" / f"BootOrder-{GLOBAL}"
    order.write_bytes(struct.pack("<I", 3) + order.read_bytes()[4:])
    status, _, errors = machine.run("install", create(), "--activate=reboot")
    assert status == IOERR and "BootOrder" in errors, errors
    status = machine.status()
    assert status["preferred"] == "a" and status["slots"]["b"]["status"] == "writing"


def test_a_record_with_a_good_checksum_and_nonsense_in_it_is_lost(machine):
    record = bytearray(machine.variable("SlotState", OURS))
    record[24] = 7
    struct.pack_into("<I", record, 316, zlib.crc32(bytes(record[:316])))
    machine.set_variable("SlotState", OURS, bytes(record))
    status = machine.status()
    assert status["state"]["variable"] == "value out of range" and status["state"]["source"] == "mirror"


def test_kexec_explain_changes_nothing_and_says_no(machine, create):
    machine.check("install", create(), "--activate=none")
    before = machine.bytes()
    status, out, errors = machine.run("kexec", "explain", "b", "--json")
    told = {check["check"]: check for check in json.loads(out)["checks"]}
    assert (status, json.loads(out)["will_work"]) == (UNAVAILABLE, "no"), errors
    assert "manifest signed by CN=slotboot test signer" in told["image"]["evidence"]
    assert told["format"]["verdict"] == "fail" and "setup header" in told["format"]["evidence"]
    assert (told["capability"]["verdict"], told["load-disabled"]["verdict"]) == ("unknown", "unknown")
    assert "kexec into slot b will not work: .linux is not a kernel" in errors
    assert machine.bytes() == before
    assert "FAILS    format" in machine.run("kexec", "explain", "b")[1]


def test_kexec_refuses_a_uki_that_changed_since_it_was_installed(machine, create):
    machine.check("install", create(), "--activate=none")
    uki_file = machine.top / "esp/EFI/slotboot/b/uki.efi"
    uki_file.write_bytes(uki_file.read_bytes()[:-1] + b"?")
    before = machine.bytes()
    status, _, errors = machine.run("kexec", "load", "b")
    assert status == DATAERR and "not the UKI that was installed" in errors
    status, out, _ = machine.run("kexec", "explain", "b", "--json")
    assert status == UNAVAILABLE
    assert [check["verdict"] for check in json.loads(out)["checks"]] == ["pass", "fail"]
    assert machine.bytes() == before


def test_kexec_explain_of_an_empty_slot_and_json_where_it_has_no_place(machine):
    status, out, errors = machine.run("kexec", "explain", "b")
    assert status == UNAVAILABLE and "it is empty" in out + errors
    assert machine.run("kexec", "load", "b", "--json")[0] == USAGE
    assert machine.run("kexec", "explain", "c")[0] == USAGE
