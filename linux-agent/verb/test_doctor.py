# SPDX-License-Identifier: MIT
"""slotctl doctor against files: one thing is broken, and it is named, with its cause and its remedy; nothing else is."""
import json
import os
import re
import shutil
import struct
import subprocess

import pytest
from drymachine import AT_STATUS_A, BUILD, CONFIG, GLOBAL, OURS, TOP, WRITING, changes, load_option
from paths import SFDISK
from test_foreign import esp_guid, two_disks
from test_quirks import Firmware, entries, label, put_order_back
from test_schema import SCHEMAS, check

FOUND = 1
LOADER_FILE, FALLBACK = "esp/EFI/slotboot/slotbootx64.efi", "esp/EFI/BOOT/BOOTX64.EFI"
FILE_ELSEWHERE = struct.pack("<2BH", 4, 4, 8) + "x\0".encode("utf-16le") + b"\x7f\xff\4\0"
BASIC_DATA, ESP_TYPE = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


@pytest.fixture
def healthy(machine):
    """With a real loader, and its copy."""
    (machine.top / "esp/EFI/BOOT").mkdir()
    for name in (LOADER_FILE, FALLBACK):
        shutil.copy(BUILD / "efi/slotbootx64.efi", machine.top / name)
    return machine


def doctor(machine, *argv):
    """The status, and each finding by its id."""
    before = machine.bytes()
    status, out, errors = machine.run("doctor", "--json", *argv)
    told = json.loads(out)
    check("doctor", told)
    assert status == (FOUND if any(f["level"] == "fault" for f in told["findings"]) else 0) or "--repair" in argv, errors
    assert "--repair" in argv or machine.bytes() == before
    return status, {f["id"]: f for f in told["findings"]}


def test_of_a_machine_that_is_well_nothing_is_told(healthy, create):  # noqa: F811
    assert healthy.check("doctor") == "nothing wrong was found\n"
    healthy.check("install", create(), "--activate=none")
    assert doctor(healthy) == (0, {})


def ours(machine, which="slotboot"):
    """The name and the bytes of our entry of that label."""
    return next((name, option) for name, option in entries(machine).items() if label(option) == which)


def entry_path(machine, name):
    return machine.top / f"vars/{name}-{GLOBAL}"


def remove_loader_entry(machine):
    name, _ = ours(machine)
    entry_path(machine, name).unlink()
    order = machine.variable("BootOrder", GLOBAL)
    machine.set_variable("BootOrder", GLOBAL, order.replace(struct.pack("<H", int(name[4:], 16)), b"", 1))


def deactivate(machine):
    name, option = ours(machine)
    machine.set_variable(name, GLOBAL, struct.pack("<I", 0) + option[4:])


def relabel(machine):
    name, option = ours(machine)
    machine.set_variable(name, GLOBAL, option.replace("slotboot\0".encode("utf-16le"), "UEFI  OS\0".encode("utf-16le"), 1))


def duplicate(machine):
    machine.set_variable("Boot0033", GLOBAL, ours(machine)[1])


def remove_order(machine):
    (machine.top / f"vars/BootOrder-{GLOBAL}").unlink()


def halve_order(machine):
    machine.set_variable("BootOrder", GLOBAL, machine.variable("BootOrder", GLOBAL) + b"\x07")


def lose_variable(machine):
    (machine.top / f"vars/SlotState-{OURS}").unlink()


def damage_mirror(machine):
    (machine.top / "esp/EFI/slotboot/state.bin").write_bytes(bytes(8192))


def lag_mirror(machine):
    machine.change_record()


REPAIRABLE = [("entry-missing", remove_loader_entry, "the boot entry of the loader is missing"),
              ("entry-inactive", deactivate, "is inactive"), ("entry-differs", relabel, "not as it should be"),
              ("entry-duplicate", duplicate, "(Boot0033) is there more than once"),
              ("order", put_order_back, "does not begin with slotboot's entries"), ("order", halve_order, "half a number"),
              ("order-missing", remove_order, "there is no BootOrder"),
              ("record-behind", lose_variable, "was read from its mirror"),
              ("mirror-damaged", damage_mirror, "does not hold it in both copies"),
              ("mirror-behind", lag_mirror, "does not hold it in both copies (older)")]


@pytest.mark.parametrize("name, breaks, words", REPAIRABLE, ids=[row[2] for row in REPAIRABLE])
def test_what_the_reconciler_can_mend_is_named_and_repaired(healthy, quirk, name, breaks, words):
    breaks(healthy)
    status, found = doctor(healthy)
    assert name in found and set(found) <= {name, "order"} and words in found[name]["what"]
    assert found[name]["repairable"] and "slotctl doctor --repair" in found[name]["remedy"]
    did, _, out = changes(healthy, "doctor", "--repair")
    assert f"repaired   {found[name]['what']}\n" in out and out.endswith("nothing wrong was found\n")
    assert doctor(healthy) == (0, {})
    quirk(name, did, found[name]["what"])


def without(name):
    return lambda machine: (machine.top / name).unlink()


def text_as(name):
    return lambda machine: (machine.top / name).write_bytes(b"MZ is not enough")


def older_fallback(machine):
    path = machine.top / FALLBACK
    path.write_bytes(path.read_bytes() + b"older")


def basic_data(machine):
    subprocess.run([*SFDISK, "--part-type", machine.top / "disk.img", "1", BASIC_DATA], check=True)


def pmbr_boot(machine):
    with (machine.top / "disk.img").open("r+b") as f:
        f.seek(446)
        f.write(b"\x80")


def mount_of_esp(machine, kind, text):
    """sysfs of what the ESP's directory is mounted from, as far as it is looked at."""
    number = os.stat(machine.top / "esp").st_dev
    file = machine.top / f"sysroot/sys/dev/block/{os.major(number)}:{os.minor(number)}" / kind
    file.parent.mkdir(parents=True)
    file.write_text(text)


def mirror_is_a_directory(machine):
    (machine.top / "esp/EFI/slotboot/state.bin").unlink()
    (machine.top / "esp/EFI/slotboot/state.bin").mkdir()


def another_disk(machine):
    esp_guid(machine, "77777777-3a50-4b8e-9f47-52c0d1e8b39a")


def lose_record(machine):
    lose_variable(machine)
    damage_mirror(machine)


def provisional(machine):
    machine.change_record((24, "<B", 1))


def squat(machine):
    path = machine.top / f"vars/SlotState-{OURS}"
    path.write_bytes(struct.pack("<I", 0x27) + path.read_bytes()[4:])


def replace_uki(machine):
    path = machine.top / "esp/EFI/slotboot/a/uki.efi"
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def root_elsewhere(machine):
    two_disks(machine)
    (machine.top / "sysroot/proc/self/mountinfo").write_text("20 1 8:17 / / ro - ext4 /dev/sdb1 ro\n")
    conf = machine.top / "slotboot.conf"
    conf.write_text(conf.read_text().replace("[image rootfs]", "[image data]"))


BY_HAND = [
    ("loader-missing", without(LOADER_FILE), "reboot, * slotctl mark-good"),
    ("loader-damaged", text_as(LOADER_FILE), "reboot, * slotctl mark-good"),
    ("fallback-missing", without(FALLBACK), "slotctl mark-good, once"), ("fallback-damaged", text_as(FALLBACK), "slotctl mark-good"),
    ("fallback-differs", older_fallback, "slotctl mark-good, once"), ("pmbr-boot", pmbr_boot, "pmbr_boot off"),
    ("esp", basic_data, f"--part-type * 1 {ESP_TYPE.lower()}"),
    ("esp-part-of-one", lambda m: mount_of_esp(m, "md/level", "raid1\n"), "give each disk an ESP of its own"),
    ("esp-part-of-one", lambda m: mount_of_esp(m, "dm/uuid", "part1-mpath-36005\n"), "/dev/mapper/"),
    ("esp-other", root_elsewhere, "two disks with the same labels"),
    ("mirror-unwritable", mirror_is_a_directory, "remove it"),
    ("record-foreign", another_disk, "slotctl mark-good"), ("record-lost", lose_record, "slotctl mark-good"),
    ("record-squatted", squat, "firmware's setup"),
    ("slot-writing", lambda m: m.change_record((AT_STATUS_A, "<B", WRITING)), "slotctl install"),
    ("slot-without-uki", without("esp/EFI/slotboot/a/uki.efi"), "install the slot again"),
    ("slot-digest", replace_uki, "boot it and slotctl mark-good"),
    ("running-unknown", lambda m: (m.top / "sysroot/proc/cmdline").write_text("quiet\n"), "slotboot.slot={slot}")]
# What goes with it: entries that follow the record or the files.
WITH = {"loader-missing": {"entry-duplicate", "order"}, "slot-without-uki": {"entry-differs"}, "slot-writing": {"entry-active", "mirror-behind"},
        "record-foreign": {"entry-foreign"}}


@pytest.mark.parametrize("name, breaks, remedy", BY_HAND, ids=[f"{row[0]}, {row[2][:24]}" for row in BY_HAND])
def test_what_a_person_must_mend_is_named_with_its_remedy(healthy, quirk, name, breaks, remedy):
    breaks(healthy)
    status, found = doctor(healthy)
    assert status == FOUND and name in found and set(found) - {name} <= WITH.get(name, set()), found
    told = (found[name]["cause"] or "") + " | " + (found[name]["remedy"] or "")
    assert re.search(re.escape(remedy).replace(r"\*", ".*"), told), told
    assert found[name]["level"] == "fault" and not found[name]["repairable"]
    text = healthy.run("doctor")
    assert text[0] == FOUND and f"fault      {found[name]['what']}\n" in text[1] and "faults found" in text[2]
    quirk(name, changes(healthy, "mark-good")[0], found[name]["cause" if name.startswith("esp") else "what"])


def unreadable(machine):
    entry_path(machine, "Boot0044").mkdir()


NOTES = [("entry-malformed", lambda m: m.set_variable("Boot0044", GLOBAL, b"\xff\xff\xff"), "Boot0044"),
         ("entry-unreadable", unreadable, "Boot0044"),
         ("entry-lowercase", lambda m: m.set_variable("Boot00ab", GLOBAL, load_option("Other OS")), "Boot00ab"),
         ("entry-foreign", lambda m: m.set_variable("Boot0044", GLOBAL, load_option("slotboot", FILE_ELSEWHERE)), "Boot0044"),
         ("order-names-absent", lambda m: m.set_variable("BootOrder", GLOBAL, m.variable("BootOrder", GLOBAL) + b"\x77\0"),
          "Boot0077"),
         ("fallback-foreign", lambda m: shutil.copy(m.top / "esp/EFI/slotboot/a/uki.efi", m.top / FALLBACK), "BOOTX64.EFI")]


@pytest.mark.parametrize("name, breaks, words", NOTES, ids=[row[0] for row in NOTES])
def test_what_is_anothers_is_told_and_no_fault(healthy, quirk, name, breaks, words):
    breaks(healthy)
    status, found = doctor(healthy)
    assert status == 0 and set(found) == {name} and found[name]["level"] == "note"
    assert words in found[name]["what"] and not found[name]["repairable"]
    did, status, out = changes(healthy, "doctor", "--repair")
    assert status == 0 and "note       " in out and did == "doctor --repair wrote nothing"
    quirk(name, did, found[name]["what"])


def test_of_thousands_of_entries_a_few_are_named(healthy, quirk):
    for number in range(0x1000, 0x1000 + 4000):
        healthy.set_variable(f"Boot{number:04X}", GLOBAL, b"\xff")
    status, found = doctor(healthy)
    assert status == 0 and set(found) == {"entry-malformed"}
    assert found["entry-malformed"]["what"].endswith("Boot1005 and more")
    remove_loader_entry(healthy)
    did = changes(healthy, "doctor", "--repair")[0]
    assert set(doctor(healthy)[1]) == {"entry-malformed"}
    quirk("4000 entries, and ours is missing", did, found["entry-malformed"]["what"])


def test_firmware_that_undoes_is_named_and_repair_tries_again(healthy):
    firmware = Firmware(healthy, put_order_back)
    for _ in range(6):
        firmware.reset()
        healthy.check("mark-good")
    status, found = doctor(healthy)
    assert status == 0 and set(found) == {"firmware-undoes"} and "3 writes of BootOrder" in found["firmware-undoes"]["what"]
    assert firmware.writes("doctor", "--repair") == ["BootOrder"]
    assert doctor(healthy) == (0, {})


def test_firmware_that_forgets_the_record_is_named(healthy):
    firmware = Firmware(healthy, lose_variable)
    firmware.reset()
    healthy.check("mark-good")
    status, found = doctor(healthy)
    assert status == 0 and set(found) == {"firmware-forgets"} and "(1)" in found["firmware-forgets"]["what"]


def test_where_there_are_no_efi_variables_the_rest_is_looked_at(healthy, quirk):
    shutil.move(healthy.top / "vars", healthy.top / "gone")
    (healthy.top / FALLBACK).unlink()
    status, found = doctor(healthy)
    assert status == FOUND and set(found) == {"efivarfs", "fallback-missing"}
    assert "not mounted" in found["efivarfs"]["cause"] and found["efivarfs"]["remedy"] is None
    os.environ["container"] = "lxc"
    try:
        assert "run slotctl outside" in doctor(healthy)[1]["efivarfs"]["remedy"]
    finally:
        del os.environ["container"]
    quirk("no efivarfs", changes(healthy, "mark-good")[0], found["efivarfs"]["what"])


def test_an_immutable_entry_is_noted(healthy):
    path = entry_path(healthy, ours(healthy)[0])
    if subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
        pytest.skip("no immutable flag can be set here")
    try:
        status, found = doctor(healthy)
        assert status == 0 and set(found) == {"immutable"} and path.name[:8] in found["immutable"]["what"]
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


def test_a_repair_that_fails_says_so_after_what_was_found(healthy):
    deactivate(healthy)
    (healthy.top / "sysroot/proc/cmdline").write_text("quiet\n")
    status, out, errors = healthy.run("doctor", "--repair")
    assert status == CONFIG and "is inactive" in out and "failed to repair: failed to find the running slot" in errors


def test_the_schema_has_the_ids_that_there_are():
    source = "".join(path.read_text() for path in (TOP / "linux-agent/repair").glob("doctor*.c"))
    source = re.sub(r"/\*.*?\*/", "", source, flags=re.S)
    known = SCHEMAS["doctor"]["$defs"]["finding"]["properties"]["id"]["enum"]
    assert [name for name in known if f'"{name}"' not in source] == []
    assert {name for name in re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source)} <= set(known)
