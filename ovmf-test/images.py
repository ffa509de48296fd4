# SPDX-License-Identifier: MIT
"""The test OS's variants: a root image and a UKI each, and the signed bundle made of them."""
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import initrd
import kernel
import pki
import rootfs
import systemd
import uki
from paths import ARCH, BUNDLER, HERE, SLOTCTL, STUB, WORK, newer_than, run

# Apart from those with another kernel.
SUFFIX = "" if kernel.DEFAULT == "cloud" else f"-{kernel.DEFAULT}"
IMAGES, BUNDLES = WORK / f"images{SUFFIX}", WORK / f"bundles{SUFFIX}"
VERSIONS = {"x": "1", "y": "2", "z": "3"}
COMPATIBLE = "slotboot-test"
# Beside these w and s, of version 1: their kernel has drivers for watchdogs, and lets them run on when it jumps to
# another. In s process 1 is systemd.
FLAVOURS = {"w": "generic", "s": "generic"}
WITH_SYSTEMD = {"s"}
# no_timer_check: emulated on a busy host, the timer may miss the kernel's test of it, which then panics.
COMMAND_LINE = (f"console={ARCH.console} loglevel=4 panic=1 no_timer_check cryptomgr.notests "
                "initcall_blacklist=init_kprobe_trace "
                "slotboot.slot={{slot}} roothash={} variant={}")
WATCHDOG_WORDS = {"w": " watchdog.stop_on_reboot=0 testos.busy", "s": " watchdog.stop_on_reboot=0"}


@dataclass(frozen=True)
class Variant:
    name: str
    version: str
    rootfs: Path
    uki: Path
    root_hash: str


def build(name, directory=IMAGES, slotctl=SLOTCTL):
    """The variant's images, built again only if something they are made from is newer."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    image, efi, facts = (directory / f"{stem}-{name}{suffix}" for stem, suffix in
                         (("rootfs", ".img"), ("uki", ".efi"), ("facts", ".json")))
    modules = (HERE / f"{module}.py" for module in ("arch", "images", "initrd", "kernel", "pki", "programs", "rootfs",
                                                    "systemd", "uki"))
    flavour, version = FLAVOURS.get(name, kernel.DEFAULT), VERSIONS.get(name, "1")
    sources = [kernel.image(flavour), STUB, slotctl, *HERE.glob("guest/*"), *modules,
               *(systemd.sources() if name in WITH_SYSTEMD else [])]
    signer = pki.identities()["signer"]
    if not newer_than(facts, *sources, signer.cert):
        work = directory / f"work-{name}"
        work.mkdir(exist_ok=True)
        # The keyring is also good for the expired signer: that it is refused must come from its date.
        keyring = work / "keyring.pem"
        keyring.write_bytes(signer.cert.read_bytes() + pki.identities()["expired"].cert.read_bytes())
        root_hash, offset = rootfs.build(image, work, name, version, keyring, slotctl, name in WITH_SYSTEMD)
        initrd.build(work / "initrd.cpio.zst", work, offset, flavour)
        uki.build(efi, work, kernel.image(flavour), work / "initrd.cpio.zst", COMMAND_LINE.format(root_hash, name) +
                  WATCHDOG_WORDS.get(name, ""), rootfs.os_release(name, version),
                  kernel.release(flavour))
        shutil.rmtree(work)
        facts.write_text(json.dumps({"root_hash": root_hash, "hash_offset": offset}))
    return Variant(name, version, image, efi, json.loads(facts.read_text())["root_hash"])


def bundle(variant, signer="signer", directory=BUNDLES):
    """The variant as a bundle signed by one of pki's identities, built again only when stale."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    out = directory / f"{variant.name}{'' if signer == 'signer' else '-' + signer}.zip"
    if not newer_than(out, variant.rootfs, variant.uki, pki.identities()[signer].cert, BUNDLER):
        create_bundle(out, variant, signer)
    return out


def create_bundle(out, variant, signer="signer", compatible=COMPATIBLE, version=None, padding=(), delta=True):
    """padding: ("uki" or "rootfs", bytes); grown to that size with zeros, which compress to next to nothing.

    delta: with the 4 KiB blocks."""
    identity = pki.identities()[signer]
    parts = {"uki": variant.uki, "rootfs": variant.rootfs}
    with tempfile.TemporaryDirectory(dir=WORK) as work:
        if compatible != COMPATIBLE or version:
            # IMAGE_ID and IMAGE_VERSION would contradict it.
            parts["uki"] = Path(work) / "uki.efi"
            parts["uki"].write_bytes(variant.uki.read_bytes().replace(b"\nIMAGE_", b"\nOTHER_"))
        for name, size in padding:
            parts[name] = Path(shutil.copy(parts[name], work))
            os.truncate(parts[name], size)
        run(BUNDLER, "bundle", "create", "--output", out, "--compatible", compatible,
            "--version", version or variant.version, "--uki", parts["uki"],
            "--image", f"rootfs={parts['rootfs']},roothash={variant.root_hash}",
            "--key", identity.key, "--cert", identity.cert, "--level=3",
            *(["--no-delta"] if padding or not delta else []))


def put_uki_bundle(machine, name, uki, variant=None):
    """A bundle of a UKI, on the ESP of a machine that is off; by reference also of the variant's image, which the
    machine has."""
    root_hash = f",roothash={variant.root_hash}" if variant and variant.root_hash.encode() in uki else ""
    reference = ["--reference", f"rootfs={variant.rootfs}{root_hash}"] if variant else []
    signer, parts = pki.identities()["signer"], [machine.directory / f"odd.{kind}" for kind in ("efi", "zip")]
    parts[0].write_bytes(uki)
    run(BUNDLER, "bundle", "create", "--output", parts[1], "--compatible", COMPATIBLE, "--version", "1",
        "--uki", parts[0], *reference, "--key", signer.key, "--cert", signer.cert)
    machine.disk.esp.write(name, parts[1].read_bytes())
    for part in parts:
        part.unlink()
