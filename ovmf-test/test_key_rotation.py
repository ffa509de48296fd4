# SPDX-License-Identifier: MIT
"""The keys of Secure Boot change by what a bundle brings: a KEK that the firmware refuses, one that PK has signed, a
certificate in db by that new KEK, and, once loader and slots are signed by the new key, the old one in dbx."""
import pytest

import debian13
import siglist
from paths import LOADER, WORK
from test_secureboot import bundled, signer_of, uki_with_profiles

pytestmark = debian13.needed
PLACE = WORK / "keys"


@pytest.fixture(scope="module")
def keys():
    return {name: signer_of(PLACE, name) for name in ("PK", "KEK", "new KEK", "old", "new")}


@pytest.fixture(scope="module")
def machine(new_machine, variants, keys):
    """X in slot A and the loader are signed with the old key, which alone is in db."""
    machine = new_machine(variant=variants["x"])
    machine.secure_boot(keys["old"].certificate, keys["KEK"].certificate, keys["PK"].certificate)
    for name in ("EFI/slotboot/slotbootx64.efi", "EFI/BOOT/BOOTX64.EFI"):
        machine.disk.esp.write(name, loader(keys["old"]).read_bytes())
    machine.disk.esp.write("EFI/slotboot/a/uki.efi", uki_with_profiles(variants["x"], keys["old"]).read_bytes())
    return machine


def loader(sign):
    file = PLACE / LOADER.name
    file.write_bytes(LOADER.read_bytes())
    return sign(file)


def update(variable, certificate, by):
    """As an option of bundle create."""
    file = PLACE / f"{variable}-{by.key.stem}.auth"
    file.write_bytes(siglist.update(variable, siglist.of_certificate(certificate), by.key, by.cert))
    return f"--efi-auth={variable}={file}"


@pytest.fixture(scope="module")
def updates(variants, bundles, keys):
    """Y, which the old key has signed, with all updates; and Z, by the new one, with a loader and the last update."""
    place = next(iter(bundles.values())).parent
    revoke = update("dbx", keys["old"].certificate, keys["new KEK"])
    bundled(variants["y"], uki_with_profiles(variants["y"], keys["old"]), place / "keys-y.zip", revoke,
            update("db", keys["new"].certificate, keys["new KEK"]),
            update("KEK", keys["new KEK"].certificate, keys["KEK"]),       # which KEK may not
            update("KEK", keys["new KEK"].certificate, keys["PK"]))
    bundled(variants["z"], uki_with_profiles(variants["z"], keys["new"]), place / "keys-z.zip", revoke,
            f"--loader={loader(keys['new'])}")
    return "keys-y.zip", "keys-z.zip"


def states(machine):
    return [(key["name"], key["state"], key["reason"]) for key in machine.status()["keys"]]


def test_keys_rotate_one_a_boot_and_the_old_one_is_revoked_when_nothing_needs_it(machine, install, updates):
    machine.cold_boot()
    machine.check("slotctl mark-good")
    boot = machine.run_to_boot(install(updates[0], "reboot", "--allow-downgrade"))
    assert (boot.variant, boot.slot) == ("y", "b")
    said = machine.check("slotctl mark-good")
    assert "warning: KEK-1 is not applied, and not tried again: " in said and "refused the signature" in said, said
    assert states(machine) == [("KEK-1", "failed", "refused"), ("KEK-2", "waiting", "one-a-boot"),
                               ("db-1", "waiting", "order"), ("dbx-1", "waiting", "slot-a")]
    assert "KEK is changed by whom PK names, and this is signed by CN=slotboot test KEK" in machine.check("slotctl status")

    machine.run_to_boot("reboot -f")
    assert "the firmware's KEK has KEK-2 of slot b's bundle now" in machine.check("slotctl mark-good")
    status, said = machine.run(install(updates[1], "none"))
    assert status == 65 and "whose certificates are not in db" in said, said

    machine.run_to_boot("reboot -f")
    assert "the firmware's db has db-1 of slot b's bundle now" in machine.check("slotctl mark-good")
    boot = machine.run_to_boot(install(updates[1], "reboot"))
    assert (boot.variant, boot.slot) == ("z", "a")
    said = machine.check("slotctl mark-good")
    assert "dbx" not in said and machine.status()["loader_file"]["kept"], said
    assert states(machine)[-1] == ("dbx-1", "waiting", "slot-b")

    machine.check("slotctl mark-bad b")
    assert "the firmware's dbx has dbx-1 of slot a's bundle now" in machine.check("slotctl mark-good")
    assert states(machine)[-1] == ("dbx-1", "applied", "none")
    boot = machine.run_to_boot("slotctl mark-active b && reboot -f")
    assert (boot.variant, boot.slot) == ("z", "a")
    slot = machine.status()["slots"]["b"]
    assert (slot["status"], slot["reason"]) == ("bad", "load") and slot["secure_boot"]["rule"] == "dbx-certificate"
