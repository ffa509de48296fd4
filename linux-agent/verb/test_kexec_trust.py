# SPDX-License-Identifier: MIT
"""slotctl against files: what kexec believes of a slot. The ESP alone must never be enough to have a UKI staged
that nobody signed, where slotctl installed the slot, or Secure Boot or kernel lockdown promise something."""
import hashlib
import json
import struct
import zlib

import pytest

from drymachine import DATAERR, GLOBAL, OURS, refuse

AT_SEQUENCE, AT_FLAGS_B, AT_DIGEST_B, AT_CRC = 16, 149, 168, 316
HAS_DIGEST = 1


def image_check(machine, slot):
    """The verdict on the slot's image and its words; explain and load must agree."""
    _, out, _ = machine.run("kexec", "explain", slot, "--json")
    check = {c["check"]: c for c in json.loads(out)["checks"]}["image"]
    if check["verdict"] == "fail":
        refuse(machine, DATAERR, [check["evidence"]], "kexec", "load", slot)
    return check["verdict"], check["evidence"]


def refused(machine, slot, words):
    verdict, evidence = image_check(machine, slot)
    assert verdict == "fail" and words in evidence, evidence


def by_hand(machine):
    """Slot a as a person provisions it: a UKI, and nothing that tells what it should be."""
    for name in ("manifest.json", "manifest.p7s", "uki.index"):
        (machine.top / "esp/EFI/slotboot/a" / name).unlink(missing_ok=True)


def lock_down(machine, text):
    path = machine.top / "sysroot/sys/kernel/security/lockdown"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def evil_uki(machine):
    """Slot b's UKI changed, and nothing signed beside it; the new one's bytes."""
    directory = machine.top / "esp/EFI/slotboot/b"
    content = (directory / "uki.efi").read_bytes().replace(b"quiet", b"evil!")
    (directory / "uki.efi").write_bytes(content)
    for name in ("manifest.json", "manifest.p7s", "uki.index"):
        (directory / name).unlink()
    return content


def forge_mirror(machine, content):
    """state.bin that says: b came by hand, and this is its digest."""
    record = bytearray(machine.variable("SlotState", OURS))
    struct.pack_into("<Q", record, AT_SEQUENCE, 1 << 31)
    record[AT_FLAGS_B] = HAS_DIGEST
    struct.pack_into("<Q32s", record, AT_DIGEST_B - 8, len(content), hashlib.sha256(content).digest())
    struct.pack_into("<I", record, AT_CRC, zlib.crc32(bytes(record[:AT_CRC])))
    mirror = machine.top / "esp/EFI/slotboot/state.bin"
    half = mirror.stat().st_size // 2
    mirror.write_bytes(bytes(record).ljust(half, b"\0") * 2)


def test_what_slotctl_installed_is_not_staged_without_its_signed_manifest(machine, create):
    machine.check("install", create(), "--activate=none")
    assert image_check(machine, "b")[0] == "pass"
    (machine.top / "esp/EFI/slotboot/b/manifest.p7s").unlink()
    refused(machine, "b", "no signed manifest beside it (manifest.p7s), and needs one, because slotctl installed it")


def test_the_esp_alone_makes_no_uki_fit_for_kexec(machine, create):
    machine.check("install", create(), "--activate=none")
    forge_mirror(machine, evil_uki(machine))
    refused(machine, "b", "needs one, because")
    machine.check("mark-good")          # must not carry the forgery into the variable
    refused(machine, "b", "needs one, because")


def test_a_record_from_the_mirror_vouches_for_nothing(machine, create):
    machine.check("install", create(), "--activate=none")
    forge_mirror(machine, evil_uki(machine))
    (machine.top / "vars" / f"SlotState-{OURS}").unlink()
    assert machine.status()["state"]["source"] == "mirror"
    refused(machine, "b", "needs one, because the slot record is not from the EFI variable")
    machine.check("mark-good")
    assert machine.status()["state"]["source"] == "variable"
    refused(machine, "b", "needs one, because")


def test_a_slot_provisioned_by_hand_goes_by_the_variables_record(machine):
    by_hand(machine)
    assert image_check(machine, "a") == ("pass", "its digest is that of the slot record; there is no signed "
                                                 "manifest beside it")


def test_under_secure_boot_nothing_goes_without_a_signed_manifest(machine):
    by_hand(machine)
    machine.set_variable("SecureBoot", GLOBAL, b"\0")
    assert image_check(machine, "a")[0] == "pass"
    machine.set_variable("SecureBoot", GLOBAL, b"\1")
    refused(machine, "a", "needs one, because Secure Boot is on")


@pytest.mark.parametrize("text, locked", [("[none] integrity confidentiality", False),
                                          ("none [integrity] confidentiality", True),
                                          ("none integrity [confidentiality]", True), ("", True)])
def test_under_lockdown_nothing_goes_without_a_signed_manifest(machine, text, locked):
    by_hand(machine)
    lock_down(machine, text)
    if locked:
        refused(machine, "a", "needs one, because the running kernel is locked down")
    else:
        assert image_check(machine, "a")[0] == "pass"


def test_without_securityfs_the_command_line_tells_of_a_lockdown(machine):
    by_hand(machine)
    cmdline = machine.top / "sysroot/proc/cmdline"
    cmdline.write_text(cmdline.read_text().strip() + " lockdown=integrity\n")
    refused(machine, "a", "needs one, because the running kernel is locked down")


def test_a_bundle_for_another_machine_is_not_staged(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.configure(compatible="umbrella")
    refused(machine, "b", "is for acme by the signed manifest beside it, and this machine is umbrella")
