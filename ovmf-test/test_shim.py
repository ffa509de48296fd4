# SPDX-License-Identifier: MIT
"""A machine that starts by shim: the firmware knows the key that has signed shim, and the loader and the UKIs are signed by a
key of the machine's owner (MOK). Its disk is made by slotctl provision; the boot entries, the loader's update and what shim
would start are slotctl's, too. One machine, in order."""
import json

import pytest

import debian13
import disk
import pki
import siglist
from conftest import arrivals
from paths import ARCH, LOADER, PROGRAMS, SLOTCTL, WORK, run
from test_secureboot import SECURE_BOOT, bundled, signer_of, uki_with_profiles
from varstore import BS, NV, VarStore

SHIM, FALLBACK = f"shim{ARCH.name}.efi", f"grub{ARCH.name}.efi"
PLACE = WORK / "shim"
arrive, go = arrivals(f"shim = {SHIM}")
pytestmark = debian13.needed


@pytest.fixture(scope="module")
def keys():
    return {name: signer_of(PLACE, name) for name in ("firmware", "owner", "KEK")}


def loader(sign, version="0.1"):
    file = PLACE / f"{version}-{LOADER.name}"
    file.write_bytes(LOADER.read_bytes().replace(b"slotboot,0.1,", f"slotboot,{version},".encode())
                     .replace("slotboot 0.1".encode("utf-16le"), f"slotboot {version}".encode("utf-16le")))
    return sign(file)


@pytest.fixture(scope="module")
def shim(keys):
    out = PLACE / SHIM
    run("sbsign", "--key", keys["firmware"].key, "--cert", keys["firmware"].cert, "--output", out,
        PROGRAMS / "usr/lib/shim" / SHIM)
    return out


@pytest.fixture(scope="module")
def machine(new_machine, variants, keys, shim):
    """The variables are made on the host, and put into the firmware's store before its first boot."""
    machine = new_machine()
    machine.disk.path.unlink()
    bundled(variants["x"], uki_with_profiles(variants["x"], keys["owner"]), PLACE / "x.zip")
    (PLACE / "slotboot.conf").write_text(f"[slotboot]\nkeyring = {pki.identities()['signer'].cert}\nshim = {SHIM}\n")
    (PLACE / "vars").mkdir(exist_ok=True)
    for old in (PLACE / "vars").iterdir():
        old.unlink()
    run("env", f"EFIVARFS_PATH={PLACE}/vars/", *ARCH.runner, SLOTCTL, "provision", machine.disk.path, f"--bundle={PLACE / 'x.zip'}",
        f"--config={PLACE / 'slotboot.conf'}", f"--shim={shim}", f"--loader={loader(keys['owner'])}", "--boot-entries",
        *disk.SIZES)
    machine.secure_boot(keys["firmware"].certificate, keys["KEK"].certificate)
    store = VarStore(machine.vars)
    for path in sorted((PLACE / "vars").iterdir()):
        name, guid = path.name.split("-", 1)
        store.set(name, path.read_bytes()[4:], guid)
    store.set("MokList", siglist.of_certificate(keys["owner"].certificate), siglist.SHIM, NV | BS)
    return machine


def started(machine):
    return machine.check("cat /sys/firmware/efi/efivars/LoaderImageIdentifier-*").replace("\0", "")


def test_a_disk_that_was_provisioned_with_shim_starts_by_it_and_is_confirmed(machine):
    assert arrive(machine, machine.cold_boot()) == ("x", "a")
    assert machine.check(f"od -An -tu1 {SECURE_BOOT}").split()[4:] == ["1"], "Secure Boot is off"
    assert "MokListRT-" in machine.check("ls /sys/firmware/efi/efivars")
    assert started(machine).endswith(f"\\EFI\\slotboot\\{LOADER.name}")
    machine.check("slotctl mark-good")
    assert machine.status()["loader_file"]["kept"]
    assert machine.run("slotctl doctor") == (0, "nothing wrong was found\n")


def test_an_update_brings_a_loader_which_is_tried_by_shim_and_kept(machine, install, variants, bundles, keys):
    out = next(iter(bundles.values())).parent / "shim-y.zip"
    certificate = siglist.of_certificate(keys["firmware"].certificate)
    revoke = PLACE / "dbx.auth"
    revoke.write_bytes(siglist.update("dbx", certificate, keys["KEK"].key, keys["KEK"].cert))
    harmless = PLACE / "dbx2.auth"
    harmless.write_bytes(siglist.update("dbx", siglist.of_certificate(signer_of(PLACE, "stranger").certificate),
                                        keys["KEK"].key, keys["KEK"].cert))
    bundled(variants["y"], uki_with_profiles(variants["y"], keys["owner"]), out,
            f"--loader={loader(keys['owner'], '0.2')}", f"--efi-auth=dbx={revoke}", f"--efi-auth=dbx={harmless}")
    assert go(machine, install(out.name, "reboot", "--allow-downgrade")) == ("y", "b")
    assert started(machine).endswith(f"\\EFI\\slotboot\\{LOADER.stem}.new.efi")
    said = machine.check("slotctl mark-good")
    assert "version 0.2 has started this machine, and is kept" in said, said
    assert machine.disk.esp.read(f"EFI/BOOT/{FALLBACK}") == machine.disk.esp.read(f"EFI/slotboot/{LOADER.name}")


def test_a_dbx_that_would_refuse_shim_waits_and_another_is_applied(machine):
    found = {key["name"]: (key["state"], key["reason"], key["words"]) for key in machine.status()["keys"]}
    assert found["dbx-1"][:2] == ("waiting", "shim") and SHIM in found["dbx-1"][2], found
    assert found["dbx-2"][0] == "applied", found
    assert go(machine, "reboot -f") == ("y", "b")
    assert started(machine).endswith(f"\\EFI\\slotboot\\{LOADER.name}")
    status, said = machine.run("slotctl doctor --json 2>/dev/null")
    assert status == 1 and [f["id"] for f in json.loads(said)["findings"]] == ["key-waits"], said


def test_without_its_entries_the_firmware_finds_shims_copy_and_that_the_loaders(machine):
    machine.shutdown()
    store = VarStore(machine.vars)
    for name, guid in [key for key in store.all() if key[0].startswith("Boot")]:
        store.delete(name, guid)
    assert arrive(machine, machine.cold_boot()) == ("y", "b")
    assert started(machine).endswith(f"\\EFI\\BOOT\\{FALLBACK}")
    machine.check("slotctl mark-good")
    assert go(machine, "reboot -f") == ("y", "b")
    assert started(machine).endswith(f"\\EFI\\slotboot\\{LOADER.name}")


def test_without_the_loader_shim_starts_the_slot_with_its_profile(machine):
    machine.check(f"rm /efi/EFI/slotboot/{LOADER.name} && sync")
    boot = machine.run_to_boot("reboot -f")
    assert arrive(machine, boot) == ("y", "b") and "own=of-b" in boot.command_line
    assert "without the loader" in machine.status()["why"]
