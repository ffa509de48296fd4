# SPDX-License-Identifier: MIT
"""slotctl against files: Boot#### and BootOrder as real firmware has them, and firmware that locks them. The
entries are from public bug reports, named by repository and number."""
import json
import os
import struct
import subprocess

import pytest

from drymachine import GLOBAL, IOERR, LOADER, SLOTCTL, load_option, start_by_loader
from test_quirks import line_of

END = bytes.fromhex("7fff0400")
PCI = bytes.fromhex("02010c00d041030a00000000" "010106000017")
OTHER_GUID = bytes.fromhex("0d2c283d282748 0f80977fb990521075".replace(" ", ""))


def hd(number=2, start=0x40800, size=0x80000, signature=OTHER_GUID, form=2, kind=2):
    return struct.pack("<BBHIQQ", 4, 1, 42, number, start, size) + signature.ljust(16, b"\0") + bytes([form, kind])


def file(path):
    text = (path + "\0").encode("utf-16le")
    return struct.pack("<BBH", 4, 4, 4 + len(text)) + text


def option(description, *nodes, data=b"", attributes=1):
    return load_option(description, b"".join(nodes) + END, attributes) + data


WINDOWS = file("\\EFI\\Microsoft\\Boot\\bootmgfw.efi")
ZOO = {
    "rhboot/efibootmgr#188": option("UEFI OS", bytes.fromhex(
        "04012a000100000000080000000000000 1f81f00000000004367ade23d02f04ea726e089f94f686b0202".replace(" ", "")),
        file("\\EFI\\BOOT\\BOOTX64.EFI")),
    "rhboot/efibootmgr#38": option("Windows Boot Manager", hd(), WINDOWS, data=b"WINDOWS\0" + bytes(128)),
    "fwupd/fwupd#8090": option("UEFI Samsung SSD", PCI, data=bytes.fromhex("4eac0881119f594d850ee21a522c59b2")),
    "rhboot/efibootmgr#77": option("SATA", PCI, data=b"\0\0BO"),
    "rhboot/efibootmgr#43": option("Network", PCI, data=b"\0\0GO..NO"),
    "ValveSoftware/SteamOS#982": option("SteamOS", hd(2, 2048, 4096, bytes.fromhex("084f7a67"), 1, 1), WINDOWS, data=b"RC"),
    "fwupd/firmware-lenovo#463": option("PXE", bytes.fromhex("030a2400d23878bc820f604d831 6c068ee79d25b".replace(" ", ""))
                                        + bytes(16), bytes.fromhex("03180400")),
    "rhboot/efibootmgr#161": option("EFI SCSI Device", bytes.fromhex("01041400a2e5179b") + bytes(12)),
    "systemd/systemd#28637": option("eMMC", PCI, bytes.fromhex("031d050000"), bytes.fromhex("0105080000000000"), hd(),
                                    file("\\EFI\\systemd\\systemd-bootx64.efi")),
    "fwupd/fwupd#956": option("debian", PCI, bytes.fromhex("03120a000200ffff0000"), hd(), file("\\EFI\\debian\\shimx64.efi")),
    "fwupd/fwupd#5938": option("ubuntu", hd(), file("\\EFI\\UBUNTU\\SHIMX64.EFI")),
    "rhboot/fwupdate#86": option("no backslash", hd(), file("EFI\\boot\\bootx64.efi")),
    "rhboot/efibootmgr#133": option("unknown node", bytes.fromhex("0e7f0800deadbeef"), hd(), WINDOWS),
    "rhboot/efibootmgr#33": option("", hd(), WINDOWS),
    "description without its NUL": struct.pack("<IH", 1, 4) + "slotboot".encode("utf-16le"),
    "path length beyond the value": struct.pack("<IH", 1, 400) + "slotboot a\0".encode("utf-16le") + hd() + END,
    "attributes 0": option("slotboot b", hd(), file("\\EFI\\slotboot\\b\\uki.efi"), attributes=0),
    "another disk's": option("slotboot", hd(), file("\\EFI\\slotboot\\slotbootx64.efi")),
    "our name, by network": option("slotboot", bytes.fromhex("030b2500") + bytes(33)),
    "one byte": b"\1",
}
ODD_NAMES = ["Boot000d_BbsIndex", "Boot0000-00000000-0000-0000-0000-000000000000", "BootNext", "BootOrderDefault"]
GHOSTS = [0x2001, 0x3001, 0x2002, 0x2004]      # omacom/omarchy-iso#94: in BootOrder, without a variable


def order_of(machine):
    data = machine.variable("BootOrder", GLOBAL)
    return list(struct.unpack(f"<{len(data) // 2}H", data))


def test_no_foreign_entry_is_changed_or_moved_whatever_it_is(machine, create, quirk):
    numbers = {0x10 + 7 * i % 64: name for i, name in enumerate(ZOO)}
    for number, name in numbers.items():
        machine.set_variable(f"Boot{number:04X}", GLOBAL, ZOO[name])
    for name in ODD_NAMES:
        (machine.top / "vars" / (name if name.count("-") > 2 else f"{name}-{GLOBAL}")).write_bytes(b"\7\0\0\0xy")
    (machine.top / "vars" / f"Boot00EE-{GLOBAL}").mkdir()       # reading it fails
    foreign = [0x00EE, *GHOSTS, *numbers, 0]
    machine.set_variable("BootOrder", GLOBAL, struct.pack(f"<{len(foreign)}H", *foreign))
    kept = {f.name: f.read_bytes() for f in (machine.top / "vars").iterdir()
            if f.is_file() and not f.name.startswith(("Slot", "BootOrder-"))
            and f.name[4:8] not in ("0001", "0002", "0003")}
    assert len(kept) >= len(ZOO) + len(ODD_NAMES) + 1
    for argv in (["mark-good"], ["install", create(), "--activate=none"], ["mark-active", "b"], ["mark-good"]):
        machine.check(*argv)
        order = order_of(machine)
        assert order[len(order) - len(foreign):] == foreign, argv
        assert set(order[:len(order) - len(foreign)]) <= {1, 2, 3}, argv
        for name, content in kept.items():
            assert (machine.top / "vars" / name).read_bytes() == content, (argv, name, numbers)
    quirk(f"{len(numbers)} odd entries of others, one that cannot be read, {len(GHOSTS)} not there",
          "install and mark-good left each as it was", "notes: " + ", ".join(sorted(
              f["id"] for f in json.loads(machine.run("doctor", "--json")[1])["findings"] if f["level"] == "note")))


def test_a_copy_of_ours_in_capitals_is_ours_and_goes(machine):
    ours = machine.variable("Boot0001", GLOBAL)
    path = "\\EFI\\slotboot\\slotbootx64.efi".encode("utf-16le")
    assert path in ours
    machine.set_variable("Boot0050", GLOBAL, ours.replace(path, path.upper()))
    machine.set_variable("BootOrder", GLOBAL, struct.pack("<4H", 0x50, 1, 2, 0))
    machine.check("mark-good")
    assert order_of(machine)[0] == 0x50 and 1 not in order_of(machine)
    assert not (machine.top / "vars" / f"Boot0001-{GLOBAL}").exists()


def test_new_entries_are_numbered_from_0001(machine):
    for name in list((machine.top / "vars").glob("Boot*")):
        name.unlink()
    machine.check("mark-good")
    assert order_of(machine) == [1, 2]


def lock_entries(machine):
    """BootOrder has attributes that nobody may change."""
    order = machine.top / "vars" / f"BootOrder-{GLOBAL}"
    order.write_bytes(struct.pack("<I", 3) + order.read_bytes()[4:])


@pytest.mark.parametrize("trace", ["SlotTrace", "LoaderInfo", None])
def test_entries_that_cannot_be_written_stop_nothing_where_the_loader_ran(machine, create, trace):
    if trace == "SlotTrace":
        start_by_loader(machine, 0, 0)
    elif trace:
        machine.set_variable("LoaderInfo", LOADER, "slotboot 0.1\0".encode("utf-16le"))
        machine.set_variable("LoaderEntrySelected", LOADER, "slotboot-a.efi\0".encode("utf-16le"))
    machine.set_variable("BootOrder", GLOBAL, struct.pack("<3H", 0, 1, 2))
    lock_entries(machine)
    warning = "warning: the boot entries could not be written; the loader, which ran in this boot, does without them: "
    status, out, errors = machine.run("mark-good")
    assert status == (0 if trace else IOERR), errors
    assert (warning in out and "BootOrder" in out) if trace else "BootOrder" in errors
    status, out, errors = machine.run("install", create(), "--activate=none")
    assert status == (0 if trace else IOERR), errors
    told = machine.status()["slots"]
    assert (told["a"]["status"], told["b"]["status"]) == ("good", "trial" if trace else "writing")
    assert (warning in out) == bool(trace)


def test_after_a_kexec_the_loader_is_not_known_to_have_run(machine):
    start_by_loader(machine, 0, 0)
    machine.boot_by("kexec", "a")
    machine.set_variable("BootOrder", GLOBAL, struct.pack("<3H", 0, 1, 2))
    lock_entries(machine)
    assert machine.run("mark-good")[0] == IOERR


@pytest.fixture
def run_read_only(machine):
    """slotctl, for which the variables are read-only."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    variables = machine.top / "vars"

    def run(*argv):
        process = subprocess.run(
            ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"', variables,
             SLOTCTL, *argv, f"--config={machine.top / 'slotboot.conf'}"], capture_output=True, text=True,
            env={**os.environ, "EFIVARFS_PATH": f"{variables}/", "LC_ALL": "C"})
        return process.returncode, process.stdout, process.stderr
    return run


def test_read_only_variables_are_named_before_the_first_byte(machine, create, quirk, run_read_only):
    """As a unit or a container may have them."""
    machine.check("mark-good")
    before, variables, run = machine.bytes(), machine.top / "vars", run_read_only
    status, _, errors = run("install", create(), "--activate=none")
    assert (status, machine.bytes()) == (IOERR, before), errors
    assert f"SlotState-a44b7925-64fe-4f5f-9e3a-49b0319efd7d in {variables}/: {variables}/ is mounted read-only; " \
           f"mount -o remount,rw {variables}/" in errors
    assert run("mark-good")[0] == 0, "nothing is to be written"
    said = run("doctor")[1]
    assert "neither the slot record nor boot entries can be written" in said
    quirk("efivarfs mounted read-only", "install was refused before the first byte (74)",
          line_of(said, "is mounted read-only"))
    assert run("status")[0] == 0


@pytest.mark.parametrize("mount, closed", [("rw,relatime - efivarfs efivarfs ro", True), ("ro - efivarfs efivarfs ro", False),
                                           ("rw - efivarfs efivarfs rw", False), ("rw - tmpfs tmpfs ro", False)])
def test_where_the_firmware_takes_no_variables_the_mirror_has_the_record(machine, create, quirk, run_read_only, mount, closed):
    """The kernel makes efivarfs itself read-only then, and the mount is as somebody asked for it."""
    machine.check("mark-good")
    variables = {f.name: f.read_bytes() for f in (machine.top / "vars").iterdir()}
    (machine.top / "sysroot/proc/self/mountinfo").write_text(f"30 25 0:26 / {machine.top / 'vars'} {mount}\n")
    status, out, errors = run_read_only("install", create(), "--activate=none")
    assert status == (0 if closed else IOERR), errors
    if not closed:
        return
    assert "warning" not in out + errors
    told = machine.status()
    assert (told["state"]["source"], told["slots"]["b"]["status"]) == ("mirror", "trial")
    for verb in (["mark-active", "b"], ["mark-good"], ["mark-bad", "b"]):
        assert run_read_only(*verb)[0] == 0, verb
    assert machine.status()["slots"]["b"]["status"] == "bad"
    assert {f.name: f.read_bytes() for f in (machine.top / "vars").iterdir()} == variables
    assert "; the firmware takes no variables while Linux runs\n" in run_read_only("status")[1]
    status, said, _ = run_read_only("doctor", "--json")
    found = {f["id"]: f["level"] for f in json.loads(said)["findings"]}
    assert found["variables-closed"] == "note" and not [i for i in found if "entry" in i or "order" in i or i == "record-behind"]
    quirk("firmware that takes no variables while Linux runs", "everything by the mirror; no boot entries",
          line_of(run_read_only("doctor")[1], "takes no EFI variables"))
