# SPDX-License-Identifier: MIT
"""A machine laid out in a directory, on which slotctl runs as in a careful user's dry run; what it is made of, and how
a refusal is seen. SLOTCTL in the environment names the program; else it is the one built with ASan and UBSan, in which
leaks fail, too."""
import hashlib
import json
import os
import struct
import subprocess
import zlib
from pathlib import Path

import uki
from paths import SFDISK

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SLOTBOOT_BUILD", TOP / "build"))
SLOTCTL = Path(os.environ.get("SLOTCTL", BUILD / "san" / "slotctl")).resolve()
OURS = "a44b7925-64fe-4f5f-9e3a-49b0319efd7d"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
ATTRIBUTES = struct.pack("<I", 7)
OF_THIS_BOOT = struct.pack("<I", 6)     # what a loader leaves for the system
NONCE = 0x0123456789ABCDEF      # on the command line after a kexec
AT_NONCE = 288                  # in the record
AT_DIGEST_A = 88
AT_STATUS_A, WRITING = 64, 1
AT_INSTALLED_A = 120
# With mounts of its own. Root needs no other user namespace, and in a container may not have one.
OWN_MOUNTS = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
USAGE, DATAERR, NOINPUT, UNAVAILABLE, IOERR, TEMPFAIL, CONFIG = 64, 65, 66, 69, 74, 75, 78


def load_option(description, path=b"\x7f\xff\x04\x00", attributes=1):
    return struct.pack("<IH", attributes, len(path)) + description.encode("utf-16le") + b"\0\0" + path


class DryMachine:
    """ESP, two slots, variables, /proc and a configuration, all in one directory."""

    def __init__(self, top, keyring, uki_file):
        self.top = top
        for directory in ("esp/EFI/slotboot/a", "vars", "sysroot/proc/self", "sysroot/proc/sys/kernel", "run"):
            (top / directory).mkdir(parents=True)
        (top / "esp/EFI/slotboot/slotbootx64.efi").write_bytes(b"MZ loader")
        (top / "esp/EFI/slotboot/a/uki.efi").write_bytes(uki_file.read_bytes())
        (top / "esp/EFI/slotboot/state.bin").write_bytes(bytes(8192))
        (top / "a.img").write_bytes(b"image of slot a")
        (top / "b.img").write_bytes(b"image of slot b")
        self.boot_by("firmware", "a")
        self.set_variable("Boot0000", GLOBAL, load_option("Other OS"))
        self.set_variable("BootOrder", GLOBAL, struct.pack("<H", 0))
        self.keyring = keyring
        self.make_disk()
        self.configure()

    def make_disk(self):
        disk = self.top / "disk.img"
        with disk.open("wb") as f:
            f.truncate(3 << 20)
        subprocess.run([*SFDISK, disk], input=b"label: gpt\nsize=1MiB, type=uefi, name=esp\n",
                       check=True)

    def configure(self, extra="", compatible="acme"):
        top = self.top
        (top / "slotboot.conf").write_text(
            f"[slotboot]\ncompatible = {compatible}\nesp = {top}/esp\nesp-device = {top}/disk.img:1\n"
            f"keyring = {self.keyring}\nlock = {top}/run/lock\n"
            f"sysroot = {top}/sysroot\n{extra}\n[image rootfs]\na = {top}/a.img\nb = {top}/b.img\n")

    def boot_by(self, how, slot, meant=True):
        """As the next boot would have it; a kexec that is meant is one of the record's nonce."""
        proc = self.top / "sysroot/proc"
        (proc / "cmdline").write_text(f"quiet slotboot.slot={slot}"
                                      f"{f' slotboot.nonce={NONCE:016x}' if how == 'kexec' else ''}\n")
        (proc / "self/mountinfo").write_text("")
        (proc / "sys/kernel/bootloader_type").write_text("208\n" if how == "kexec" else "33\n")

        if how == "kexec" and meant and (self.top / "vars" / f"SlotState-{OURS}").exists():
            self.change_record((AT_NONCE, "<Q", NONCE))

    def change_record(self, *fields):
        """Each field: its offset, its struct format, its value. The mirror is left older than the variable."""
        record = bytearray(self.variable("SlotState", OURS))
        for offset, layout, value in (*fields, (16, "<Q", struct.unpack_from("<Q", record, 16)[0] + 1)):
            struct.pack_into(layout, record, offset, value)
        struct.pack_into("<I", record, 316, zlib.crc32(bytes(record[:316])))
        self.set_variable("SlotState", OURS, bytes(record))

    def set_variable(self, name, guid, data):
        loaders = guid == LOADER or name == "SlotTrace"
        (self.top / "vars" / f"{name}-{guid}").write_bytes((OF_THIS_BOOT if loaders else ATTRIBUTES) + data)

    def variable(self, name, guid):
        return (self.top / "vars" / f"{name}-{guid}").read_bytes()[4:]

    def start(self, *argv, config=None):
        # A shell has what it starts in the background ignore SIGINT.
        return subprocess.Popen(["env", "--default-signal", SLOTCTL, *map(str, argv), f"--config={config or self.top / 'slotboot.conf'}"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "EFIVARFS_PATH": f"{self.top}/vars/", "LC_ALL": "C"})

    def run(self, *argv, config=None):
        process = self.start(*argv, config=config)
        out, errors = process.communicate(timeout=600)
        assert "Sanitizer" not in errors, errors
        return process.returncode, out, errors

    def check(self, *argv):
        status, out, errors = self.run(*argv)
        assert status == 0, errors
        return out

    def status(self):
        return json.loads(self.check("status", "--json"))

    def bytes(self):
        """What a refusal must leave alone."""
        places = [self.top / "a.img", self.top / "b.img", self.top / "disk.img"]
        # A link among the variables stands for one that cannot be read.
        places += [p for p in sorted((self.top / "vars").rglob("*")) if not p.is_symlink()]
        places += sorted((self.top / "esp").rglob("*"))
        return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in places if p.is_file()}


def changes(machine, *argv):
    """What the verb writes, creates or removes, in words for a table; its status, and all that it says."""
    before = machine.bytes()
    status, out, errors = machine.run(*argv)
    after = machine.bytes()
    names = sorted({Path(name).name.split("-")[0] for name in before.keys() | after.keys()
                    if before.get(name) != after.get(name)})
    verb = " ".join(argv)
    did = f"{verb} wrote {', '.join(names)}" if names else f"{verb} wrote nothing"
    return did if status in (0, 1) else f"{did}, and failed ({status})", status, out + errors


def make_parts(work):
    """UKIs with a kernel that is none, one of them for slot a at first, so that a bundle's UKI is not there
    already; one without .linux, and one for another machine."""
    (work / "linux").write_bytes(b"kernel" * 1000)
    (work / "initrd").write_bytes(b"initrd" * 1000)
    for name, cmdline in (("good", "quiet slotboot.slot={slot}"), ("first", "slotboot.slot={slot}"),
                          ("slotless", "quiet")):
        uki.build(work / f"{name}.efi", work, work / "linux", work / "initrd", cmdline, "ID=test\n", "6.1")
    good = (work / "good.efi").read_bytes()
    (work / "headless.efi").write_bytes(good.replace(b".linux\0\0", b".lunix\0\0"))
    pe = struct.unpack_from("<I", good, 0x3C)[0]
    (work / "arm.efi").write_bytes(good[:pe + 4] + struct.pack("<H", 0xAA64) + good[pe + 6:])
    overlapping, (initrd, _, _), (linux, _, _) = bytearray(good), uki.section(good, b".initrd"), uki.section(good, b".linux")
    overlapping[initrd + 12:initrd + 16] = good[linux + 12:linux + 16]
    (work / "overlapping.efi").write_bytes(overlapping)
    uki.build(work / "blank.efi", work, work / "linux", work / "initrd", "\0", "ID=test\n", "6.1")
    uki.build(work / "many.efi", work, work / "linux", work / "initrd", "quiet", "ID=test\n", "6.1",
              {f".x{i}": b"x" for i in range(13)})
    (work / "text.efi").write_bytes(b"not a PE file")
    (work / "cut.efi").write_bytes(good[:4096])
    (work / "rootfs.img").write_bytes(os.urandom(3 << 20))
    return work


def first_version(identities, parts):
    """A bundle of what slot a holds at first, made once."""
    out = parts / "first.zip"
    if not out.exists():
        subprocess.run([SLOTCTL, "bundle", "create", f"--output={out}", "--compatible=acme", "--version=1",
                        f"--uki={parts / 'first.efi'}", f"--key={identities['signer'].key}",
                        f"--cert={identities['signer'].cert}"], check=True, capture_output=True)
    return out


def addon(path, line, machine=0x8664):
    """A PE file with nothing but a .cmdline."""
    text = line.encode()
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<HH12xHH", machine, 1, 112, 0x22)
    head += struct.pack("<H58xI48x", 0x20B, 512)
    head += struct.pack("<8sIIII16x", b".cmdline", len(text), 0x1000, 512, 512)
    path.write_bytes(head.ljust(512, b"\0") + text.ljust(512, b"\0"))
    return path


def pack(content, log=20):
    """The chunk index and the frames of a payload."""
    index, frames = b"", b""
    for at in range(0, len(content), 1 << log):
        chunk = content[at:at + (1 << log)]
        frame = subprocess.run(["zstd", "-q", "-1", "-c", "--no-check", f"--stream-size={len(chunk)}"], input=chunk,
                               check=True, capture_output=True).stdout
        index += hashlib.sha256(chunk).digest() + struct.pack("<I", len(frame))
        frames += frame
    return struct.pack("<8sHBxIQ", b"SLOTCHNK", 2, log, len(index) // 36, len(content)) + index, frames


def refuse(machine, status, words, *argv, config=None):
    """Refused with that status and those words, and every byte as before; all that was said."""
    before = machine.bytes()
    got, out, errors = machine.run(*argv, config=config)
    assert got == status, errors
    for word in words:
        assert word in errors, errors
    assert machine.bytes() == before
    return out + errors


def refuse_install(machine, status, words, bundle, *options):
    return refuse(machine, status, words, "install", bundle, "--activate=none", *options)


def add_watchdog(machine, identity, state="inactive"):
    """A /dev/watchdog0 that is a file, and what sysfs says of it."""
    attributes = machine.top / "sysroot/sys/class/watchdog/watchdog0"
    attributes.mkdir(parents=True, exist_ok=True)
    for name, value in (("identity", identity), ("nowayout", "0"), ("state", state)):
        (attributes / name).write_text(value + "\n")
    (machine.top / "sysroot/dev").mkdir(exist_ok=True)
    (machine.top / "sysroot/dev/watchdog0").write_bytes(b"")


def start_by_loader(machine, watchdog, reset):
    """SlotTrace of a boot of slot a."""
    machine.set_variable("SlotTrace", OURS, struct.pack("<8s8B8x12x92x", b"SLOTTRCE", 1, 1, 0, 0, 0, 1, watchdog,
                                                        reset))


def mount(machine, text, loops):
    """mountinfo as text, and loop devices 7:N over the files named."""
    (machine.top / "sysroot/proc/self/mountinfo").write_text(text)
    for number, name in enumerate(loops):
        backing = machine.top / f"sysroot/sys/dev/block/7:{number}/loop/backing_file"
        backing.parent.mkdir(parents=True, exist_ok=True)
        backing.write_text(f"{machine.top.resolve()}/{name}\n")
