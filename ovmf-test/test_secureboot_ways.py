# SPDX-License-Identifier: MIT
"""The table of Secure Boot: an update by reboot and one by kexec, under lockdown, in each of the three ways in which a slot gets
a command line that is right for it; and images on trial that the firmware refuses. One machine, in order."""
import pytest

import debian13
import images
import siglist
from paths import LOADER, WORK
from test_secureboot import bundled, own_words, signer_of, uki_of, uki_with_profiles
from varstore import SIGNED_UPDATES, VarStore

pytestmark = debian13.needed
PLACE = WORK / "ways"
WAYS = ("profiles", "addons", "roothash")
OWN = {"addons": "", "roothash": " own=of-any"}


@pytest.fixture(scope="module")
def keys():
    return {name: signer_of(PLACE, name) for name in ("db", "other")}


@pytest.fixture(scope="module")
def place(bundles):
    return next(iter(bundles.values())).parent


def addons(sign):
    """What is the slot's own; the rest is the UKI's."""
    made = []
    for slot in "ab":
        out = PLACE / f"slot-{slot}.addon.efi"
        debian13.ukify("--stub", debian13.stub("addonx64.efi.stub"), "--efi-arch", "x64", "--cmdline",
                       f"slotboot.slot={slot} own=of-{slot}", "--output", out)
        made.append(f"--addon={slot}={sign(out)}")
    return made


def without_slot(variant):
    """The slot is the one whose image has the root hash."""
    return images.COMMAND_LINE.format(variant.root_hash, variant.name).replace("slotboot.slot={slot} ", "")


@pytest.fixture(scope="module")
def updates(variants, keys, place):
    """Of X and Y in each way, the bundle's name and what was said as it was made."""
    sign, made = keys["db"], {}
    for name in "xy":
        variant = variants[name]
        for way in WAYS:
            uki = (uki_with_profiles(variant, sign) if way == "profiles" else
                   uki_of(variant, sign, PLACE / f"{way}-{name}.efi", without_slot(variant) + OWN[way]))
            out = place / f"ways-{way}-{name}.zip"
            made[way, name] = out.name, bundled(variant, uki, out, *(addons(sign) if way == "addons" else ()))
    return made


@pytest.fixture(scope="module")
def machine(new_machine, variants, keys, updates):
    machine = new_machine(variant=variants["x"])
    machine.secure_boot(keys["db"].certificate)
    loader = PLACE / LOADER.name
    loader.write_bytes(LOADER.read_bytes())
    for name in ("EFI/slotboot/slotbootx64.efi", "EFI/BOOT/BOOTX64.EFI"):
        machine.disk.esp.write(name, keys["db"](loader).read_bytes())
    machine.disk.esp.write("EFI/slotboot/a/uki.efi", uki_with_profiles(variants["x"], keys["db"]).read_bytes())
    assert machine.cold_boot().slot == "a"
    machine.check("slotctl mark-good")
    return machine


def is_own(boot, way, slot):
    """The slot's command line; kexec adds a word of its own, and the slot's where nothing names it."""
    words = [word for word in own_words(boot) if not word.startswith("slotboot.nonce=")]
    if way == "roothash":
        return [word for word in words if word != f"slotboot.slot={slot}"] == ["own=of-any"]
    return words == [f"slotboot.slot={slot}", f"own=of-{slot}"]


@pytest.mark.parametrize("way", WAYS)
def test_an_update_by_reboot_and_one_by_kexec_under_lockdown(machine, install, updates, way):
    boot = machine.run_to_boot(install(updates[way, "y"][0], "reboot", "--allow-downgrade"))
    assert boot.variant == "y" and is_own(boot, way, "b"), boot
    machine.check("slotctl mark-good")
    status = machine.status()
    assert (status["running"], status["slots"]["b"]["status"]) == ("b", "good")

    machine.check("mount -t securityfs securityfs /sys/kernel/security")
    assert "[integrity]" in machine.check("cat /sys/kernel/security/lockdown")
    entries = machine.firmware_entries()
    boot = machine.run_to_boot(install(updates[way, "x"][0], "kexec", "--allow-downgrade"))
    assert boot.variant == "x" and is_own(boot, way, "a"), boot
    assert machine.firmware_entries() == entries, "it went through the firmware"
    machine.check("slotctl mark-good")
    boot = machine.run_to_boot("reboot -f")
    assert boot.variant == "x" and is_own(boot, way, "a"), boot
    machine.check("slotctl mark-good")
    assert machine.status()["slots"]["a"]["status"] == "good"


def nobody(path):
    return path


nobody.place = PLACE


@pytest.fixture(scope="module")
def refused(variants, keys, place):
    """Three images of Y that the firmware starts as they are installed: by nobody, by another key, and by ours."""
    made = {}
    for name, sign in (("unsigned", nobody), ("other", keys["other"]), ("revoked", keys["db"])):
        uki = uki_of(variants["y"], sign, PLACE / f"{name}.efi", without_slot(variants["y"]))
        bundled(variants["y"], uki, place / f"ways-{name}.zip")
        made[name] = uki.read_bytes()
    return made


@pytest.mark.parametrize("name, said", [
    ("unsigned", "it is not signed, and its digest is not in db"),
    ("other", "it is signed by CN=slotboot test other, certified by CN=slotboot test other, whose certificates are not in db"),
    ("revoked", "is in dbx: just this image is revoked")])
def test_a_trial_that_the_firmware_refuses_falls_over_in_the_same_boot_with_the_reason(machine, install, keys, refused, name, said):
    """db and dbx change between the install, which would refuse it, and the boot."""
    ours = siglist.of_certificate(keys["db"].certificate)
    before = {"unsigned": ours + siglist.of_images(refused["unsigned"]),
              "other": ours + siglist.of_certificate(keys["other"].certificate), "revoked": ours}[name]
    machine.shutdown()
    VarStore(machine.vars).set("db", before, siglist.SECURITY, SIGNED_UPDATES)
    machine.cold_boot()
    machine.check(install(f"ways-{name}.zip", "none", "--allow-downgrade") + " && slotctl mark-active b")
    assert machine.status()["slots"]["b"]["secure_boot"]["answer"] == "starts"
    machine.shutdown()
    VarStore(machine.vars).set("db", ours, siglist.SECURITY, SIGNED_UPDATES)
    if name == "revoked":
        VarStore(machine.vars).set("dbx", siglist.of_images(refused[name]), siglist.SECURITY, SIGNED_UPDATES)
    boot = machine.cold_boot()
    assert (boot.variant, machine.firmware_entries()) == ("x", 1)
    status = machine.status()
    slot = status["slots"]["b"]
    assert (status["running"], slot["status"], slot["reason"]) == ("a", "bad", "load")
    assert slot["efi_status"] in ("0x800000000000000f", "0x800000000000001a")      # access denied, security violation
    assert slot["secure_boot"]["answer"] == "refused" and said in slot["secure_boot"]["words"]
    text = machine.check("slotctl status")
    assert said in text and ("access denied" in text or "security violation" in text)
    assert said in machine.run("slotctl doctor")[1]
    status, output = machine.run(install(f"ways-{name}.zip", "none", "--allow-downgrade"))
    assert status == 65 and said in output, output
