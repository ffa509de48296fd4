#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A UKI of which the kernel alone changed: what an install from nginx fetches, and what it fetches when it is run again.
Two kernels of Debian 12, and 34.7 MB of initrd, once before the kernel, as ukify lays them out, and once behind it,
where it moves: the older kernel is made longer by MOVED bytes, since Debian's are often of the same size.

Usage: new_kernel.py   (the kernels come from apt)"""
import json
import os
import subprocess
import sys

import roots
from deltas import CountingServer
from measured import RunFailed
from peers import BUILD, SLOTCTL, Slotctl, keys, tool

WORK = BUILD / "bench" / "new-kernel"
INITRD_BYTES = 34_700_000
MOVED = 1536
STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"


def kernels():
    """The two newest that apt knows, unpacked; the older first."""
    listed = roots.run("apt-cache", "pkgnames", "linux-image-6.1.0-", stdout=subprocess.PIPE, text=True).stdout.split()
    plain = [name for name in listed if name.endswith("-amd64") and name.count("-") == 4]
    names = sorted(plain, key=lambda name: int(name.split("-")[3]))[-2:]
    if len(names) < 2:
        sys.exit("new_kernel.py: apt knows no two kernels of Debian 12")
    for name in names:
        if not (WORK / name).exists():
            if not list(WORK.glob(f"{name}_*.deb")):
                roots.run("apt-get", "-qq", "download", name, cwd=WORK, stderr=subprocess.DEVNULL)
            tool("dpkg", "-x", next(WORK.glob(f"{name}_*.deb")), WORK / name)
    return [WORK / name for name in names]


def initrd(root):
    """As large as one with most modules: the modules, compressed as initramfs-tools does."""
    out = WORK / "initrd"
    if not out.exists():
        packed = subprocess.run("find lib -print0 | sort -z | cpio --create --format=newc --null --quiet | zstd -q -9 -c",
                                shell=True, check=True, capture_output=True, cwd=root).stdout
        out.write_bytes(packed[:INITRD_BYTES])
    return out


class Machine(Slotctl):
    """Slot a has the old UKI, and the bundle the new one. Images are small and the same."""

    def __init__(self, order, old, new, archive):
        self.work = WORK / "slotctl"
        self.work.mkdir(exist_ok=True)
        self.key, self.cert = keys(WORK)
        self.image = WORK / "image.img"
        self.image.write_bytes(bytes(range(256)) * 256)
        self.kernel = next(new.glob("boot/vmlinuz-*"))
        before = self.work / "linux-before"
        before.write_bytes(next(old.glob("boot/vmlinuz-*")).read_bytes() + bytes(MOVED if order == "behind" else 0))
        self.uki = self._uki(WORK / f"{order}-old.efi", order, before, archive)
        self.new = self._uki(WORK / f"{order}-new.efi", order, self.kernel, archive)
        self.bundle = WORK / f"{order}.zip"
        self.bundle.unlink(missing_ok=True)
        tool(SLOTCTL, "bundle", "create", f"--output={self.bundle}", "--compatible=bench", "--version=2", f"--uki={self.new}",
             f"--image=rootfs={self.image}", f"--key={self.key}", f"--cert={self.cert}")

    def _uki(self, out, order, kernel, archive):
        for name, text in (("cmdline", "quiet slotboot.slot={slot}"), ("osrel", "ID=bench\n")):
            (self.work / name).write_text(text)
        files = {"osrel": self.work / "osrel", "cmdline": self.work / "cmdline"}
        last = {"linux": kernel, "initrd": archive}
        files.update(last if order == "behind" else reversed(last.items()))
        sections = []
        for at, (name, file) in enumerate(files.items()):
            sections += ["--add-section", f".{name}={file}",
                         "--change-section-vma", f".{name}={0x1_4000_0000 + (at + 1) * 0x400_0000:#x}"]
        tool("objcopy", *sections, STUB, out)
        return out

    def prepare(self):
        target = WORK / "target.img"
        target.write_bytes(bytes(self.image.stat().st_size))
        self.top = self._machine(target)
        (self.top / "a.img").write_bytes(self.image.read_bytes())

    def install(self, port):
        done = subprocess.run([SLOTCTL, "install", f"http://127.0.0.1:{port}/{self.bundle.name}", "--activate=none",
                               "--allow-downgrade", "--json", f"--config={self.top}/slotboot.conf"],
                              env={**os.environ, **self.env}, capture_output=True, text=True)
        there = self.top / "esp/EFI/slotboot/b/uki.efi"
        if done.returncode != 0 or there.read_bytes() != self.new.read_bytes():
            raise RunFailed(done.stderr + done.stdout[-500:])
        return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    old, new = kernels()
    archive = initrd(new)
    server = CountingServer(WORK / "httpd", WORK).start()
    for order in ("before", "behind"):
        machine = Machine(order, old, new, archive)
        machine.prepare()
        kernel = machine.kernel.stat().st_size
        print(f"initrd {order} the kernel: UKI {machine.new.stat().st_size:,}, kernel {kernel:,} bytes", flush=True)
        for what in ("the kernel alone changed", "the same bundle again"):
            count, requests, _ = server.counted(machine.install)
            print(f"  {what:26} {count:12,} bytes, {requests:4} requests, {count / kernel:.3f} times the kernel", flush=True)
    server.stop()


if __name__ == "__main__":
    main()
