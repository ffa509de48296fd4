# SPDX-License-Identifier: MIT
"""slotctl against files: a machine laid out in a directory, as a careful user's dry run has it.

Every refusal must name its cause, exit with the right status and leave every byte of slots, ESP and
variables as it was. The program is the one built with ASan and UBSan, so leaks fail here too."""
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "ovmf-test"))
import pki  # noqa: E402
import uki  # noqa: E402

BUILD = Path(os.environ.get("SLOTBOOT_BUILD", TOP / "build"))
SLOTCTL = BUILD / "san" / "slotctl"
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
        subprocess.run(["/usr/sbin/sfdisk", "-q", disk], input=b"label: gpt\nsize=1MiB, type=uefi, name=esp\n",
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
        places += sorted((self.top / "vars").rglob("*")) + sorted((self.top / "esp").rglob("*"))
        return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in places if p.is_file()}


ONCE = {}


def once(name, make):
    """What all modules of a worker share; a session's fixture that modules import is made for each of them."""
    if name not in ONCE:
        ONCE[name] = make()
    return ONCE[name]


@pytest.fixture(scope="session")
def identities(tmp_path_factory):
    return once("identities", lambda: pki.identities(tmp_path_factory.mktemp("pki")))


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    return once("parts", lambda: make_parts(tmp_path_factory.mktemp("parts")))


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


@pytest.fixture
def machine(tmp_path, identities, parts):
    """Confirmed: slot a runs version 1, provisioned from a bundle, and is good."""
    machine = DryMachine(tmp_path, identities["signer"].cert, parts / "first.efi")
    with zipfile.ZipFile(first_version(identities, parts)) as z:
        for name in ("manifest.json", "manifest.p7s"):
            z.extract(name, tmp_path / "esp/EFI/slotboot/a")
    machine.check("mark-good")
    return machine


@pytest.fixture
def create(tmp_path, identities, parts):
    """Makes a bundle with slotctl itself; each once, for under ASan that takes seconds, and a copy for the case."""
    def create(version="2", compatible="acme", who="signer", image="rootfs"):
        kept = parts / f"bundle-{version}-{compatible}-{who}-{image}.zip"
        if not kept.exists():
            subprocess.run([SLOTCTL, "bundle", "create", f"--output={kept}", f"--compatible={compatible}",
                            f"--version={version}", f"--uki={parts / 'good.efi'}",
                            f"--image={image}={parts / 'rootfs.img'}", f"--key={identities[who].key}",
                            f"--cert={identities[who].cert}"], check=True, capture_output=True)
        return Path(shutil.copy(kept, tmp_path / "bundle.zip"))
    return create


def pack(content, log=20):
    """The chunk index and the frames of a payload."""
    index, frames = b"", b""
    for at in range(0, len(content), 1 << log):
        chunk = content[at:at + (1 << log)]
        frame = subprocess.run(["zstd", "-q", "-1", "-c", "--no-check", f"--stream-size={len(chunk)}"], input=chunk,
                               check=True, capture_output=True).stdout
        index += hashlib.sha256(chunk).digest() + struct.pack("<I", len(frame))
        frames += frame
    return struct.pack("<8sHBxIQ", b"SLOTCHNK", 1, log, len(index) // 36, len(content)) + index, frames


@pytest.fixture
def craft(tmp_path, identities, parts):
    """Makes a bundle by hand, so that its manifest can say what slotctl would not."""
    def craft(uki_name="good.efi", change=None, drop=(), size=None, signed=True, tamper=None, alter=lambda text: text):
        files, payloads = {}, [{"type": "uki", "file": "uki.efi.zst"},
                               {"type": "image", "name": "rootfs", "file": "rootfs.img.zst"}]
        for payload, part in zip(payloads, (uki_name, "rootfs.img")):
            content = (parts / part).read_bytes()
            name = payload["file"].split(".")[0] + ".index"
            files[name], files[payload["file"]] = pack(content)
            payload |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(),
                        "index": {"file": name, "size": len(files[name]),
                                  "sha256": hashlib.sha256(files[name]).hexdigest()}}
        for file, value in (size or {}).items():
            next(p for p in payloads if p["file"] == file)["size"] = value
        manifest = {"format": 2, "compatible": "acme", "version": "2", "payloads": payloads} | (change or {})
        (tmp_path / "manifest.json").write_bytes(alter(json.dumps(manifest).encode()))
        who = identities["signer"]
        subprocess.run(["openssl", "cms", "-sign", "-binary", "-in", tmp_path / "manifest.json", "-signer", who.cert,
                        "-inkey", who.key, "-outform", "DER", "-out", tmp_path / "manifest.p7s"], check=True)
        text = (tmp_path / "manifest.json").read_bytes()
        with zipfile.ZipFile(tmp_path / "crafted.zip", "w") as z:
            z.writestr("manifest.json", tamper(text) if tamper else text)
            if signed:
                z.writestr("manifest.p7s", (tmp_path / "manifest.p7s").read_bytes())
            for name, content in files.items():
                if name not in drop:
                    z.writestr(name, content)
        return tmp_path / "crafted.zip"
    return craft


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


# --- what works ---

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


def test_a_loader_variable_that_outlives_a_reset_is_nobodys_word(machine):
    for attributes, loader in ((OF_THIS_BOOT, "slotboot 9"), (ATTRIBUTES, None)):
        (machine.top / "vars" / f"LoaderInfo-{LOADER}").write_bytes(attributes + "slotboot 9\0".encode("utf-16le"))
        assert machine.status()["loader"] == loader


def test_a_plain_boot_is_known_by_the_entry_that_our_loader_selected(machine):
    def wide(text):
        return (text + "\0").encode("utf-16le")

    def why(info, entry):
        machine.set_variable("LoaderInfo", LOADER, wide(info))
        machine.set_variable("LoaderEntrySelected", LOADER, wide(entry))
        return machine.status()["why"] or ""

    machine.check("mark-good")
    assert "without the loader" in machine.status()["why"]
    assert why("slotboot 0.1", "slotboot-a.efi") == "Slot a was started: it was the preferred slot."
    assert why("systemd-boot 252", "slotboot-a.efi").startswith("Slot a was booted by the firmware without")
    assert why("slotboot 0.1", "slotboot-c.efi").startswith("Slot a was booted by the firmware without")
    # It is all that a system without a slot's device or word goes by.
    cmdline = machine.top / "sysroot/proc/cmdline"
    words = cmdline.read_text()
    cmdline.write_text("quiet\n")
    assert why("slotboot 0.1", "slotboot-a.efi") == "Slot a was started: it was the preferred slot."
    assert machine.status()["running"] == "a"
    cmdline.write_text(words)
    # What SlotTrace says goes first, also where it makes no sense.
    start_by_loader(machine, 1, 1)
    assert why("slotboot 0.1", "slotboot-a.efi").startswith("The hardware watchdog had reset")
    machine.set_variable("SlotTrace", OURS, b"?")
    assert why("slotboot 0.1", "slotboot-a.efi").startswith("Slot a was booted by the firmware without")


def test_the_watchdog_that_linux_drives_goes_into_the_record(machine, create):
    assert machine.status()["watchdog"]["hardware"] == "none"
    add_watchdog(machine, "iTCO_wdt")
    machine.configure("watchdog = always\nwatchdog-timeout = 40")
    machine.check("install", create(), "--activate=none")
    status = machine.status()["watchdog"]
    assert status == {"hardware": "itco", "timeout": 40, "trial": True, "good": True, "driver": "iTCO_wdt",
                      "this_boot": None, "last_reset": None}
    assert "watchdog   itco, 40 s, for all boots\n" in machine.check("status")
    add_watchdog(machine, "Software Watchdog")
    machine.check("install", create("3"), "--activate=none")
    assert machine.status()["watchdog"]["hardware"] == "none"
    assert "none that the loader can arm (Linux drives Software Watchdog)" in machine.check("status")


def test_status_says_what_the_loader_did_with_the_watchdog(machine):
    add_watchdog(machine, "i6300ESB timer")
    machine.check("mark-good")
    for watchdog, reset, words in ((0, 0, ("off", "unknown")), (1, 1, ("armed", "watchdog")),
                                   (2, 2, ("not-found", "other")), (3, 0, ("failed", "unknown"))):
        start_by_loader(machine, watchdog, reset)
        status = machine.status()
        assert (status["watchdog"]["this_boot"], status["watchdog"]["last_reset"]) == words
        assert ("The hardware watchdog had reset the machine." in status["why"]) == (reset == 1)
    machine.boot_by("kexec", "a")
    assert machine.status()["watchdog"]["this_boot"] is None


def test_mark_good_stops_the_watchdog_that_the_loader_armed(machine):
    device = machine.top / "sysroot/dev/watchdog0"
    add_watchdog(machine, "iTCO_wdt")
    machine.check("mark-good")
    assert device.read_bytes() == b""
    start_by_loader(machine, 1, 0)
    assert "watchdog: iTCO_wdt is stopped\n" in machine.check("mark-good")
    assert device.read_bytes() == b"V"
    add_watchdog(machine, "iTCO_wdt", "active")
    assert "watchdog: iTCO_wdt is left to the process that feeds it\n" in machine.check("mark-good")
    assert device.read_bytes() == b""
    machine.boot_by("kexec", "a")
    add_watchdog(machine, "iTCO_wdt")
    assert "watchdog: iTCO_wdt is stopped\n" in machine.check("mark-good")


def test_mark_good_warns_of_an_armed_watchdog_without_a_driver(machine):
    add_watchdog(machine, "iTCO_wdt")
    machine.check("mark-good")
    add_watchdog(machine, "Software Watchdog")
    start_by_loader(machine, 1, 0)
    out = machine.check("mark-good")
    assert "warning: the loader started the watchdog (itco)" in out and "modprobe iTCO_wdt" in out
    # From the next boot on it is not armed: this image would be reset while healthy.
    assert machine.status()["watchdog"]["hardware"] == "none"
    assert (machine.top / "sysroot/dev/watchdog0").read_bytes() == b""


def test_an_install_fills_the_idle_slot_and_confirms_step_by_step(machine, create, parts):
    bundle = create()
    machine.check("install", bundle, "--activate=none")
    assert (machine.top / "b.img").read_bytes() == (parts / "rootfs.img").read_bytes()
    directory = machine.top / "esp/EFI/slotboot/b"
    assert (directory / "uki.efi").read_bytes() == (parts / "good.efi").read_bytes()
    with zipfile.ZipFile(bundle) as z:
        for name in ("uki.index", "manifest.json", "manifest.p7s"):
            assert (directory / name).read_bytes() == z.read(name), name
    status = machine.status()
    assert status["slots"]["b"]["status"] == "trial" and status["slots"]["b"]["version"] == "2"
    assert status["preferred"] == "a"
    machine.check("mark-active", "b")
    assert machine.status()["preferred"] == "b"
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    assert machine.status()["slots"]["b"]["status"] == "good"


def test_the_foreign_boot_entry_stays_where_it_was(machine, create):
    machine.check("install", create(), "--activate=none")
    order = struct.unpack("<4H", machine.variable("BootOrder", GLOBAL))
    assert order[3] == 0 and len(set(order)) == 4
    assert machine.variable("Boot0000", GLOBAL) == load_option("Other OS")
    names = [machine.variable(f"Boot{n:04X}", GLOBAL)[6:] for n in order[:3]]
    for name, text in zip(names, ("slotboot", "slotboot a", "slotboot b")):
        assert name.startswith(text.encode("utf-16le") + b"\0\0")


def test_a_second_mark_good_writes_nothing(machine):
    machine.check("mark-good")
    before = machine.bytes()
    machine.check("mark-good")
    assert machine.bytes() == before


def test_good_after_a_kexec_is_a_trial_and_good_only_after_a_firmware_boot(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.boot_by("kexec", "b")
    machine.check("mark-good")
    status = machine.status()
    assert status["boot"] == "kexec" and status["preferred"] == "b"
    assert status["slots"]["b"]["status"] == "trial" and status["slots"]["b"]["confirmed"]
    machine.boot_by("firmware", "b")
    refuse_install(machine, CONFIG, ["not confirmed"], create("3"))
    machine.check("mark-good")
    assert machine.status()["slots"]["b"]["status"] == "good"


def test_mark_good_does_not_undo_a_choice_made_since(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.check("mark-good")
    assert machine.status()["preferred"] == "b"


def test_mark_bad_hands_the_preference_to_the_other(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.check("mark-bad", "b")
    status = machine.status()
    assert status["preferred"] == "a" and status["slots"]["b"]["reason"] == "operator"


def test_rollback_goes_back_and_leaves_the_unconfirmed_slot_bad(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("rollback", "--activate=none")
    status = machine.status()
    assert status["preferred"] == "a" and status["slots"]["b"]["reason"] == "rolled-back"


def test_an_equal_version_and_an_allowed_downgrade_install(machine, create):
    machine.check("install", create("2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    machine.check("install", create("2"), "--activate=none")
    machine.check("install", create("1"), "--activate=none", "--allow-downgrade")


def test_json_progress_is_one_object_a_line(machine, create):
    out = machine.check("install", create(), "--activate=none", "--json")
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert events[0] == "fetch" and events[-1] == "done"


def test_the_mirror_stands_in_for_a_lost_variable(machine):
    (machine.top / "vars" / f"SlotState-{OURS}").unlink()
    status = machine.status()
    assert status["state"]["source"] == "mirror" and status["slots"]["a"]["status"] == "good"
    machine.check("mark-good")
    assert machine.status()["state"]["source"] == "variable"


# --- what is refused: the bundle ---

def test_an_unsigned_bundle(machine, craft):
    refuse_install(machine, DATAERR, ["manifest.p7s"], craft(signed=False))


@pytest.mark.parametrize("who, word", [("stranger", "slotboot test stranger"), ("expired", "expired")])
def test_a_wrong_signer_or_an_expired_certificate(machine, create, who, word):
    refuse_install(machine, DATAERR, [word], create(who=who))


def test_an_altered_manifest(machine, craft):
    refuse_install(machine, DATAERR, ["signature"], craft(tamper=lambda text: text.replace(b'"2"', b'"3"')))


@pytest.mark.parametrize("payload", ["uki.efi.zst", "rootfs.img.zst"])
def test_an_altered_payload(machine, craft, tmp_path, payload):
    bundle = craft()
    with zipfile.ZipFile(bundle) as z:
        files = {name: z.read(name) for name in z.namelist()}
    files[payload] = files[payload][:5000] + bytes([files[payload][5000] ^ 1]) + files[payload][5001:]
    with zipfile.ZipFile(tmp_path / "altered.zip", "w") as z:
        for name, content in files.items():
            z.writestr(name, content)
    refuse_install(machine, DATAERR, [payload], tmp_path / "altered.zip")


@pytest.mark.parametrize("at", [0.1, 0.5, 0.8, 0.99])
def test_a_chunk_that_is_damaged_anywhere_in_a_bundle_at_hand(machine, create, at):
    """Both slots are good: the fallback is not given up for it."""
    machine.check("install", create("2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    bundle = create("3")
    data = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as z:
        entry = z.getinfo("rootfs.img.zst")
    where = entry.header_offset + int(entry.compress_size * at)
    data[where:where + 64] = bytes(64)
    bundle.write_bytes(data)
    refuse_install(machine, DATAERR, ["rootfs.img.zst", "damaged"], bundle)
    assert machine.status()["slots"]["a"]["status"] == "good"


@pytest.mark.parametrize("payload", ["uki.efi.zst", "rootfs.img.zst"])
def test_a_missing_payload(machine, craft, payload):
    refuse_install(machine, DATAERR, [payload], craft(drop=[payload]))


@pytest.mark.parametrize("by", [-1, 1])
def test_a_payload_of_another_size(machine, craft, by):
    refuse_install(machine, DATAERR, ["rootfs.index"], craft(size={"rootfs.img.zst": (3 << 20) + by}))


def test_a_uki_that_is_not_the_manifests_though_every_chunk_is_the_indexs(machine, craft):
    """A builder may get this wrong that is not slotctl."""
    def other(text):
        manifest = json.loads(text)
        manifest["payloads"][0]["sha256"] = manifest["payloads"][1]["sha256"]
        return json.dumps(manifest).encode()
    refuse_install(machine, DATAERR, ["uki.efi.zst does not have the SHA-256 in the manifest"], craft(alter=other))


def test_a_bundle_for_another_machine(machine, create):
    refuse_install(machine, DATAERR, ["umbrella", "acme"], create(compatible="umbrella"))


def test_a_lower_version(machine, create):
    machine.check("install", create("2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    refuse_install(machine, DATAERR, ["1.9", "--allow-downgrade"], create("1.9"))


@pytest.mark.parametrize("spoil", ["gone", "forged", "another"])
def test_a_running_version_that_no_signature_vouches_for_wants_allow_downgrade(machine, create, spoil):
    """A manifest.json that says version 0, one without its signature, and a genuine one of another UKI."""
    here = machine.top / "esp/EFI/slotboot/a"
    words = {"gone": "it has no signed manifest", "forged": "altered after it was signed",
             "another": "is not of the UKI that the slot record has for slot a"}[spoil]
    if spoil == "gone":
        (here / "manifest.p7s").unlink()
    elif spoil == "forged":
        (here / "manifest.json").write_text((here / "manifest.json").read_text().replace('"version": "1"',
                                                                                         '"version": "0"'))
    else:
        machine.change_record((AT_DIGEST_A, "B", machine.variable("SlotState", OURS)[AT_DIGEST_A] ^ 1))
    bundle = create("0.9")
    refuse_install(machine, CONFIG, ["whether version 0.9 is a downgrade", "running slot a is not known", words,
                                     "--allow-downgrade installs"], bundle)
    assert not machine.status()["slots"]["a"]["version_verified"]
    assert "(not verified)" in machine.check("status")
    machine.check("install", bundle, "--activate=none", "--allow-downgrade")
    assert machine.status()["slots"]["b"]["version_verified"]


def test_an_image_that_is_not_configured(machine, create):
    refuse_install(machine, CONFIG, ["[image usr]"], create(image="usr"))


@pytest.mark.parametrize("content", [b"", b"not a ZIP file", bytes(100000)], ids=["empty", "text", "zeros"])
def test_what_is_not_a_zip(machine, tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    refuse_install(machine, DATAERR, ["x.zip"], tmp_path / "x.zip")


def test_a_zip_of_a_million_entries(machine, tmp_path):
    count, local, entry = 1000000, b"PK\3\4" + bytes(26), b"PK\1\2" + bytes(42)
    end64 = len(local) + count * len(entry)
    with (tmp_path / "x.zip").open("wb") as f:
        f.write(local + count * entry)
        f.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, end64 - len(local), len(local)))
        f.write(struct.pack("<4sLQL", b"PK\6\7", 0, end64, 1))
        f.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0))
    refuse_install(machine, DATAERR, ["x.zip", "1000000 entries, more than any bundle"], tmp_path / "x.zip")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_zip(machine, create, part):
    bundle = create()
    content = bundle.read_bytes()
    bundle.write_bytes(content[:int(len(content) * part)])
    refuse_install(machine, DATAERR, ["bundle.zip"], bundle)


@pytest.mark.parametrize("name, words", [("text.efi", ["not a UKI", "PE"]), ("cut.efi", ["not a UKI"]),
                                         ("arm.efi", ["aarch64", "x86-64"]), ("headless.efi", [".linux"]),
                                         ("overlapping.efi", ["cannot be loaded", ".initrd", ".linux", "overlap"]),
                                         ("blank.efi", ["a .cmdline section with nothing in it"])])
def test_a_uki_that_is_none(machine, craft, name, words):
    refuse_install(machine, DATAERR, words, craft(name))


def create_uki(tmp_path, uki_file):
    return subprocess.run([SLOTCTL, "bundle", "create", f"--output={tmp_path / 'one.zip'}", "--compatible=acme",
                           "--version=1", f"--uki={uki_file}", "--unsigned"], capture_output=True, text=True)


@pytest.mark.parametrize("name, words", [("overlapping.efi", "overlap in memory"), ("blank.efi", "nothing in it")])
def test_a_uki_that_cannot_be_loaded_is_not_bundled(tmp_path, parts, name, words):
    got = create_uki(tmp_path, parts / name)
    assert got.returncode == DATAERR and words in got.stderr, got.stderr
    assert not (tmp_path / "one.zip").exists()


def test_a_uki_with_more_sections_than_some_firmware_takes_is_a_warning(machine, tmp_path, parts, craft):
    assert uki.section((parts / "many.efi").read_bytes(), b".x12")
    got = create_uki(tmp_path, parts / "many.efi")
    assert got.returncode == 0 and "26 sections" in got.stdout + got.stderr
    assert "26 sections" in machine.check("install", craft("many.efi"), "--activate=none")
    assert "sections" not in create_uki(tmp_path, parts / "good.efi").stdout


def test_no_such_bundle(machine, tmp_path):
    refuse_install(machine, NOINPUT, ["nothing.zip"], tmp_path / "nothing.zip")
    refuse_install(machine, NOINPUT, ["nothing.zip"], f"file://{tmp_path}/nothing.zip")


def test_a_server_that_is_not_there(machine):
    machine.configure("deadline = 1")
    refuse_install(machine, UNAVAILABLE, ["127.0.0.1"], "http://127.0.0.1:1/x.zip")


@pytest.fixture
def release(tmp_path, parts, identities):
    """A bundle of the good UKI and what else is given."""
    def release(version, *images, name="release.zip"):
        subprocess.run([SLOTCTL, "bundle", "create", f"--output={tmp_path / name}", "--compatible=acme",
                        f"--version={version}", f"--uki={parts / 'good.efi'}", *images,
                        f"--key={identities['signer'].key}", f"--cert={identities['signer'].cert}"],
                       check=True, capture_output=True)
        return tmp_path / name
    return release


@pytest.fixture
def updated(machine, create):
    """Slot b runs version 2, installed from a bundle; slot a is idle and holds something else."""
    machine.check("install", create("2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    return machine


def test_a_bundle_that_leaves_out_an_image_of_the_configuration(updated, release):
    """The idle slot's would be of the release before the running one, under the number of the new one."""
    refuse_install(updated, DATAERR, ["no image rootfs", "would keep an older one", "--image=rootfs=FILE",
                                      "--reference=rootfs=FILE"], release("6"))


BLOCK = 64 << 10


def half_and_half(machine, image):
    """The even chunks in one slot, the odd ones in the other."""
    for name, held in (("a", 0), ("b", 1)):
        (machine.top / f"{name}.img").write_bytes(b"".join(
            image[at:at + BLOCK] if at // BLOCK % 2 == held else bytes(BLOCK) for at in range(0, len(image), BLOCK)))


def by_hand(machine):
    """No manifest says what the running slot holds."""
    (machine.top / "esp/EFI/slotboot/b/manifest.json").unlink()


def cut_off(machine):
    machine.change_record((AT_STATUS_A, "B", WRITING))


@pytest.mark.parametrize("prepare, in_place", [
    (lambda m, image: None, 0), (lambda m, image: (m.top / "a.img").write_bytes(image), 48), (half_and_half, 24),
    (lambda m, image: (cut_off(m), half_and_half(m, image)), 24), (lambda m, image: by_hand(m), 0)],
    ids=["running", "target", "both", "cut-off", "by-hand"])
def test_an_image_by_reference_is_taken_from_where_it_is(updated, release, parts, prepare, in_place):
    image, copied = (parts / "rootfs.img").read_bytes(), (48 - in_place) * BLOCK
    prepare(updated, image)
    if (updated.top / "esp/EFI/slotboot/b/manifest.json").exists():     # then the UKI is sought there as well
        copied += (parts / "good.efi").stat().st_size
    bundle = release("3", f"--reference=rootfs={parts / 'rootfs.img'}", "--chunk-size=64K")
    assert bundle.stat().st_size < 200_000
    said = updated.check("install", bundle, "--activate=none", "--allow-downgrade")
    assert f"{in_place * BLOCK} were in place, {copied} copied" in said
    assert (updated.top / "a.img").read_bytes() == image
    assert updated.status()["slots"]["a"]["status"] == "trial"


def test_an_image_by_reference_that_is_not_here_leaves_every_byte(updated, release, parts):
    """One chunk is enough."""
    image = bytearray((parts / "rootfs.img").read_bytes())
    image[100 * 1024] ^= 1
    for slot in "ab":
        (updated.top / f"{slot}.img").write_bytes(image)
    refuse_install(updated, DATAERR, ["release.zip", "leaves out the image rootfs", "1 of its 48 chunks are in neither"],
                   release("3", f"--reference=rootfs={parts / 'rootfs.img'}", "--chunk-size=64K"))


def test_a_bundle_says_which_image_it_has_by_reference(machine, release, parts, identities):
    bundle = release("3", f"--reference=rootfs={parts / 'rootfs.img'}")
    said = machine.check("bundle", "info", bundle)
    assert "rootfs      not in the bundle, 3145728 bytes" in said and "by reference" in said
    for where in (bundle, f"file://{bundle}"):
        assert "good, signed by" in machine.check("bundle", "verify", where)
    got, _, errors = machine.run("bundle", "create", "--reference=rootfs")
    assert got == USAGE and "--reference=rootfs: must be NAME=FILE" in errors


@pytest.mark.parametrize("folder", ["d" * 200 + "/" + "e" * 200 + "/" + "f" * 200, "name\x1b[1m"], ids=["long", "escape"])
def test_bundle_info_opens_the_very_path_and_not_the_text_that_is_shown(machine, create, folder):
    bundle = machine.top / folder / "new.zip"
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(create("2").read_bytes())
    assert machine.check("bundle", "info", bundle).count(", frames ") >= 2
    assert "good, signed by" in machine.check("bundle", "verify", bundle)


@pytest.mark.parametrize("installed, shown", [(0, None), (1, 1), (2**63 - 1, 2**63 - 1), (2**63, None), (2**64 - 1, None)])
def test_a_time_that_is_none_is_not_shown_as_another(machine, installed, shown):
    machine.change_record((AT_INSTALLED_A, "<Q", installed))
    assert machine.status()["slots"]["a"]["installed"] == shown
    assert ("; installed 1970-01-01" in machine.check("status")) == (installed == 1)


def test_a_slot_in_writing_has_neither_the_version_nor_the_time_of_what_it_held(machine, create):
    machine.check("install", create("2"), "--activate=none")
    order = machine.top / "vars" / f"BootOrder-{GLOBAL}"
    order.write_bytes(struct.pack("<IH", 3, 0))
    assert machine.status()["slots"]["b"]["version"] == "2"
    assert machine.run("install", create("3"), "--activate=none")[0] == IOERR
    slot = machine.status()["slots"]["b"]
    assert (slot["status"], slot["version"], slot["installed"]) == ("writing", None, None)
    assert not any("version" in line or "installed" in line for line in machine.check("status").splitlines()
                   if line.startswith("slot b"))


# --- what is refused: the machine ---

@pytest.mark.parametrize("second", ["a.img", "link.img"])
def test_one_target_for_both_slots(machine, create, second):
    (machine.top / "link.img").symlink_to(machine.top / "a.img")
    machine.configure()
    text = (machine.top / "slotboot.conf").read_text().replace(f"b = {machine.top}/b.img", f"b = {machine.top}/{second}")
    (machine.top / "slotboot.conf").write_text(text)
    refuse_install(machine, CONFIG, ["[image rootfs] b", "also another"], create())


def test_a_running_slot_that_is_unknown(machine, create):
    (machine.top / "sysroot/proc/cmdline").write_text("quiet\n")
    refuse_install(machine, CONFIG, ["running slot"], create())


def mount(machine, text, loops):
    """mountinfo as text, and loop devices 7:N over the files named."""
    (machine.top / "sysroot/proc/self/mountinfo").write_text(text)
    for number, name in enumerate(loops):
        backing = machine.top / f"sysroot/sys/dev/block/7:{number}/loop/backing_file"
        backing.parent.mkdir(parents=True, exist_ok=True)
        backing.write_text(f"{machine.top.resolve()}/{name}\n")


def test_a_slot_mounted_to_be_looked_at_neither_runs_nor_is_written(machine, create):
    """Also where nothing but the mount says anything of a slot."""
    mount(machine, "20 1 0:21 / / rw - tmpfs tmpfs rw\n21 20 7:1 / /mnt ro - ext4 /dev/loop1 ro\n",
          ["a.img", "b.img"])
    assert machine.status()["running"] == "a"
    refuse_install(machine, CONFIG, ["slot b is mounted on /mnt", "unmount it first"], create())
    (machine.top / "sysroot/proc/cmdline").write_text("quiet\n")
    assert machine.status()["running"] is None
    refuse_install(machine, CONFIG, ["running slot"], create())


def test_the_slot_below_an_overlay_runs(machine):
    (machine.top / "sysroot/proc/cmdline").write_text("quiet\n")
    mount(machine, "20 1 7:0 / /media/root-ro ro - erofs /dev/loop0 ro\n21 1 0:30 / / rw - overlay overlay "
          "rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/o,workdir=/media/root-rw/w\n", ["a.img"])
    assert machine.status()["running"] == "a"
    assert "slot a is mounted on /, below an overlay" in machine.check("status")


def test_a_root_that_is_no_slot_is_not_taken_for_one(machine, create):
    """Another disk's partition of the same label: the command line says a all the same."""
    mount(machine, "20 1 8:3 / / rw - ext4 /dev/sda3 rw\n", [])
    refuse_install(machine, CONFIG, ["root is on 8:3, which is no slot"], create())
    refuse(machine, CONFIG, ["root is on 8:3, which is no slot"], "mark-good")


def test_a_running_slot_that_is_not_confirmed(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    refuse_install(machine, CONFIG, ["not confirmed", "mark-good"], create("3"))


def test_no_record_at_all(machine, create):
    (machine.top / "vars" / f"SlotState-{OURS}").unlink()
    (machine.top / "esp/EFI/slotboot/state.bin").write_bytes(bytes(8192))
    refuse_install(machine, CONFIG, ["mark-good first"], create())


def test_missing_efivarfs(machine, create):
    (machine.top / "vars").rename(machine.top / "gone")
    refuse_install(machine, CONFIG, ["EFI variables"], create())


def test_missing_esp(machine, create):
    (machine.top / "esp").rename(machine.top / "gone")
    refuse_install(machine, CONFIG, ["esp"], create())


def test_a_keyring_that_is_missing_or_empty(machine, create):
    bundle = create()
    machine.keyring = machine.top / "no.pem"
    machine.configure()
    refuse_install(machine, CONFIG, ["no.pem"], bundle)
    machine.keyring.write_text("")
    refuse_install(machine, CONFIG, ["no.pem"], bundle)


def test_a_bad_configuration(machine, create, tmp_path):
    (tmp_path / "bad.conf").write_text("[slotboot]\ncompatible = acme\ntires = 3\n")
    refuse(machine, CONFIG, ["bad.conf:3", "tires"], "install", create(), "--activate=none",
           config=tmp_path / "bad.conf")


def test_an_install_while_another_runs(machine, create):
    import fcntl
    with (machine.top / "run/lock.install").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refuse_install(machine, TEMPFAIL, ["another slotctl"], create())


def test_activate_must_be_given(machine, create):
    refuse(machine, USAGE, ["--activate"], "install", create())
    refuse(machine, USAGE, ["--activate"], "install", create(), "--activate=maybe")
    refuse(machine, USAGE, ["--tries"], "install", create(), "--activate=none", "--tries=0")


@pytest.mark.parametrize("argv", [["install"], ["mark-active"], ["mark-active", "c"], ["mark-bad", "a", "b"],
                                  ["rollback"], ["kexec"], ["kexec", "fly"], ["status", "x"],
                                  ["status", "--tries=3"], ["mark-good", "a"], ["nonsense"]])
def test_a_wrong_command_line(machine, argv):
    refuse(machine, USAGE, [], *argv)


def test_marking_what_holds_nothing(machine):
    refuse(machine, CONFIG, ["slot b is empty"], "mark-active", "b")
    refuse(machine, CONFIG, ["nothing to roll back to"], "rollback", "--activate=none")


@pytest.mark.parametrize("verb", ["status", "install", "mark-good", "mark-bad", "mark-active", "rollback", "kexec",
                                  "bundle"])
def test_every_verb_has_help(verb):
    done = subprocess.run([SLOTCTL, verb, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"Usage: slotctl {verb}"), done


# --- half-way ---

class Stall(BaseHTTPRequestHandler):
    """Answers with the start of a bundle and then nothing more."""
    reached = threading.Event()
    release = threading.Event()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"PK")
        self.wfile.flush()
        self.reached.set()
        self.release.wait(600)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_fetching_leaves_every_byte(machine, sig):
    Stall.reached.clear()
    Stall.release.clear()
    server = HTTPServer(("127.0.0.1", 0), Stall)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = machine.bytes()
    process = machine.start("install", f"http://127.0.0.1:{server.server_port}/x.zip", "--activate=none")
    assert Stall.reached.wait(600)
    process.send_signal(sig)
    _, errors = process.communicate(timeout=600)
    Stall.release.set()
    server.shutdown()
    assert process.returncode == TEMPFAIL and "cancelled" in errors, errors
    assert machine.bytes() == before


def test_a_slot_that_cannot_be_written_keeps_the_boot_choice(machine, create):
    """The disk is full: the idle slot is left in writing, and all else as it was."""
    (machine.top / "b.img").unlink()
    (machine.top / "b.img").symlink_to("/dev/full")
    status, _, errors = machine.run("install", create(), "--activate=reboot")
    assert status != 0 and "slot target" in errors
    assert machine.status()["preferred"] == "a"


def test_boot_entries_that_cannot_be_written_keep_the_boot_choice(machine, create):
    """BootOrder has attributes that nobody may change: the install fails at its last step."""
    order = machine.top / "vars" / f"BootOrder-{GLOBAL}"
    order.write_bytes(struct.pack("<I", 3) + order.read_bytes()[4:])
    status, _, errors = machine.run("install", create(), "--activate=reboot")
    assert status == IOERR and "BootOrder" in errors, errors
    status = machine.status()
    assert status["preferred"] == "a" and status["slots"]["b"]["status"] == "writing"


def test_a_record_with_a_good_checksum_and_nonsense_in_it_is_lost(machine):
    record = bytearray(machine.variable("SlotState", OURS))
    record[24] = 7
    struct.pack_into("<I", record, 316, zlib.crc32(bytes(record[:316])))
    machine.set_variable("SlotState", OURS, bytes(record))
    status = machine.status()
    assert status["state"]["variable"] == "value out of range" and status["state"]["source"] == "mirror"


def test_kexec_explain_changes_nothing_and_says_no(machine, create):
    machine.check("install", create(), "--activate=none")
    before = machine.bytes()
    status, out, errors = machine.run("kexec", "explain", "b", "--json")
    told = {check["check"]: check for check in json.loads(out)["checks"]}
    assert (status, json.loads(out)["will_work"]) == (UNAVAILABLE, "no"), errors
    assert "manifest signed by CN=slotboot test signer" in told["image"]["evidence"]
    assert told["format"]["verdict"] == "fail" and "setup header" in told["format"]["evidence"]
    assert (told["capability"]["verdict"], told["load-disabled"]["verdict"]) == ("unknown", "unknown")
    assert "kexec into slot b will not work: .linux is not a kernel" in errors
    assert machine.bytes() == before
    assert "FAILS    format" in machine.run("kexec", "explain", "b")[1]


def test_kexec_refuses_a_uki_that_changed_since_it_was_installed(machine, create):
    machine.check("install", create(), "--activate=none")
    uki_file = machine.top / "esp/EFI/slotboot/b/uki.efi"
    uki_file.write_bytes(uki_file.read_bytes()[:-1] + b"?")
    before = machine.bytes()
    status, _, errors = machine.run("kexec", "load", "b")
    assert status == DATAERR and "not the UKI that was installed" in errors
    status, out, _ = machine.run("kexec", "explain", "b", "--json")
    assert status == UNAVAILABLE
    assert [check["verdict"] for check in json.loads(out)["checks"]] == ["pass", "fail"]
    assert machine.bytes() == before


def test_kexec_explain_of_an_empty_slot_and_json_where_it_has_no_place(machine):
    status, out, errors = machine.run("kexec", "explain", "b")
    assert status == UNAVAILABLE and "it is empty" in out + errors
    assert machine.run("kexec", "load", "b", "--json")[0] == USAGE
    assert machine.run("kexec", "explain", "c")[0] == USAGE
