# SPDX-License-Identifier: MIT
"""Firmware with Secure Boot and a key of our own, which has signed the loader and the UKIs: each slot's command line
comes from a profile of its UKI, by the loader, by a direct boot entry, and after an update. What is revoked afterwards is
known to slotctl, and the firmware says the same."""
import json
import subprocess

import pytest

import debian13
import images
import initrd
import kernel
import pki
import rootfs
import siglist
from paths import ARCH, BUNDLER, LOADER, WORK, run
from varstore import SIGNED_UPDATES, VarStore

pytestmark = debian13.needed
CREDENTIAL = "of version y"
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def signer_of(place, name="db"):
    """A function that signs an EFI file with a key of that name, made in place."""
    place.mkdir(exist_ok=True)
    key, cert = place / f"{name}.key", place / f"{name}.pem"
    if not cert.exists():
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", f"/CN=slotboot test {name}",
            "-keyout", key, "-out", cert)

    def sign(path):
        run("sbsign", "--key", key, "--cert", cert, "--output", path, path)
        return path
    sign.place, sign.key, sign.cert = place, key, cert
    sign.certificate = run("openssl", "x509", "-in", cert, "-outform", "DER")
    return sign


@pytest.fixture(scope="module")
def signer():
    """With the key that is in db."""
    return signer_of(WORK / "secureboot")


def command_line(variant, slot):
    return images.COMMAND_LINE.format(variant.root_hash, variant.name).replace("{slot}", slot) + f" own=of-{slot}"


def uki_with_profiles(variant, sign):
    """The common command line is nobody's."""
    profiles = []
    for slot in "ba":       # the order is nothing to anyone
        part = sign.place / f"slot-{slot}.efi"
        debian13.ukify("--stub", debian13.stub(f"addon{ARCH.name}.efi.stub"), "--efi-arch", ARCH.name, "--cmdline",
                       command_line(variant, slot), "--profile", f"ID=slot-{slot}\nTITLE=Slot {slot}", "--output", part)
        profiles += ["--join-profile", part]
    return uki_of(variant, sign, sign.place / f"uki-{variant.name}.efi", "own=of-none", *profiles)


def uki_of(variant, sign, out, line, *more):
    """By Debian 13's ukify; signed."""
    work = sign.place
    facts = json.loads((variant.uki.parent / f"facts-{variant.name}.json").read_text())
    initrd.build(work / "initrd.zst", work, facts["hash_offset"])
    (work / "os-release").write_text(rootfs.os_release(variant.name, variant.version))
    (work / "linux").write_bytes(kernel.image().read_bytes())
    run("sbattach", "--remove", work / "linux")     # by its distributor, whose key is not in db: no kexec
    debian13.ukify("--stub", debian13.stub(f"linux{ARCH.name}.efi.stub"), "--efi-arch", ARCH.name, "--uname", kernel.release(),
                   "--linux", sign(work / "linux"), "--initrd", work / "initrd.zst", "--cmdline", line,
                   "--os-release", f"@{work / 'os-release'}", *more, "--output", out)
    return sign(out)


@pytest.fixture(scope="module")
def machine(new_machine, variants, signer):
    """X in slot A, as somebody provisions it by hand."""
    machine = new_machine(variant=variants["x"])
    machine.secure_boot(signer.certificate)
    loader = WORK / "secureboot" / LOADER.name
    loader.write_bytes(LOADER.read_bytes())
    for name in ("EFI/slotboot/slotbootx64.efi", "EFI/BOOT/BOOTX64.EFI"):
        machine.disk.esp.write(name, signer(loader).read_bytes())
    machine.disk.esp.write("EFI/slotboot/a/uki.efi", uki_with_profiles(variants["x"], signer).read_bytes())
    return machine


def bundled(variant, uki, out, *more):
    """What was said when the bundle was made."""
    identity = pki.identities()["signer"]
    done = subprocess.run([BUNDLER, "bundle", "create", f"--output={out}", f"--uki={uki}",
                           f"--image=rootfs={variant.rootfs},roothash={variant.root_hash}", "--no-delta", "--level=1",
                           f"--key={identity.key}", f"--cert={identity.cert}", *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def update(variants, signer, bundles):
    """Y with profiles and a credential, as a bundle on the web server; and what was said when it was made."""
    out = next(iter(bundles.values())).parent / "profiles.zip"
    (WORK / "secureboot" / "word").write_text(CREDENTIAL)
    return out.name, bundled(variants["y"], uki_with_profiles(variants["y"], signer), out,
                             f"--credential=word={WORK / 'secureboot' / 'word'}")


def own_words(boot):
    return [word for word in boot.command_line.split() if word.startswith(("own=", "@", "slotboot."))]


def test_slot_a_gets_the_command_line_of_its_profile(machine):
    boot = machine.cold_boot()
    assert machine.check(f"od -An -tu1 {SECURE_BOOT}").split()[4:] == ["1"], "Secure Boot is off"
    assert (boot.variant, boot.slot, own_words(boot)) == ("x", "a", ["slotboot.slot=a", "own=of-a"])
    machine.check("slotctl mark-good")


def test_bundle_create_shows_both_command_lines(update):
    for slot in "ab":
        assert f"slot {slot}: " in update[1] and f" slotboot.slot={slot} " in update[1] and f"own=of-{slot}\n" in update[1]


def test_an_update_by_reboot_is_tried_with_slot_bs_profile_and_confirmed(machine, install, update):
    boot = machine.run_to_boot(install(update[0], "reboot", "--allow-downgrade"))
    assert (boot.variant, boot.slot, own_words(boot)) == ("y", "b", ["slotboot.slot=b", "own=of-b"])
    assert machine.status()["slots"]["b"]["status"] == "trial"
    machine.check("slotctl mark-good")
    assert machine.status()["slots"]["b"]["status"] == "good"


def test_the_bundles_credential_is_handed_over_by_the_firmware_and_by_a_kexec_and_a_stranger_is_not(machine):
    """The kernel is locked down; what is beside the UKI counts by the signed manifest alone."""
    extra, credential = "/efi/EFI/slotboot/b/uki.efi.extra.d", "/dev/extra/credentials/word.cred"
    assert machine.check(f"cat {credential}") == CREDENTIAL
    machine.check("mount -t securityfs securityfs /sys/kernel/security")
    assert "[integrity]" in machine.check("cat /sys/kernel/security/lockdown")
    machine.check(f"echo mine >{extra}/own.cred")
    status, output = machine.run("slotctl kexec load b")
    assert status == 78 and "own.cred is not of the signed manifest" in output, output
    machine.check(f"rm {extra}/own.cred && slotctl kexec load b")
    before = machine.firmware_entries()
    boot = machine.run_to_boot("slotctl kexec exec b")
    assert (boot.variant, boot.slot) == ("y", "b") and machine.firmware_entries() == before
    assert machine.check(f"cat {credential} && ls {credential.rpartition('/')[0]}") == CREDENTIAL + "word.cred\n"
    machine.check("slotctl mark-good")


def test_without_the_loader_the_direct_entry_chooses_the_profile(machine):
    machine.check("rm /efi/EFI/slotboot/slotbootx64.efi && sync")
    boot = machine.run_to_boot("reboot -f")
    assert (boot.variant, boot.slot, own_words(boot)) == ("y", "b", ["slotboot.slot=b", "own=of-b"])
    assert "without the loader" in machine.status()["why"]


def test_what_has_the_slot_token_is_refused_before_the_first_byte(machine, install):
    before = machine.snapshot()
    status, output = machine.run(install("z.zip", "none"))
    assert status == 65 and "{slot}" in output and "ID=slot-a" in output, output
    assert machine.snapshot() == before


def test_what_is_revoked_is_known_before_the_reboot_that_would_find_out(machine, variants, bundles, install):
    """X's image, which slot A has, goes into dbx; its certificate, which has signed Y, too, stays good."""
    uki = WORK / "secureboot" / "uki-x.efi"
    out = next(iter(bundles.values())).parent / "revoked.zip"
    bundled(variants["x"], uki, out)
    machine.check("cp /efi/EFI/BOOT/BOOTX64.EFI /efi/EFI/slotboot/slotbootx64.efi && sync")
    assert machine.status()["slots"]["a"]["secure_boot"]["rule"] == "db-certificate"
    machine.shutdown()
    VarStore(machine.vars).set("dbx", siglist.of_images(uki.read_bytes()), siglist.SECURITY, SIGNED_UPDATES)
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("y", "b")
    slots = machine.status()["slots"]
    assert (slots["a"]["secure_boot"]["answer"], slots["a"]["secure_boot"]["rule"]) == ("refused", "dbx-digest")
    assert (slots["b"]["secure_boot"]["answer"], slots["b"]["secure_boot"]["rule"]) == ("starts", "db-certificate")
    assert "the firmware would not start slot a" in machine.run("slotctl doctor")[1]
    before = machine.snapshot()
    status, output = machine.run(install(out.name, "none", "--allow-downgrade"))
    assert status == 65 and "is in dbx: just this image is revoked" in output, output
    assert machine.snapshot() == before


def test_the_firmware_refuses_what_slotctl_says_that_it_refuses(machine):
    boot = machine.run_to_boot("slotctl rollback --activate=reboot")
    assert (boot.variant, boot.slot) == ("y", "b")
    slot = machine.status()["slots"]["a"]
    assert (slot["status"], slot["reason"]) == ("bad", "load")
    assert slot["efi_status"] in ("0x800000000000000f", "0x800000000000001a")      # access denied, security violation
