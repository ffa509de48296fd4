#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The bytes of an update, beside what users have today: two steps of a Debian 12 root as five kinds of image, fetched from
nginx over a link (link.c) by slotctl and by casync; what RAUC's adaptive mode reads of its bundle; zstd --patch-from.

The steps: near, the security update of libssl3 and openssl; far, all that Debian 12 has had since its point release.
RAUC streams through nbd. Here its bundle is a loop device, and what the kernel reads of it is counted, for the 4 KiB
chunks that RAUC takes from it: those of which neither the old slot nor what it has written has the hash.

Usage: deltas.py [--steps near,far] [--kinds plain,lz4hc,ext4,squashfs-zstd,squashfs-xz] [--out FILE.tsv]   (as root)"""
import argparse
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "ovmf-test"))
import httpd  # noqa: E402

import roots  # noqa: E402
from image import MIB, erofs_of, once  # noqa: E402
from links import Link, Update, link_program  # noqa: E402
from measured import RunFailed  # noqa: E402
from peers import BUILD, SLOTCTL, keys, tool  # noqa: E402
from roots import BLOCK, UUID  # noqa: E402

WORK = BUILD / "bench" / "deltas"
RTT_MS, RATE = 50, 20 * 125000
KINDS = ("plain", "lz4hc", "ext4", "squashfs-zstd", "squashfs-xz")
WAYS = ("slotctl", "slotctl, named base", "casync", "RAUC adaptive", "RAUC whole", "zstd --patch-from")


def make_image(kind, root, out):
    """The same root makes the same image."""
    if kind in ("plain", "lz4hc"):
        erofs_of(root, out, (f"-U{UUID}", *(("-zlz4hc",) if kind == "lz4hc" else ())))
    elif kind == "ext4":
        roots.ext4_of(root, out, 256 * MIB)
    else:
        tool("mksquashfs", root, out, "-comp", kind.removeprefix("squashfs-"), "-b", "128K", "-noappend", "-no-progress",
             "-mkfs-time", "0")
        with open(out, "ab") as file:
            file.truncate(out.stat().st_size + -out.stat().st_size % BLOCK)     # a device has whole blocks


class CountingServer(httpd.HttpServer):
    """nginx that logs what it sends, headers and all."""

    def start(self, deadline=300):
        self.link = link_program()
        return super().start(deadline)

    def _launch(self, deadline):
        before = httpd._CONFIG
        httpd._CONFIG = before.replace("access_log {dir}/access.log;", "log_format sent '$bytes_sent';\n"
                                       "    access_log {dir}/access.log sent;\n    keepalive_requests 100000;")
        try:
            return super()._launch(deadline)
        finally:
            httpd._CONFIG = before

    def counted(self, function, linked=True):
        """Bytes, requests and seconds of function(port), over the link; else without seconds."""
        log = self.directory / "access.log"
        at = log.stat().st_size if log.exists() else 0
        if linked:
            with Link(self.link, self.port, RTT_MS, RATE, False) as link:
                begin = time.monotonic()
                function(link.port)
                seconds = time.monotonic() - begin
        else:
            function(self.port)
            seconds = None
        time.sleep(0.5)                         # nginx logs a request when its connection is done with it
        sent = [int(line) for line in log.read_text()[at:].split()]
        return sum(sent), len(sent), seconds


class Pair(Update):
    """slotctl in a machine that runs the old image, and knows it by the manifest of the slot."""

    def __init__(self, name, old, new):
        self.work, self.old, self.image = WORK / "slotctl", old, new
        self.work.mkdir(exist_ok=True)
        self.key, self.cert = keys(WORK)
        self.uki = self.work / "uki.efi"
        if not self.uki.exists():
            self._make_uki()
        self.before = once(WORK / f"{name}-before.zip", lambda part: tool(
            SLOTCTL, "bundle", "create", f"--output={part}", "--compatible=bench", "--version=1", f"--uki={self.uki}",
            f"--reference=rootfs={old}", f"--key={self.key}", f"--cert={self.cert}"))
        self.any = once(WORK / f"{name}.zip", lambda part: self._create(part))
        self.base = once(WORK / f"{name}-base.zip", lambda part: self._create(part, f"--base={old}", f"--reuse={self.any}"))

    def _create(self, out, *options):
        tool(SLOTCTL, "bundle", "create", f"--output={out}", "--compatible=bench", "--version=2", f"--uki={self.uki}",
             f"--image=rootfs={self.image}", f"--key={self.key}", f"--cert={self.cert}", *options)

    def _machine(self, target):
        top = super()._machine(target)
        with zipfile.ZipFile(self.before) as installed:
            for name in ("manifest.json", "manifest.p7s"):
                installed.extract(name, top / "esp/EFI/slotboot/a")
        return top

    def install(self, bundle):
        return lambda port: self.run(f"http://127.0.0.1:{port}/{bundle.name}", 4)


def same(image, target):
    if subprocess.run(["cmp", "--quiet", image, target]).returncode != 0:
        raise RunFailed(f"{target} is not {image}")


def casync(name, old, new):
    """Fetches new into a fresh file, with the old image as seed."""
    def make(store):
        index = WORK / f"{name}.caibx"
        index.unlink(missing_ok=True)
        tool("casync", "make", f"--store={store}", index, new)
    store = once(WORK / f"{name}.castr", make)
    target = WORK / "casync.img"

    def extract(port):
        target.unlink(missing_ok=True)
        url = f"http://127.0.0.1:{port}"
        tool("casync", "extract", f"--store={url}/{store.name}", f"--seed={old}", f"{url}/{name}.caibx", target)
        same(new, target)
    return extract


def rauc_bundle(name, new):
    """As its documentation has it for adaptive updates (-b 64k), and in zstd."""
    def make(out):
        files = WORK / "rauc-files"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        os.link(new, files / "rootfs.img")
        (files / "manifest.raucm").write_text("[update]\ncompatible=bench\nversion=2\n[bundle]\nformat=verity\n"
                                              "[image.rootfs]\nfilename=rootfs.img\nadaptive=block-hash-index\n")
        key, cert = keys(WORK)
        tool("rauc", f"--cert={cert}", f"--key={key}", "--mksquashfs-args=-b 64k -comp zstd", "bundle", files, out)
        shutil.rmtree(files)
    return once(WORK / f"{name}.raucb", make)


def wanted_chunks(old, new):
    """Offsets of the chunks that neither old nor new, so far, has."""
    held = {bytes(BLOCK)}                       # RAUC keeps zeros as a chunk of its own
    with open(old, "rb") as file:
        held.update(iter(lambda: file.read(BLOCK), b""))
    with open(new, "rb") as file:
        for at, chunk in enumerate(iter(lambda: file.read(BLOCK), b"")):
            if chunk not in held:
                held.add(chunk)
                yield at * BLOCK


def rauc_reads(bundle, old, new):
    """Bytes and requests that reach the device. Without dm-verity's tree, which the kernel would read too."""
    offsets = list(wanted_chunks(old, new))
    device = subprocess.run(["losetup", "--find", "--show", "--read-only", bundle], check=True, capture_output=True,
                            text=True).stdout.strip()
    mount = WORK / "mount"
    mount.mkdir(exist_ok=True)
    stat = Path("/sys/block", Path(device).name, "stat")
    try:
        tool("blockdev", "--flushbufs", device)
        before = list(map(int, stat.read_text().split()))
        tool("mount", "-t", "squashfs", "-o", "ro", device, mount)
        try:
            (mount / "manifest.raucm").read_bytes()
            next(mount.glob("rootfs.img.*")).read_bytes()       # the hash index
            with open(mount / "rootfs.img", "rb", buffering=0) as image:
                for at in offsets:
                    os.pread(image.fileno(), BLOCK, at)
            after = list(map(int, stat.read_text().split()))
        finally:
            tool("umount", mount)
    finally:
        tool("losetup", "--detach", device)
    return (after[2] - before[2]) * 512, after[0] - before[0], None


def patch_from(name, old, new):
    patch = once(WORK / f"{name}.patch", lambda part: tool("zstd", "-q", "-19", "--long=28", f"--patch-from={old}", new,
                                                           "-o", part))
    return patch.stat().st_size, 1, None


def measure(server, step, kind, old, new):
    """way: (bytes, requests, seconds)"""
    name = f"{step}-{kind}"
    pair, bundle = Pair(name, old, new), rauc_bundle(name, new)
    return dict(zip(WAYS, (
        server.counted(pair.install(pair.any)),
        server.counted(pair.install(pair.base)),
        server.counted(casync(name, old, new), linked=(step, kind) == ("near", "plain")),
        rauc_reads(bundle, old, new),
        (bundle.stat().st_size, 1, None),
        patch_from(name, old, new))))


def judge(kind, got):
    """Prints each way beside slotctl's; whether the goals are met."""
    for way, (count, requests, seconds) in got.items():
        took = f"{seconds:7.1f} s" if seconds is not None else " " * 9
        print(f"  {way:20} {count:12,} bytes {count / got['slotctl'][0]:7.2f} {requests:6} requests {took}", flush=True)
    if kind.startswith("squashfs"):
        ratio = got["slotctl, named base"][0] / got["zstd --patch-from"][0]
        print(f"  named base: {ratio:.2f} times --patch-from (goal 1.5)", flush=True)
        return ratio <= 1.5
    ratios = [got["slotctl"][0] / got[peer][0] for peer in ("casync", "RAUC adaptive")]
    print(f"  {ratios[0]:.2f} of casync's, {ratios[1]:.2f} of RAUC's (goal 0.5)", flush=True)
    return max(ratios) <= 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", default="near,far")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--out", type=Path, default=WORK / "deltas.tsv")
    parser.add_argument("--mirror", help="default: the one apt has for bookworm")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    old_root = roots.point_release(mirror=options.mirror)
    server = CountingServer(WORK / "httpd", WORK).start()
    good = True
    with open(options.out, "w") as out:
        out.write("step\timage\tway\tbytes\trequests\tseconds\n")
        for step in options.steps.split(","):
            root = roots.updated(old_root, step, ("libssl3", "openssl") if step == "near" else roots.outdated(old_root))
            for kind in options.kinds.split(","):
                old, new = (once(WORK / f"{name}-{kind}.img", lambda part, tree=tree: make_image(kind, tree, part))
                            for name, tree in (("old", old_root), (step, root)))
                print(f"{step} {kind}, {new.stat().st_size:,} bytes; load {os.getloadavg()[0]:.1f}", flush=True)
                got = measure(server, step, kind, old, new)
                good = judge(kind, got) and good
                for way, (count, requests, seconds) in got.items():
                    out.write(f"{step}\t{kind}\t{way}\t{count}\t{requests}\t{'' if seconds is None else f'{seconds:.1f}'}\n")
                out.flush()
    server.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
