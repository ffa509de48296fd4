# SPDX-License-Identifier: MIT
"""The contestants: each makes its bundle of an image once, and installs it from a file or a URL."""
import os
import shutil
import subprocess
from pathlib import Path

from image import once
from measured import RunFailed, run

TOP = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("SLOTBOOT_BUILD", TOP / "build")).resolve()
SLOTCTL = BUILD / "slotctl"


def tool(*argv, **options):
    subprocess.run([str(word) for word in argv], check=True, capture_output=True, **options)


def keys(work):
    """One key and certificate that all of them accept."""
    key, cert = work / "key.pem", work / "cert.pem"
    if not cert.exists():
        tool("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "365", "-subj", "/CN=bench",
             "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature",
             "-addext", "extendedKeyUsage=codeSigning,emailProtection", "-keyout", key, "-out", cert)
    return key, cert


class Slotctl:
    """A machine laid out in a directory, as docs/GUIDE.md's dry run has it."""
    name = "slotctl"

    def __init__(self, work, image):
        self.work, self.image = work / "slotctl", image
        self.work.mkdir(exist_ok=True)
        self.key, self.cert = keys(work)
        self.bundle = work / f"{image.stem}.zip"
        self.uki = self.work / "uki.efi"
        if not self.bundle.exists():
            self._make_uki()
            tool(SLOTCTL, "bundle", "create", f"--output={self.bundle}", "--compatible=bench", "--version=2",
                 f"--uki={self.uki}", f"--image=rootfs={image}", f"--key={self.key}", f"--cert={self.cert}",
                 "--level=3", "--no-delta")     # the peers' level; and they have no deltas

    def _make_uki(self):
        """A small one: the image is what is measured."""
        for name, text in (("linux", "kernel"), ("cmdline", "quiet slotboot.slot={slot}"), ("osrel", "ID=bench\n")):
            (self.work / name).write_text(text)
        sections = []
        for at, name in enumerate(("osrel", "cmdline", "linux")):
            sections += ["--add-section", f".{name}={self.work / name}",
                         "--change-section-vma", f".{name}={0x1_4000_0000 + (at + 1) * 0x100_0000:#x}"]
        tool("objcopy", *sections, "/usr/lib/systemd/boot/efi/linuxx64.efi.stub", self.uki)

    def _machine(self, target):
        top = self.work / "machine"
        shutil.rmtree(top, ignore_errors=True)
        for directory in ("vars", "esp/EFI/slotboot/a", "esp/EFI/slotboot/b", "root/proc"):
            (top / directory).mkdir(parents=True)
        with open(top / "disk.img", "wb") as disk:
            disk.truncate(64 << 20)
        tool("/usr/sbin/sfdisk", "-q", "--label", "gpt", top / "disk.img", input=b"start=2048, type=uefi\n")
        (top / "a.img").write_bytes(bytes(4096))
        shutil.copy(self.uki, top / "esp/EFI/slotboot/a/uki.efi")
        shutil.copy(BUILD / "efi/slotbootx64.efi", top / "esp/EFI/slotboot/slotbootx64.efi")
        (top / "root/proc/cmdline").write_text("slotboot.slot=a\n")
        (top / "slotboot.conf").write_text(
            f"[slotboot]\ncompatible = bench\nesp = {top}/esp\nesp-device = {top}/disk.img:1\nkeyring = {self.cert}\n"
            f"lock = {top}/lock\nsysroot = {top}/root\n[image rootfs]\na = {top}/a.img\nb = {target}\n")
        self.env = {"EFIVARFS_PATH": f"{top}/vars/"}
        tool(SLOTCTL, "mark-good", f"--config={top}/slotboot.conf", env={**os.environ, **self.env})
        return top

    def install(self, source, target):
        top = self._machine(target.path)
        return run([SLOTCTL, "install", source or self.bundle, "--activate=none", "--allow-downgrade", f"--config={top}/slotboot.conf"],
                   env=self.env, then=target.flush)


class Pipe:
    """No signature, no hash, no record: what it costs to unpack and write."""
    name = "zstd | dd"

    def __init__(self, work, image):
        self.bundle = once(work / f"{image.stem}.zst", lambda part: tool("zstd", "-q", "-3", image, "-o", part))

    def install(self, source, target):
        unpack = f"curl -sf '{source}' | zstd -dc" if source else f"zstd -dc '{self.bundle}'"
        return run(["sh", "-c", f"{unpack} | dd of='{target.path}' bs=1M iflag=fullblock conv=fsync,notrunc"],
                   then=target.flush)


class Swupdate:
    name = "SWUpdate"

    def __init__(self, work, image):
        self.work, self.image = work / "swupdate", image
        self.work.mkdir(exist_ok=True)
        self.key, self.cert = keys(work)
        self.packed = work / f"{image.stem}.zst"
        self.bundle = work / f"{image.stem}.swu"

    def _make(self, device):
        """The device's name is part of what is signed."""
        digest = subprocess.run(["sha256sum", self.packed], check=True, capture_output=True, text=True).stdout[:64]
        files = self.work / "files"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        os.link(self.packed, files / "image.zst")
        (files / "sw-description").write_text(
            'software = { version = "2.0"; hardware-compatibility: [ "1.0" ]; images: ( { filename = "image.zst"; '
            f'device = "{device}"; type = "raw"; compressed = "zstd"; installed-directly = true; sha256 = "{digest}"; '
            '} ); }\n')
        tool("openssl", "cms", "-sign", "-binary", "-nosmimecap", "-outform", "DER", "-in", files / "sw-description",
             "-out", files / "sw-description.sig", "-signer", self.cert, "-inkey", self.key)
        with open(self.bundle, "wb") as out:
            subprocess.run(["cpio", "--create", "--format=crc", "--quiet"], check=True, cwd=files, stdout=out,
                           input=b"sw-description\nsw-description.sig\nimage.zst\n")

    def install(self, source, target):
        self._make(target.path)
        where = ["-d", f"-u {source}"] if source else ["-i", self.bundle]
        return run(["swupdate", "-H", "bench:1.0", "-k", self.cert, "--cert-purpose", "codeSigning", *where],
                   cwd=self.work, then=target.flush)


class Rauc:
    """Without a system bus: its service on a session bus of its own; the service's memory counts."""
    name = "RAUC"

    def __init__(self, work, image):
        self.work = work / "rauc"
        self.work.mkdir(exist_ok=True)
        self.key, self.cert = keys(work)
        self.image = image
        self.bundle = once(work / f"{image.stem}.raucb", self._make)

    def _make(self, bundle):
        files = self.work / "files"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        os.link(self.image, files / "rootfs.img")
        (files / "manifest.raucm").write_text("[update]\ncompatible=bench\nversion=2\n[bundle]\nformat=plain\n"
                                              "[image.rootfs]\nfilename=rootfs.img\n")
        tool("rauc", f"--cert={self.cert}", f"--key={self.key}", "bundle", files, bundle)

    def _configure(self, device):
        (self.work / "mount").mkdir(exist_ok=True)
        (self.work / "system.conf").write_text(
            f"[system]\ncompatible=bench\nbootloader=noop\nbundle-formats=plain\nmountprefix={self.work}/mount\n"
            f"statusfile={self.work}/status\nmax-bundle-download-size=8589934592\n"
            f"[keyring]\npath={self.cert}\ncheck-purpose=codesign\n"
            f"[slot.rootfs.0]\ndevice={self.work}/none\ntype=raw\nbootname=A\n"
            f"[slot.rootfs.1]\ndevice={device}\ntype=raw\nbootname=B\n")

    def install(self, source, target):
        self._configure(target.path)
        peak = self.work / "peak"
        script = ("export DBUS_STARTER_BUS_TYPE=session\n"
                  f"rauc --conf={self.work}/system.conf --override-boot-slot=A service >{self.work}/log 2>&1 &\n"
                  "service=$!\nuntil rauc status >/dev/null 2>&1 || ! kill -0 $service; do :; done\n"
                  f"date +%s.%N >{peak}\nrauc install '{source or self.bundle}' || exit 1\ndate +%s.%N >>{peak}\n"
                  f"grep VmHWM /proc/$service/status >>{peak}\nkill $service; wait $service; true\n")
        whole = run(["dbus-run-session", "--", "sh", "-c", script])
        begin, end, memory = peak.read_text().splitlines()
        flush = run(["true"], then=target.flush).seconds
        return type(whole)(float(end) - float(begin) + flush, int(memory.split()[1]))


ALL = (Slotctl, Pipe, Swupdate, Rauc)
__all__ = ["ALL", "RunFailed"]
