# SPDX-License-Identifier: MIT
"""A machine for the loader's tests: EDK II's firmware in QEMU, a GPT disk with an ESP."""
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import uuid

from emulated import ARCH, TOP

sys.path.append(os.path.join(TOP, "ovmf-test"))
from asleep import LOOK, STARTS, Sleeper  # noqa: E402
from paths import SFDISK  # noqa: E402
from varstore import GLOBAL, VarStore  # noqa: E402

SECTOR, ESP_START = 512, 2048
ESP_GUID = "11223344-5566-7788-99aa-bbccddeeff00"
DEADLINE = 3600  # seconds: ends what hangs, and nothing that is merely slow


def call(*command, **kw):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **kw)


def ended(process):
    """At once, or after some seconds: not yet."""
    try:
        process.wait(LOOK)
    except subprocess.TimeoutExpired:
        return False
    return True


def disk_make(path, mebibytes, esp):
    with open(path, "wb") as f:
        f.truncate((mebibytes + 2) << 20)
    size = mebibytes << 11
    layout = f"label: gpt\nstart={ESP_START}, size={size}, type=uefi, uuid={esp}\n"
    call(*SFDISK, path, input=layout.encode())
    call("mformat", "-i", f"{path}@@1M", "-T", str(size), "-h", "64", "-s", "32", "::")
    call("mmd", "-i", f"{path}@@1M", *(f"::EFI{d}" for d in
         ("", "/BOOT", "/slotboot", "/slotboot/a", "/slotboot/b", "/test")))


def hd_path(file, mebibytes, esp=ESP_GUID):
    """A device path from the partition on, as boot entries have it."""
    hd = struct.pack("<BBHIQQ16sBB", 4, 1, 42, 1, ESP_START, mebibytes << 11,
                     uuid.UUID(esp).bytes_le, 2, 2)
    name = (file + "\0").encode("utf-16le")
    return hd + struct.pack("<BBH", 4, 4, 4 + len(name)) + name + b"\x7f\xff\x04\x00"


def boot_entry(file, mebibytes, esp=ESP_GUID):
    path = hd_path(file, mebibytes, esp)
    return struct.pack("<IH", 1, len(path)) + (file + "\0").encode("utf-16le") + path


class Machine:
    kept_variables = None       # a store to begin with; None: one of a firmware that was never started

    def __init__(self, folder, mebibytes=8, esp=ESP_GUID):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.folder, self.mebibytes = folder, mebibytes
        self.disk, self.vars_path = self.at("disk.img"), self.at("vars.fd")
        self.serial, self.debug = self.at("serial.log"), self.at("debug.bin")
        self.drive, self.device = "", ""    # more options of QEMU's disk
        self.qemu, self.firmware = ARCH.QEMU, ARCH.FIRMWARE
        disk_make(self.disk, mebibytes, esp)
        # AAVMF's is 64 MB of almost nothing.
        call("cp", "--sparse=always", self.kept_variables or ARCH.VARIABLES, self.vars_path)
        if not self.kept_variables:
            self.store().clear()

    def at(self, name):
        return os.path.join(self.folder, name)

    def put(self, target, data):
        """data: bytes, or the path of a file."""
        source = data
        if isinstance(data, bytes):
            source = self.at("put")
            with open(source, "wb") as f:
                f.write(data)
        call("mcopy", "-o", "-i", f"{self.disk}@@1M", source, "::" + target)

    def get(self, source):
        target = self.at("got")
        call("mcopy", "-o", "-i", f"{self.disk}@@1M", "::" + source, target)
        with open(target, "rb") as f:
            return f.read()

    def store(self):
        return VarStore(self.vars_path)

    def seed(self, *variables):
        """Sets each: name, data, then GUID and attributes where they are not ours."""
        for v in variables:
            self.store().set(*v)

    def variable(self, name, *guid):
        """Its data; None if there is none."""
        found = self.store().get(name, *guid)
        return found and found.data

    def entries(self, *files):
        """Boot0000, Boot0001, ... in this order."""
        order = struct.pack(f"<{len(files)}H", *range(len(files)))
        self.seed(("BootOrder", order, GLOBAL),
                  *((f"Boot{i:04X}", boot_entry(f, self.mebibytes), GLOBAL)
                    for i, f in enumerate(files)))

    def run(self, *extra, resets=False):
        """Boots until the machine shuts itself down, or, without resets, resets itself;
        the serial line's text."""
        for path in (self.serial, self.debug):
            if os.path.exists(path):
                os.remove(path)
        command = [
            *self.qemu, "-nodefaults", "-no-user-config", "-accel", "tcg,thread=single",
            "-m", "256", "-display", "none",
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={self.firmware}",
            "-drive", f"if=pflash,format=raw,unit=1,file={self.vars_path}",
            "-drive", f"if=none,id=d,format=raw,file={self.disk}{self.drive}",
            "-device", f"virtio-blk-pci,drive=d{self.device}",
            "-serial", f"file:{self.serial}",
            *([] if resets else ["-no-reboot"]), *extra]
        for _ in range(STARTS):
            if self._ends(command):
                return self._console()
        raise AssertionError(f"the firmware slept before it started anything, {STARTS} times")

    def _console(self):
        with open(self.serial, encoding="utf-8", errors="replace") as f:
            return f.read()

    def _ends(self, command):
        """Whether the machine has ended by itself. If not, its firmware sleeps, and it is switched off."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        begin, sleeper = time.monotonic(), Sleeper(process.pid)
        try:
            while not ended(process):
                assert time.monotonic() - begin < DEADLINE, "not shut down in time"
                if sleeper.sleeps(self._console()):
                    return False
            assert process.returncode == 0, f"QEMU ended with {process.returncode}"
            return True
        finally:
            process.kill()
            process.wait()


def shown(log):
    """{name: bytes} of what the test application said."""
    return {n: bytes.fromhex(h) for n, h in re.findall(r"SHOW (\w+) ([0-9a-f]*)\r?\n", log)}


def said(log):
    """The loader's own words; the console's escapes and line breaks taken out."""
    text = re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", log.split("SHOW", 1)[0])
    return re.sub(r"[\r\n]+", "", text)
