# SPDX-License-Identifier: MIT
"""slotctl against files: a new loader is tried once by BootNext, promoted by mark-good, else dropped."""
import json
import shutil
import struct
import subprocess

import pytest
import test_schema
from drymachine import BUILD, CONFIG, DATAERR, GLOBAL, LOADER, OURS, SLOTCTL, refuse

HOME, TRIAL, FALLBACK = "EFI/slotboot/slotbootx64.efi", "EFI/slotboot/slotbootx64.new.efi", "EFI/BOOT/BOOTX64.EFI"


def loader_of(version):
    """The one that was built, as another version; none of them is run here."""
    return (BUILD / "efi/slotbootx64.efi").read_bytes().replace(b"slotboot,0.1,", f"slotboot,{version},".encode())


def version_of(data):
    at = data.find(b"\nslotboot,1,slotboot,slotboot,")
    return data[at:].split(b",")[4].decode() if at >= 0 else None


class Firmware:
    """Starts what BootNext and BootOrder name, as the specification has it, or not quite. A loader that is
    broken returns at once. ignores: BootNext is dropped unseen; keeps: it is neither seen nor dropped; sticks: it
    stays there although it was followed."""

    def __init__(self, machine, broken=(), next_is="followed", orders=True):  # noqa: F811
        self.machine, self.broken, self.next_is, self.orders, self.boots = machine, broken, next_is, orders, 0

    def file(self, name):
        return self.machine.top / "esp" / name

    def entries(self):
        found = {}
        for p in sorted((self.machine.top / "vars").glob(f"Boot0*-{GLOBAL}")):
            text = p.read_bytes().decode("utf-16le", "ignore")
            name = next((n for n in (TRIAL, HOME) if n.replace("/", "\\") in text), None)
            found[int(p.name[4:8], 16)] = name
        return found

    def numbers(self, name):
        path = self.machine.top / f"vars/{name}-{GLOBAL}"
        data = path.read_bytes()[4:] if path.exists() else b""
        return list(struct.unpack(f"<{len(data) // 2}H", data))

    def leads_to(self):
        """The files that would be started, in their order."""
        following = self.numbers("BootNext") if self.next_is in ("followed", "sticks") else []
        names = [self.entries().get(n) for n in following + (self.numbers("BootOrder") if self.orders else [])]
        return [n for n in names if n] + [FALLBACK]

    def boot(self):
        """What is started, or None."""
        self.boots += 1
        boot_id = self.machine.top / "sysroot/proc/sys/kernel/random/boot_id"
        boot_id.parent.mkdir(exist_ok=True)
        boot_id.write_text(f"00000000-0000-4000-8000-{self.boots:012}\n")
        candidates = self.leads_to()
        if self.next_is in ("followed", "ignores"):
            (self.machine.top / f"vars/BootNext-{GLOBAL}").unlink(missing_ok=True)
        for name in candidates:
            version = version_of(self.file(name).read_bytes()) if self.file(name).exists() else None
            if version is None or version in self.broken:
                continue
            self.machine.set_variable("LoaderInfo", LOADER, f"slotboot {version}\0".encode("utf-16le"))
            self.machine.set_variable("LoaderImageIdentifier", LOADER, ("\\" + name.replace("/", "\\") + "\0").encode("utf-16le"))
            self.machine.set_variable("LoaderEntrySelected", LOADER, "slotboot-a.efi\0".encode("utf-16le"))
            return name
        return None

    def versions(self):
        return [version_of(self.file(n).read_bytes()) if self.file(n).exists() else None for n in (HOME, TRIAL, FALLBACK)]

    def note(self):
        return json.loads(self.file("EFI/slotboot/loader.json").read_text())


def told(machine):
    """What status says: version of the file, whether it was kept, versions on trial and dropped."""
    status = machine.status()
    test_schema.check("status", status)
    loader = status["loader_file"]
    return (loader["file"]["version"], loader["kept"], (loader["trial"] or {}).get("version"),
            loader["dropped"] and (loader["dropped"]["version"], loader["dropped"]["why"]))


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "new.efi"
    path.write_bytes(loader_of("0.2"))
    return path


@pytest.fixture
def firmware(machine):
    """Loader 0.1 in both places, with its boot entry; it has started the system, which is confirmed."""
    firmware = Firmware(machine)
    firmware.file("EFI/BOOT").mkdir()
    for name in (HOME, FALLBACK):
        firmware.file(name).write_bytes(loader_of("0.1"))
    machine.check("mark-good")
    assert firmware.boot() == HOME
    machine.check("mark-good")
    assert firmware.note()["promoted"]["version"] == "0.1"
    return firmware


def test_a_new_loader_is_tried_by_bootnext_and_promoted(firmware, machine, new):  # noqa: F811
    before = firmware.numbers("BootOrder")
    out = machine.check("loader", "install", new)
    assert "version 0.2 will be tried" in out
    assert firmware.versions() == ["0.1", "0.2", "0.1"] and firmware.numbers("BootOrder") == before
    assert "will be tried" in machine.check("mark-good")
    assert told(machine) == ("0.1", True, "0.2", None)
    assert firmware.boot() == TRIAL and firmware.numbers("BootNext") == []
    assert "version 0.2 has started this machine" in machine.check("mark-good")
    assert firmware.versions() == ["0.2", None, "0.2"] and firmware.numbers("BootOrder") == before
    assert TRIAL not in firmware.entries().values()
    assert firmware.note()["promoted"]["version"] == "0.2" and "trial" not in firmware.note()
    assert told(machine) == ("0.2", True, None, None)
    settled = machine.bytes()
    machine.check("mark-good")
    assert firmware.boot() == HOME
    machine.check("mark-good")
    assert {k: v for k, v in machine.bytes().items() if LOADER not in k} == {k: v for k, v in settled.items() if LOADER not in k}


@pytest.mark.parametrize("next_is, broken, why", [
    ("followed", ["0.2"], "not-started"), ("ignores", [], "not-started"), ("keeps", [], "bootnext-ignored"),
], ids=["the new loader returns an error", "the firmware drops BootNext unseen", "the firmware leaves BootNext alone"])
def test_a_loader_that_did_not_come_up_is_dropped_and_named(firmware, machine, new, next_is, broken, why):  # noqa: F811
    firmware.next_is, firmware.broken = next_is, broken
    before = machine.bytes()
    machine.check("loader", "install", new)
    assert firmware.boot() == HOME
    assert "version 0.2 was tried and is dropped" in machine.check("mark-good")
    assert firmware.versions() == ["0.1", None, "0.1"] and firmware.numbers("BootNext") == []
    assert firmware.note()["failed"]["why"] == why and told(machine) == ("0.1", True, None, ("0.2", why))
    assert "warning: version 0.2 was tried and dropped" in machine.check("status")
    kept = [k for k in before if LOADER not in k and "json" not in k]
    assert {k: machine.bytes()[k] for k in kept} == {k: before[k] for k in kept}


def test_bootnext_that_is_left_standing_promotes_all_the_same(firmware, machine, new):  # noqa: F811
    firmware.next_is = "sticks"
    machine.check("loader", "install", new)
    assert firmware.boot() == TRIAL
    assert "is kept" in machine.check("mark-good")
    assert firmware.versions() == ["0.2", None, "0.2"] and firmware.numbers("BootNext") == []


def test_a_loader_under_which_a_slot_failed_is_dropped(firmware, machine, new):  # noqa: F811
    machine.check("loader", "install", new)
    assert firmware.boot() == TRIAL
    steps = struct.pack("<BBBBQ", 1, 1, 3, 0, 1) + struct.pack("<BBBBQ", 0, 0, 0, 0, 0)
    machine.set_variable("SlotTrace", OURS,
                         (b"SLOTTRCE" + bytes([1, 1, 0, 0, 0, 2, 0, 0]) + struct.pack("<Q", 1) + steps).ljust(128, b"\0"))
    assert "a slot failed to start under it" in machine.check("mark-good")
    assert firmware.versions() == ["0.1", None, "0.1"]
    assert firmware.boot() == HOME


def test_a_trial_file_that_was_changed_is_not_promoted(firmware, machine, new):  # noqa: F811
    machine.check("loader", "install", new)
    assert firmware.boot() == TRIAL
    firmware.file(TRIAL).write_bytes(loader_of("0.2") + b"\0")
    assert "is not the one that was installed" in machine.check("mark-good")
    assert firmware.versions() == ["0.1", None, "0.1"]


def test_another_systems_fallback_is_left_alone(firmware, machine, new, parts):  # noqa: F811
    foreign = (parts / "good.efi").read_bytes()
    firmware.file(FALLBACK).write_bytes(foreign)
    machine.check("loader", "install", new)
    assert firmware.boot() == TRIAL
    machine.check("mark-good")
    assert firmware.file(FALLBACK).read_bytes() == foreign and firmware.versions()[0] == "0.2"


def test_after_a_kexec_the_trial_waits(firmware, machine, new):  # noqa: F811
    machine.check("loader", "install", new)
    machine.boot_by("kexec", "a")
    firmware.boots += 1
    (machine.top / "sysroot/proc/sys/kernel/random/boot_id").write_text("00000000-0000-4000-8000-00000000kexe\n")
    assert "loader" not in machine.check("mark-good")
    assert firmware.versions() == ["0.1", "0.2", "0.1"]
    machine.boot_by("firmware", "a")
    assert firmware.boot() == TRIAL
    assert "is kept" in machine.check("mark-good")


def no_identifier(f):
    (f.machine.top / f"vars/LoaderImageIdentifier-{LOADER}").unlink()


def by_fallback(f):
    f.orders = False
    f.boot()


def other_next(f):
    f.machine.set_variable("BootNext", GLOBAL, struct.pack("<H", 0))


def unconfirmed(f):
    f.machine.check("mark-bad", "a")


def damaged(f):
    f.file(HOME).write_bytes(loader_of("0.1")[:5000])


@pytest.mark.parametrize("change, words", [
    (no_identifier, "not known by which file"), (by_fallback, "was started by \\EFI\\BOOT"),
    (other_next, "BootNext names another entry"), (unconfirmed, "not confirmed"), (damaged, "nothing to fall back to"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_where_a_trial_would_not_be_safe_it_is_refused(firmware, machine, new, change, words):  # noqa: F811
    change(firmware)
    refuse(machine, CONFIG, [words], "loader", "install", new)


@pytest.mark.parametrize("name, words", [("good.efi", "not slotboot"), ("text.efi", "no whole EFI program"),
                                         ("arm.efi", "another architecture")])
def test_what_is_no_loader_is_refused(firmware, machine, parts, name, words):  # noqa: F811
    refuse(machine, DATAERR, [words], "loader", "install", parts / name)


def test_the_loader_that_is_there_is_not_tried_again(firmware, machine, tmp_path):  # noqa: F811
    (tmp_path / "same.efi").write_bytes(loader_of("0.1"))
    before = machine.bytes()
    assert "is there already" in machine.check("loader", "install", tmp_path / "same.efi")
    assert machine.bytes() == before


@pytest.mark.parametrize("broken, started", [(HOME, FALLBACK), (FALLBACK, HOME)])
@pytest.mark.parametrize("how", [lambda data: data[:3000], lambda data: data[:-1] + b"\1", lambda data: None],
                         ids=["cut off", "one byte", "removed"])
def test_a_loader_file_that_is_damaged_is_repaired_from_the_other(firmware, machine, broken, started, how):  # noqa: F811
    good = firmware.file(broken).read_bytes()
    bad = how(good)
    firmware.file(broken).unlink()
    if bad is not None:
        firmware.file(broken).write_bytes(bad)
    firmware.boot()
    assert "is again" in machine.check("mark-good")
    assert firmware.file(HOME).read_bytes() == firmware.file(FALLBACK).read_bytes() == good
    assert not firmware.file(TRIAL).exists() and TRIAL not in firmware.entries().values()
    assert firmware.boot() == HOME


def doctors_word(machine, finding):  # noqa: F811
    return next(f["remedy"] for f in json.loads(machine.run("doctor", "--json")[1])["findings"] if f["id"] == finding)


@pytest.mark.parametrize("broken", [HOME, FALLBACK])
def test_what_doctor_says_of_a_damaged_file_mends_it(firmware, machine, broken):  # noqa: F811
    good = firmware.file(broken).read_bytes()
    firmware.file(broken).write_bytes(good[:3000])
    finding = "loader-damaged" if broken == HOME else "fallback-damaged"
    assert doctors_word(machine, finding).startswith("slotctl mark-good")
    assert "is again" in machine.check("mark-good")
    assert firmware.file(broken).read_bytes() == good


@pytest.mark.parametrize("how", [lambda data: data[:3000], lambda data: None], ids=["cut off", "removed"])
def test_where_no_loader_is_left_one_is_put_there_at_once(firmware, machine, new, how):  # noqa: F811
    good = firmware.file(HOME).read_bytes()
    for name in (HOME, FALLBACK):
        firmware.file(name).unlink()
        if how(good) is not None:
            firmware.file(name).write_bytes(how(good))
    assert doctors_word(machine, "loader-damaged" if how(good) else "loader-missing") == "slotctl loader install"
    assert "version 0.2 is in its place" in machine.check("loader", "install", new)
    assert firmware.versions()[0] == "0.2" and firmware.boot() == HOME
    machine.check("mark-good")
    assert firmware.versions() == ["0.2", None, "0.2"] and firmware.note()["promoted"]["version"] == "0.2"


def test_where_no_loader_is_left_another_systems_copy_stays(firmware, machine, new, parts):  # noqa: F811
    foreign = (parts / "good.efi").read_bytes()
    firmware.file(FALLBACK).write_bytes(foreign)
    firmware.file(HOME).unlink()
    machine.check("loader", "install", new)
    assert firmware.versions()[0] == "0.2" and firmware.file(FALLBACK).read_bytes() == foreign


def test_a_loader_that_was_put_there_by_hand_counts_once_it_has_booted(firmware, machine, new):  # noqa: F811
    shutil.copy(new, firmware.file(HOME))
    machine.check("mark-good")  # still the old one's boot: nothing is known of this file
    assert firmware.versions() == ["0.2", None, "0.1"] and firmware.note()["promoted"]["version"] == "0.1"
    firmware.boot()
    machine.check("mark-good")
    assert firmware.versions() == ["0.2", None, "0.2"] and firmware.note()["promoted"]["version"] == "0.2"


def test_firmware_that_locks_bootorder_keeps_its_old_loader(firmware, machine, new):  # noqa: F811
    machine.check("loader", "install", new)
    assert firmware.boot() == TRIAL
    order = machine.top / f"vars/BootOrder-{GLOBAL}"
    order.write_bytes(struct.pack("<I", 0x27) + order.read_bytes()[4:])     # authenticated: nobody writes it
    assert "BootOrder cannot be changed" in machine.check("mark-good")
    assert firmware.versions() == ["0.1", None, "0.1"]


@pytest.fixture
def bundle(tmp_path, identities, parts):
    def make(loader, version="2"):
        subprocess.run([SLOTCTL, "bundle", "create", f"--output={tmp_path / 'with.zip'}", "--compatible=acme",
                        f"--version={version}", f"--uki={parts / 'good.efi'}", f"--image=rootfs={parts / 'rootfs.img'}",
                        f"--loader={loader}", f"--key={identities['signer'].key}", f"--cert={identities['signer'].cert}"],
                       check=True, capture_output=True)
        return tmp_path / "with.zip"
    return make


def test_a_bundle_that_brings_a_loader_puts_it_on_trial_with_the_slot(firmware, machine, new, bundle):  # noqa: F811
    zip_file = bundle(new)
    assert "loader.efi" in machine.run("bundle", "info", zip_file)[1]
    out = machine.check("install", zip_file, "--activate=none")
    assert "tries version 0.2 of the loader" in out and firmware.versions() == ["0.1", "0.2", "0.1"]
    machine.check("mark-active", "b")
    assert firmware.boot() == TRIAL
    machine.boot_by("firmware", "b")
    machine.set_variable("LoaderEntrySelected", LOADER, "slotboot-b.efi\0".encode("utf-16le"))
    assert "is kept" in machine.check("mark-good")
    assert firmware.versions() == ["0.2", None, "0.2"] and machine.status()["slots"]["b"]["status"] == "good"
    # The same again: nothing to do.
    assert "of the loader" not in machine.check("install", bundle(new, "3"), "--activate=none")


def test_a_loader_that_was_dropped_spoils_no_later_update(firmware, machine, new, bundle):  # noqa: F811
    firmware.broken = ["0.2"]
    machine.check("install", bundle(new), "--activate=none")
    assert firmware.boot() == HOME
    machine.check("mark-good")
    status, said, _ = machine.run("install", bundle(new, "3"), "--activate=none")
    assert status == 0 and "the loader is not updated: version 0.2 was tried on this machine" in said
    assert firmware.versions() == ["0.1", None, "0.1"]
    assert "will be tried" in machine.check("loader", "install", new)


def test_a_loader_whose_slot_was_left_is_not_said_not_to_have_started(firmware, machine, new, bundle):  # noqa: F811
    machine.check("install", bundle(new), "--activate=none")
    machine.check("mark-active", "b")
    assert firmware.boot() == TRIAL
    machine.boot_by("firmware", "b")
    machine.set_variable("LoaderEntrySelected", LOADER, "slotboot-b.efi\0".encode("utf-16le"))
    machine.check("mark-bad", "b")      # as confirm does, before it reboots
    assert firmware.boot() == HOME
    machine.boot_by("firmware", "a")
    assert "; or the system that it started was left before mark-good" in machine.check("mark-good")
    assert told(machine) == ("0.1", True, None, ("0.2", "not-started"))


def test_where_the_loader_cannot_be_tried_the_update_goes_on(firmware, machine, new, bundle):  # noqa: F811
    by_fallback(firmware)
    status, said, _ = machine.run("install", bundle(new), "--activate=none")
    assert status == 0 and "the loader is not updated: this machine was started by" in said
    assert machine.status()["slots"]["b"]["status"] == "trial"


def test_a_bundle_with_what_is_no_loader_is_refused(firmware, machine, parts, bundle):  # noqa: F811
    refuse(machine, DATAERR, ["loader.efi is no loader", "not slotboot"], "install", bundle(parts / "good.efi"),
           "--activate=none")
