# SPDX-License-Identifier: MIT
"""slotctl against files, without the loader: the firmware tries a slot by BootNext, and goes by BootOrder."""
import json
import shutil
import struct

import pytest
import test_schema
from drymachine import BUILD, CONFIG, GLOBAL, IOERR, LOADER, refuse, refuse_install
from test_confirm import QUICK, STRICT, put_check, put_systemctl

DIRECT = "activation = direct\n"
AT_SLOT_B = 144


class Firmware:
    """Starts the slots' entries that BootNext and BootOrder name. next_is: "followed", as UEFI has it; "dropped" unseen;
    "kept": neither seen nor dropped; "stuck": followed, and it stays. A slot in refused does not load, one in panics is
    started and resets the machine."""

    def __init__(self, machine):
        self.machine, self.next_is, self.refused, self.panics, self.boots = machine, "followed", (), (), 0

    def numbers(self, name):
        path = self.machine.top / f"vars/{name}-{GLOBAL}"
        data = path.read_bytes()[4:] if path.exists() else b""
        return list(struct.unpack(f"<{len(data) // 2}H", data))

    def entries(self):
        """Number: slot or what else it leads to, and whether it is active."""
        found = {}
        for p in sorted((self.machine.top / "vars").glob(f"Boot0*-{GLOBAL}")):
            data = p.read_bytes()[4:]
            text = data.decode("utf-16le", "ignore") + data[1:].decode("utf-16le", "ignore")
            names = {"a": "\\a\\uki.efi", "b": "\\b\\uki.efi", "loader": "\\slotboot\\slotbootx64.efi"}
            leads = next((slot for slot, path in names.items() if path in text), None)
            found[int(p.name[4:8], 16)] = (leads, bool(data[0] & 1))
        return found

    def order(self):
        return [self.entries()[n] for n in self.numbers("BootOrder") if n in self.entries()]

    def next(self):
        return [self.entries()[n][0] for n in self.numbers("BootNext")]

    def boot(self):
        """The slot that stays up, or None."""
        self.boots += 1
        candidates = [n for n in self.numbers("BootOrder") if self.entries().get(n, (None, False))[1]]
        if self.next_is in ("followed", "stuck"):
            candidates = self.numbers("BootNext") + candidates
        if self.next_is in ("followed", "dropped"):
            (self.machine.top / f"vars/BootNext-{GLOBAL}").unlink(missing_ok=True)
        for slot in (self.entries()[n][0] for n in candidates):
            if slot is None or slot in self.refused:
                continue
            if slot in self.panics:
                return self.boot()
            self.start(slot)
            return slot
        return None

    def start(self, slot):
        boot_id = self.machine.top / "sysroot/proc/sys/kernel/random/boot_id"
        boot_id.parent.mkdir(exist_ok=True)
        boot_id.write_text(f"00000000-0000-4000-8000-{self.boots:012}\n")
        self.machine.boot_by("firmware", slot)
        self.machine.set_variable("LoaderImageIdentifier", LOADER,
                                  f"\\EFI\\slotboot\\{slot}\\uki.efi\0".encode("utf-16le"))


@pytest.fixture
def firmware(machine):
    """Slot a runs and is good; there is no loader at all."""
    machine.configure(DIRECT)
    (machine.top / "esp/EFI/slotboot/slotbootx64.efi").unlink()
    firmware = Firmware(machine)
    firmware.start("a")
    machine.check("mark-good")
    assert firmware.order() == [("a", True), (None, True)]
    return firmware


def told(machine):
    """The status, which is as its schema says."""
    status = machine.status()
    test_schema.check("status", status)
    assert (status["activation"], status["loader"]) == ("direct", None)
    return status


def doctor(machine):
    """Level and id of what it finds, which is as its schema says."""
    said = json.loads(machine.run("doctor", "--json")[1])
    test_schema.check("doctor", said)
    return [(finding["level"], finding["id"]) for finding in said["findings"]]


def statuses(machine):
    return [told(machine)["slots"][slot]["status"] for slot in "ab"]


@pytest.fixture
def armed(firmware, machine, create):
    """Version 2 is in slot b, and BootNext names it."""
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    assert firmware.next() == ["b"] and firmware.order() == [("a", True), ("b", True), (None, True)]
    return firmware


def test_x_to_y_to_z_by_bootnext_and_bootorder(armed, machine, create):
    assert "Slot b is tried at the next boot." in told(machine)["why"]
    assert armed.boot() == "b" and armed.next() == []
    status = told(machine)
    assert (status["running"], status["slots"]["b"]["status"], status["slots"]["b"]["tries_left"]) == ("b", "trial", 0)
    assert status["why"].endswith("It is on trial, and this is its one try.")
    assert armed.order() == [("a", True), ("b", True), (None, True)]
    machine.check("mark-good")
    assert armed.order() == [("b", True), ("a", True), (None, True)] and statuses(machine) == ["good", "good"]
    machine.check("install", create("3"), "--activate=none")
    assert armed.order() == [("b", True), ("a", True), (None, True)] and armed.next() == []
    machine.check("mark-active", "a")
    assert armed.next() == ["a"] and armed.boot() == "a"
    machine.check("mark-good")
    assert armed.order() == [("a", True), ("b", True), (None, True)]
    assert [told(machine)["slots"][slot]["version"] for slot in "ab"] == ["3", "2"]


def test_a_second_mark_good_writes_nothing(armed, machine):
    for _ in range(2):
        machine.check("mark-good")
        before = machine.bytes()
        machine.check("mark-good")
        assert machine.bytes() == before
        assert armed.boot() == "b"


@pytest.mark.parametrize("how", ["refused", "panics"])
def test_a_trial_that_does_not_come_up_is_bad_and_it_is_said_what_is_not_known(armed, machine, create, how):
    setattr(armed, how, "b")
    assert armed.boot() == "a"
    for _ in range(2):
        status = told(machine)
        assert (status["preferred"], status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("a", "bad", "tries")
        assert "either the firmware did not start it, or it was started and failed" in status["why"]
        assert "started" not in [a["event"] for a in status["attempts"] if a["slot"] == "b"]
        machine.check("mark-good")
    assert armed.next() == [] and armed.order()[0] == ("a", True)
    setattr(armed, how, ())
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    assert armed.boot() == "b"


def test_a_trial_that_ends_while_its_health_is_checked_was_started(armed, machine):
    assert armed.boot() == "b"
    machine.configure(DIRECT + STRICT)
    put_systemctl(machine)
    put_check(machine, "50-x", "kill -KILL $PPID")
    assert machine.run("confirm")[0] == -9
    assert armed.boot() == "a"
    status = told(machine)
    assert "its system was started, since slotctl ran in it" in status["why"]
    assert ["started", "failed"] == [a["event"] for a in status["attempts"] if a["slot"] == "b"][-2:]


def test_a_trial_that_is_not_well_is_left_for_the_other_slot(armed, machine):
    assert armed.boot() == "b"
    machine.configure(DIRECT + STRICT)
    put_systemctl(machine)
    put_check(machine, "50-x", "exit 1")
    machine.run("confirm")
    assert (told(machine)["slots"]["b"]["reason"], armed.next(), armed.boot()) == ("health", [], "a")
    assert told(machine)["slots"]["b"]["reason"] == "health"


def test_a_trial_that_is_well_is_confirmed(armed, machine):
    assert armed.boot() == "b"
    machine.configure(DIRECT + QUICK)
    put_systemctl(machine)
    machine.check("confirm")
    assert armed.order()[0] == ("b", True) and armed.boot() == "b"


def test_a_try_that_worked_ends_the_count_of_those_that_did_not(armed, machine):
    armed.next_is = "kept"
    assert armed.boot() == "a"
    machine.check("mark-good")
    counted = machine.top / "esp/EFI/slotboot/quirks.json"
    assert json.loads(counted.read_text())["next"]["undone"] == 1
    armed.next_is = "followed"
    assert armed.boot() == "b"
    machine.configure(DIRECT + QUICK)
    put_systemctl(machine)
    machine.check("confirm")
    assert json.loads(counted.read_text())["next"]["undone"] == 0


def test_firmware_that_does_not_look_at_bootnext_is_named_and_the_slot_waits(armed, machine, create):
    armed.next_is = "kept"
    for boots in (1, 2, 3, 4):
        assert armed.boot() == "a"
        status = told(machine)
        known = min(boots, 3)
        assert status["slots"]["b"]["status"] == "trial" and status["boot_next"] == "ignored"
        assert f"has not looked at BootNext (resets in a row: {known})" in status["why"]
        assert ("fault", "boot-next-ignored") in doctor(machine)
        machine.check("mark-good")
        assert [q for q in told(machine)["quirks"] if q["thing"] == "next"][0]["undone"] == known
    refuse(machine, CONFIG, ["has not looked at BootNext in 3 resets", "activation = loader"], "install", create("3"),
           "--activate=reboot")
    machine.check("doctor", "--repair")
    assert [q for q in told(machine)["quirks"] if q["thing"] == "next"] == []
    armed.next_is = "followed"
    assert armed.boot() == "b"
    machine.check("mark-good")
    assert [q for q in told(machine)["quirks"] if q["thing"] == "next"] == []


def test_firmware_that_drops_bootnext_unseen_cannot_be_told_from_a_trial_that_failed(armed, machine):
    armed.next_is = "dropped"
    assert armed.boot() == "a"
    assert "nothing that is kept tells which" in told(machine)["why"]


def test_a_bootnext_that_firmware_leaves_there_is_taken_back(armed, machine):
    armed.next_is = "stuck"
    assert armed.boot() == "b" and armed.next() == ["b"]
    assert told(machine)["slots"]["b"]["tries_left"] == 0
    machine.check("mark-good")
    assert armed.next() == []


def test_a_bootnext_that_somebody_takes_back_is_missed_and_put_back(armed, machine):
    assert armed.boot() == "b"
    machine.check("mark-good")
    machine.check("mark-bad", "a")
    machine.check("mark-active", "a")
    (machine.top / f"vars/BootNext-{GLOBAL}").unlink()
    assert told(machine)["boot_next"] == "missing"
    assert ("fault", "boot-next-missing") in doctor(machine)
    machine.check("doctor", "--repair")
    assert armed.next() == ["a"] and told(machine)["boot_next"] == "waiting" and armed.boot() == "a"


def test_another_order_in_bootnext_is_left_and_named(firmware, machine, create):
    machine.set_variable("BootNext", GLOBAL, struct.pack("<H", 0))
    refuse(machine, CONFIG, ["BootNext is set to another entry", "efibootmgr -N"], "install", create(), "--activate=reboot")
    machine.check("install", create(), "--activate=none")
    status, _, errors = machine.run("mark-active", "b")
    assert status == IOERR and "the slot record is stored, but" in errors
    assert firmware.numbers("BootNext") == [0] and told(machine)["boot_next"] == "missing"


def test_what_lies_in_the_fallback_path_is_noted_unless_it_is_slotboots_loader(firmware, machine):
    place = machine.top / "esp/EFI/BOOT/BOOTX64.EFI"
    place.parent.mkdir()
    assert doctor(machine) == [("note", "direct")]
    shutil.copy(machine.top / "esp/EFI/slotboot/a/uki.efi", place)
    assert doctor(machine) == [("note", "direct"), ("note", "fallback-foreign")]
    shutil.copy(BUILD / "efi/slotbootx64.efi", place)
    assert doctor(machine) == [("note", "direct")]


def test_rollback_mark_bad_and_mark_active_move_bootorder(armed, machine):
    assert armed.boot() == "b"
    machine.check("mark-good")
    machine.check("rollback", "--activate=none")
    assert armed.order()[:2] == [("a", True), ("b", True)] and armed.next() == [] and armed.boot() == "a"
    machine.check("mark-good")
    machine.check("mark-active", "b")
    assert armed.order()[:2] == [("b", True), ("a", True)] and armed.next() == []
    machine.check("mark-bad", "b")
    assert armed.order()[:2] == [("a", True), ("b", True)] and armed.boot() == "a"


def test_where_no_slot_is_good_a_trial_has_its_try_and_no_more(armed, machine):
    machine.check("mark-bad", "a")
    assert statuses(machine) == ["bad", "trial"] and armed.order()[:2] == [("a", True), ("b", True)]
    armed.panics = ("b",)
    assert armed.next() == ["b"] and armed.boot() == "a"


def test_an_order_that_is_withdrawn_leaves_no_bootnext(armed, machine):
    machine.check("mark-bad", "b")
    assert armed.next() == [] and armed.boot() == "a" and statuses(machine) == ["good", "bad"]


def test_a_slot_is_neither_in_bootnext_nor_active_while_it_is_written(armed, machine, create):
    program = machine.top / "program"
    program.write_text("#!/bin/sh\ntest $1 = before\n")
    program.chmod(0o755)
    machine.configure(DIRECT + f"install-program = {program}\n")
    assert machine.run("install", create("3"), "--activate=reboot")[0] != 0
    assert statuses(machine) == ["good", "writing"]
    assert armed.next() == [] and armed.order()[:2] == [("a", True), ("b", False)] and armed.boot() == "a"
    machine.configure(DIRECT)
    machine.check("install", create("3"), "--activate=none")
    machine.check("mark-active", "b")
    assert armed.boot() == "b"


def test_a_kexec_that_was_not_confirmed_has_failed_at_the_next_firmware_boot(firmware, machine, create):
    machine.check("install", create(), "--activate=none")
    machine.change_record((AT_SLOT_B, "B", 3), (AT_SLOT_B + 1, "B", 0))     # kexec-trial
    assert firmware.boot() == "a"
    status = told(machine)
    assert (status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("bad", "kexec")
    machine.check("mark-good")
    assert statuses(machine) == ["good", "bad"]


def test_what_a_kexec_has_confirmed_is_tried_by_bootnext(firmware, machine, create):
    machine.check("install", create(), "--activate=none")
    machine.boot_by("kexec", "b")
    machine.check("mark-good")
    assert firmware.order()[0] == ("a", True) and firmware.next() == ["b"]
    refuse_install(machine, CONFIG, ["slot b is confirmed after a kexec only, and without the loader"], create("3"))
    assert firmware.boot() == "b"
    machine.check("mark-good")
    assert statuses(machine) == ["good", "good"] and firmware.order()[0] == ("b", True)


def test_from_the_loader_to_direct_and_back(machine):
    firmware = Firmware(machine)
    assert [leads for leads, _ in firmware.order()] == ["loader", "a", None]
    machine.configure(DIRECT)
    assert "this machine does without the loader" in machine.run("doctor")[1]
    machine.check("mark-good")
    assert firmware.order() == [("a", True), (None, True)] and "loader" not in [e[0] for e in firmware.entries().values()]
    assert firmware.boot() == "a"
    assert told(machine)["activation"] == "direct"
    machine.configure()
    machine.check("mark-good")
    assert [leads for leads, _ in firmware.order()] == ["loader", "a", None]


def test_direct_is_refused_what_it_cannot_do(firmware, machine, create):
    refuse(machine, CONFIG, ["--tries=2", "one try"], "install", create(), "--activate=reboot", "--tries=2")
    machine.configure("activation = maybe\n")
    refuse(machine, CONFIG, ["activation = maybe", "loader or direct"], "status")
    machine.configure(DIRECT)
    conf = machine.top / "slotboot.conf"
    conf.write_text(conf.read_text().replace(f"esp = {machine.top}/esp\nesp-device = {machine.top}/disk.img:1\n",
                                             f"esp = {machine.top}/esp {machine.top}/esp2\n"))
    refuse(machine, CONFIG, ["activation = direct goes with one ESP"], "mark-good")


def test_without_the_loader_a_loader_is_not_installed(firmware, machine):
    from test_loader import loader_of
    (machine.top / "new.efi").write_bytes(loader_of("0.2"))
    refuse(machine, CONFIG, ["does without the loader"], "loader", "install", machine.top / "new.efi")
    machine.configure()
    assert "the next boot starts it" in machine.check("loader", "install", machine.top / "new.efi")
    assert firmware.order()[0][0] == "loader"


@pytest.mark.parametrize("name", ["BootOrder", "Boot0001"])
def test_entries_that_the_firmware_locks_are_an_error_and_the_good_slot_stays_first(armed, machine, name):
    """Their attributes are such that nobody may change them; the loader would do without."""
    path = machine.top / f"vars/{name}-{GLOBAL}"
    assert armed.boot() == "b"
    entry = path.read_bytes()
    path.write_bytes(struct.pack("<I", 3) + entry[4:])
    if name == "Boot0001":
        machine.check("mark-good")      # another is made in its place
        assert armed.order()[:2] == [("b", True), ("a", True)]
        return
    status, _, errors = machine.run("mark-good")
    assert status == IOERR and "the slot record is stored, but the boot entries could not" in errors
    assert armed.order()[0] == ("a", True) and statuses(machine) == ["good", "good"]
    path.write_bytes(entry)
    machine.check("mark-good")
    assert armed.order()[0] == ("b", True)


def test_without_efivarfs_nothing_is_done(firmware, machine):
    (machine.top / "vars").rename(machine.top / "none")
    status, _, errors = machine.run("mark-good")
    assert status != 0 and "EFI variables" in errors
    (machine.top / "none").rename(machine.top / "vars")


def test_firmware_that_puts_bootorder_back_is_an_error_after_three_times(armed, machine):
    order = armed.numbers("BootOrder")
    assert armed.boot() == "b"
    machine.check("mark-good")
    for _ in range(3):
        armed.boots += 1
        machine.set_variable("BootOrder", GLOBAL, struct.pack(f"<{len(order)}H", *order))
        armed.start("a")
        assert "Slot b is the preferred one" in told(machine)["why"]
        status, _, errors = machine.run("mark-good")
    assert status == IOERR and "has undone 3 writes of BootOrder, on which activation = direct depends" in errors
    said = doctor(machine)
    assert ("fault", "firmware-undoes") in said and ("note", "direct") in said
