# SPDX-License-Identifier: MIT
"""Installs over HTTP: what is fetched and what is not. The server counts every byte of every body."""
import json
import os
import random
import signal
import subprocess
import threading
import time
import zipfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from drymachine import BUILD, DATAERR, SLOTCTL, UNAVAILABLE, refuse_install

MIB = 1 << 20
SMALL = 100_000     # directory, manifest, indexes: the end of the object is 66 KiB


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        s = self.server
        with s.mutex:
            s.requests += 1
        if s.drip and s.drips == 2:
            return self.be_busy()
        if s.before and s.before(self):
            return
        first, last, status = 0, len(s.content) - 1, 200
        wanted = self.headers.get("Range") if s.ranges else None
        if wanted:
            a, b = wanted.removeprefix("bytes=").split("-")
            first = int(a) if a else max(0, len(s.content) - int(b))
            last = min(int(b), last) if a and b else last
            status = 206
        self.send_response(status)
        self.send_header("ETag", s.etag)
        if s.kind:
            self.send_header(*s.kind)
        if s.sized:
            self.send_header("Content-Length", str(last - first + 1))
        else:
            self.close_connection = True
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(s.content)}")
        self.end_headers()
        self.body(s.piece(first, last))

    def body(self, content):
        s = self.server
        for at in range(0, len(content), 8192):
            if s.drip and s.left is not None and s.left <= 0:
                return self.drip(content[at:])
            piece = content[at:at + 8192]
            with s.mutex:
                if s.left is not None:
                    piece = piece[:max(0, s.left)]
                    s.left -= len(piece)
                s.bytes += len(piece)
            self.wfile.write(piece)
            if s.left is not None and s.left <= 0:
                s.reached.set()
                if s.drip:
                    continue
                if s.stall:
                    s.release.wait(600)
                else:
                    s.left = s.drop_every
                self.close_connection = True
                return

    def be_busy(self):
        """For longer than any deadline: the client gives up at once, however slow this host is."""
        self.send_response(503)
        self.send_header("Retry-After", "1000000")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def drip(self, content):
        """One byte at a time, ten a second."""
        self.server.drips += 1
        try:
            for i in range(len(content)):
                if self.server.release.wait(0.1):
                    break
                self.wfile.write(content[i:i + 1])
                self.wfile.flush()
        except OSError:
            pass            # it was given up
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.mutex = threading.Lock()
        self.reached, self.release = threading.Event(), threading.Event()
        self.content, self.ranges, self.stall, self.drip, self.drop_every = b"", True, False, False, None
        self.sized = True       # tells the length
        self.etag, self.kind = '"1"', None      # kind: a header more
        self.before = None      # called with the handler; true: that was the answer
        self.spoil, self.spoilings = None, 0    # a byte that is sent wrong, and so many times
        self.reset()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def reset(self, left=None):
        """Forgets the counts; after so many bytes of bodies the connection breaks off, or stalls."""
        self.bytes = self.requests = self.drips = 0
        self.left = left
        self.drop_every = left

    def piece(self, first, last):
        piece = bytearray(self.content[first:last + 1])
        if self.spoilings and first <= self.spoil <= last:
            self.spoilings -= 1
            piece[self.spoil - first] ^= 1
        return bytes(piece)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/bundle.zip"


@pytest.fixture
def server():
    s = Server()
    yield s
    s.release.set()
    s.shutdown()


@pytest.fixture(scope="session")
def images():
    """Two versions of 12 MiB: some 4 KiB blocks differ, and from the middle on all is 8 KiB further."""
    r = random.Random(4)
    old = bytearray(r.randbytes(12 * MIB))
    new = bytearray(old[:6 * MIB] + r.randbytes(8192) + old[6 * MIB:12 * MIB - 8192])
    for block in r.sample(range(len(new) // 4096), 20):
        new[block * 4096:block * 4096 + 4096] = r.randbytes(4096)
    return bytes(old), bytes(new)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, parts, identities):
    """Makes each bundle once, with the program as it is installed: that is quick."""
    work, made = tmp_path_factory.mktemp("bundles"), {}

    def make(content, version, *options, base=None, image="rootfs"):
        key = (hash(content), version, options, base is not None)
        if key not in made:
            (work / "new.img").write_bytes(content)
            if base:
                (work / "old.img").write_bytes(base)
                options += (f"--base=rootfs={work / 'old.img'}",)
            out = work / f"{len(made)}.zip"
            subprocess.run([BUILD / "slotctl", "bundle", "create", f"--output={out}", "--compatible=acme",
                            f"--version={version}", f"--uki={parts / 'good.efi'}", "--level=1",
                            f"--image={image}={work / 'new.img'}", f"--key={identities['signer'].key}",
                            f"--cert={identities['signer'].cert}", *options], check=True, capture_output=True)
            made[key] = out
        return made[key]
    return make


@pytest.fixture
def updated(machine, bundle, images):
    """Slot b runs the old image, installed from a bundle; slot a is the target and unrelated."""
    (machine.top / "a.img").write_bytes(os.urandom(4096 * 100))
    machine.check("install", bundle(images[0], "2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    return machine


def install(machine, server, image, slot="a", *options):
    out = machine.check("install", server.url, "--activate=none", *options)
    assert (machine.top / f"{slot}.img").read_bytes() == image
    return out


def held_chunks(machine, image):
    """Whole chunks of the image in slot b."""
    written = (machine.top / "b.img").read_bytes()
    return sum(written[i:i + MIB] == image[i:i + MIB] for i in range(0, len(image), MIB))


def test_a_first_installation_fetches_the_frames_once(machine, server, bundle, images):
    server.content = bundle(images[0], "2", "--no-delta").read_bytes()
    install(machine, server, images[0], "b")
    assert 12 * MIB < server.bytes < 12 * MIB + SMALL + 100_000
    assert server.requests < 12


def test_of_two_images_nothing_is_fetched_twice_although_both_are_looked_at_before_one_is_written(
        machine, server, bundle, images, tmp_path):
    (tmp_path / "usr.img").write_bytes(images[1])
    for slot in "ab":
        (machine.top / f"usr-{slot}.img").write_bytes(b"usr")
    machine.configure(f"[image usr]\na = {machine.top}/usr-a.img\nb = {machine.top}/usr-b.img")
    server.content = bundle(images[0], "2", "--no-delta", f"--image=usr={tmp_path / 'usr.img'}").read_bytes()
    install(machine, server, images[0], "b")
    assert (machine.top / "usr-b.img").read_bytes() == images[1]
    assert server.requests < 14 and server.bytes < 24 * MIB + SMALL + 100_000


def test_an_unchanged_image_fetches_only_index_and_directory(updated, server, bundle, images):
    server.content = bundle(images[0], "3").read_bytes()
    install(updated, server, images[0])
    assert server.bytes < 2 * SMALL


def test_from_an_older_image_only_changed_blocks_are_fetched(updated, server, bundle, images):
    server.content = bundle(images[1], "3").read_bytes()
    install(updated, server, images[1])
    assert server.bytes < 22 * 4096 + 5 * SMALL   # the blocks, their index and dictionary
    assert server.requests < 40


def test_from_a_named_base(updated, server, bundle, images):
    server.content = bundle(images[1], "3", "--no-delta", base=images[0]).read_bytes()
    out = install(updated, server, images[1])
    assert server.bytes < 22 * 4096 + 2 * SMALL, out


def spoiled(path, pinned):
    """The bundle with the first byte of an entry changed."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as z:
        entry = z.getinfo(pinned(json.loads(z.read("manifest.json"))["payloads"][1])["file"])
    header = entry.header_offset
    at = header + 30 + int.from_bytes(data[header + 26:header + 28], "little") \
        + int.from_bytes(data[header + 28:header + 30], "little")
    data[at] ^= 1
    return bytes(data)


@pytest.mark.parametrize("part", ["blocks index", "base index"])
def test_damage_in_a_delta_costs_no_more_than_the_delta(updated, server, bundle, images, part):
    """What is equal is copied all the same."""
    by_base = part == "base index"
    path = bundle(images[1], "3", *(["--no-delta"] if by_base else []), base=images[0] if by_base else None)
    server.content = spoiled(path, lambda payload: payload["bases"][0]["index"] if by_base else payload["blocks"]["index"])
    out = install(updated, server, images[1])
    assert server.bytes > 6 * MIB, out


def test_a_damaged_dictionary_is_found_before_anything_is_written(updated, server, bundle, images):
    server.content = spoiled(bundle(images[1], "3"), lambda payload: payload["blocks"]["dictionary"])
    before = (updated.top / "a.img").read_bytes()
    status, _, errors = updated.run("install", server.url, "--activate=none")
    assert (status, "rootfs.dict is damaged" in errors) == (65, True), errors
    assert (updated.top / "a.img").read_bytes() == before


def test_frames_of_the_bundle_before_serve_the_next_one(updated, server, bundle, images):
    """The first half is where it was, the rest is not."""
    server.content = bundle(images[1], "3", f"--reuse={bundle(images[0], '2')}").read_bytes()
    install(updated, server, images[1])


def test_a_second_install_of_the_same_bundle_keeps_the_uki(updated, server, bundle, images):
    """What runs has another UKI."""
    server.content = bundle(images[1], "3").read_bytes()
    install(updated, server, images[1])
    (updated.top / "esp/EFI/slotboot/b/uki.efi").write_bytes(b"another")
    size = (updated.top / "esp/EFI/slotboot/a/uki.efi").stat().st_size
    assert f"{size} copied" in install(updated, server, images[1])


def test_blocks_of_the_target_slot_are_left_in_place(updated, server, bundle, images):
    """The older image is in the target; what runs is unrelated."""
    (updated.top / "a.img").write_bytes(images[0])
    (updated.top / "b.img").write_bytes(os.urandom(len(images[0])))
    (updated.top / "esp/EFI/slotboot/a/manifest.json").write_bytes(
        (updated.top / "esp/EFI/slotboot/b/manifest.json").read_bytes())
    half = images[0][:6 * MIB] + images[1][6 * MIB:]
    server.content = bundle(half, "3").read_bytes()
    install(updated, server, half)
    assert server.bytes < 7 * MIB


def peak_memory(process):
    """The most that a process had in memory, as of the last look before it ended."""
    peak = 0
    while process.poll() is None:
        with suppress(OSError, StopIteration):
            text = open(f"/proc/{process.pid}/status").read().splitlines()
            peak = int(next(line for line in text if line.startswith("VmHWM")).split()[1])
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    return peak << 10


@pytest.mark.skipif("SLOTBOOT_LONG" not in os.environ, reason="takes minutes: SLOTBOOT_LONG=1")
def test_from_an_older_image_over_4_gib(machine, server, parts, identities, tmp_path):
    """Sparse; what is behind 4 GiB moves by 8 KiB. With the program as it is installed: its memory counts."""
    r, beyond = random.Random(5), 4 << 30
    end, new = r.randbytes(24 * MIB), r.randbytes(8192)
    for path, content in ((machine.top / "a.img", end), (machine.top / "b.img", end), (tmp_path / "new.img", new + end)):
        with path.open("wb") as f:
            f.seek(beyond)
            f.write(content)
    signer = identities["signer"]
    create = subprocess.Popen([BUILD / "slotctl", "bundle", "create", f"--output={tmp_path / 'new.zip'}", "--level=1",
                               "--compatible=acme", "--version=2", f"--uki={parts / 'good.efi'}",
                               f"--image=rootfs={tmp_path / 'new.img'}", f"--key={signer.key}",
                               f"--cert={signer.cert}"], stdout=subprocess.DEVNULL)
    assert peak_memory(create) < 96 * MIB and create.returncode == 0
    server.content = (tmp_path / "new.zip").read_bytes()
    held = json.loads(subprocess.run([SLOTCTL, "bundle", "info", "--manifest", tmp_path / "new.zip"], check=True,
                                     capture_output=True).stdout)
    held["payloads"][0]["sha256"] = held["payloads"][1]["sha256"] = "0" * 64
    for slot in "ab":
        (machine.top / f"esp/EFI/slotboot/{slot}").mkdir(exist_ok=True)
        (machine.top / f"esp/EFI/slotboot/{slot}/manifest.json").write_text(json.dumps(held))
    process = subprocess.Popen([BUILD / "slotctl", "install", server.url, "--activate=none",
                                f"--config={machine.top / 'slotboot.conf'}"], stdout=subprocess.DEVNULL,
                               env={**os.environ, "EFIVARFS_PATH": f"{machine.top}/vars/"})
    peak = peak_memory(process)
    assert process.returncode == 0
    with (machine.top / "b.img").open("rb") as f:
        assert os.lseek(f.fileno(), 0, os.SEEK_DATA) == beyond
        f.seek(beyond)
        assert f.read() == new + end
    index = held["payloads"][1]["blocks"]["index"]["size"]
    assert server.bytes < index + 40 * 4096 + 5 * SMALL, "the blocks that are new, and the index of all"
    assert peak < 64 * MIB


def test_a_running_slot_that_is_not_what_its_manifest_says(updated, server, bundle, images):
    """Damaged since: what the delta does not yield is fetched whole."""
    damaged = bytearray(images[0])
    for at in range(0, len(damaged), 3 * MIB):
        damaged[at + 5000:at + 9000] = os.urandom(4000)
    (updated.top / "b.img").write_bytes(damaged)
    for options, base in (((), None), (("--no-delta",), images[0])):
        server.reset()
        server.content = bundle(images[1], "3", *options, base=base).read_bytes()
        install(updated, server, images[1])
        assert server.bytes < 11 * MIB


@pytest.mark.parametrize("sized", [True, False])
def test_of_a_server_without_ranges_all_is_spooled_and_said(updated, server, bundle, images, sized):
    """No delta is worth its work then: all of the bundle is at hand."""
    (updated.top / "spool").mkdir()
    updated.configure(f"spool-dir = {updated.top}/spool")
    server.ranges, server.sized = False, sized
    server.content = bundle(images[1], "3").read_bytes()
    out = install(updated, server, images[1])
    told = f"({len(server.content)} bytes) into" if sized else "whose size it does not tell, into"
    assert f"the server has no ranges: fetching the whole bundle{' ' if sized else ', '}{told} {updated.top}/spool\n" in out
    assert "verifying rootfs" in out and f"fetched {len(server.content)} bytes in 2 requests" in out
    assert server.requests == 2, "for the end, and for the first byte"
    assert list((updated.top / "spool").iterdir()) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_an_image_by_reference_is_not_fetched(updated, server, bundle, images, tmp_path, ranges):
    (tmp_path / "rootfs.img").write_bytes(images[0])
    (tmp_path / "usr.img").write_bytes(images[1][:MIB])
    for slot in "ab":
        (updated.top / f"usr-{slot}.img").write_bytes(b"usr")
    updated.configure(f"[image usr]\na = {updated.top}/usr-a.img\nb = {updated.top}/usr-b.img")
    server.content = bundle(images[1][:MIB], "3", "--no-delta", f"--reference=rootfs={tmp_path / 'rootfs.img'}",
                            image="usr").read_bytes()
    server.ranges = ranges
    install(updated, server, images[0])
    assert (updated.top / "usr-a.img").read_bytes() == images[1][:MIB]
    assert len(server.content) < 2 * MIB
    assert server.requests == 2 or ranges       # for the end, and for the first byte


@pytest.mark.parametrize("ranges", [True, False])
def test_an_image_by_reference_that_is_not_here_leaves_every_byte(updated, server, bundle, images, tmp_path, ranges):
    """Whatever else there is to be fetched and written first."""
    (tmp_path / "rootfs.img").write_bytes(images[1])
    for slot in "ab":
        (updated.top / f"usr-{slot}.img").write_bytes(b"usr")
    updated.configure(f"[image usr]\na = {updated.top}/usr-a.img\nb = {updated.top}/usr-b.img")
    server.content = bundle(images[0][:MIB], "3", "--no-delta", f"--reference=rootfs={tmp_path / 'rootfs.img'}",
                            image="usr").read_bytes()
    server.ranges = ranges
    refuse_install(updated, DATAERR, ["leaves out the image rootfs", "in neither slot"], server.url)


def test_a_link_that_drops_again_and_again(machine, server, bundle, images):
    machine.configure("deadline = 600")
    server.content = bundle(images[0], "2", "--no-delta").read_bytes()
    server.reset(left=5 * MIB)
    install(machine, server, images[0], "b")
    assert server.bytes < 12 * MIB + SMALL + 200_000


TOO_SLOW = "deadline = 3600\nlow-speed = 1000\nlow-speed-time = 1"


def test_a_drip_from_the_first_byte_leaves_every_byte(machine, server, bundle, images):
    """Each try ends for being too slow, and another begins."""
    machine.configure(TOO_SLOW)
    server.content = bundle(images[0], "2", "--no-delta").read_bytes()
    server.drip = True
    server.reset(left=0)
    said = refuse_install(machine, UNAVAILABLE, ["gave up after"], server.url)
    assert "Operation too slow. Less than 1000 bytes/sec" in said, said
    assert server.drips == 2


def test_a_drip_midway_can_be_resumed(machine, server, bundle, images):
    # By libcurl's average over the last 5 s it is too slow only some time after the 8 MiB.
    machine.configure(TOO_SLOW)
    server.content = bundle(images[0], "2", "--no-delta").read_bytes()
    server.drip = True
    server.reset(left=8 * MIB)
    status, out, errors = machine.run("install", server.url, "--activate=none")
    assert status == UNAVAILABLE and "gave up after" in errors and "too slow" in out + errors, out + errors
    state = machine.status()
    assert state["preferred"] == "a" and state["slots"]["b"]["status"] == "writing"
    held = held_chunks(machine, images[0])
    assert held >= 4
    server.drip = False
    server.release.set()
    server.reset()
    install(machine, server, images[0], "b")
    assert server.bytes < (12 - held) * MIB + SMALL + 100_000


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_there_already_is_not_fetched_again(machine, server, bundle, images, sig):
    """Stopped in the middle; the next run keeps every whole chunk."""
    machine.configure("deadline = 600")
    server.content = bundle(images[0], "2", "--no-delta").read_bytes()
    server.stall = True
    server.reset(left=8 * MIB)
    process = machine.start("install", server.url, "--activate=none")
    assert server.reached.wait(600)
    end = time.monotonic() + 600
    while held_chunks(machine, images[0]) < 4 and time.monotonic() < end:
        assert process.poll() is None
    process.send_signal(sig)
    process.communicate(timeout=600)
    server.release.set()
    assert machine.status()["slots"]["b"]["status"] == "writing"
    held = held_chunks(machine, images[0])
    assert held >= 4
    server.stall = False
    server.reset()
    install(machine, server, images[0], "b")
    assert server.bytes < (12 - held) * MIB + SMALL + 100_000


def test_a_first_chunk_that_is_wrong_leaves_every_byte(machine, server, bundle, images):
    content = bytearray(bundle(images[0], "2", "--no-delta").read_bytes())
    at = content.index(images[0][1000:1100])
    content[at] ^= 1
    server.content = bytes(content)
    refuse_install(machine, DATAERR, ["rootfs.img.zst", "chunk 0"], server.url)


def test_a_later_chunk_that_is_wrong_is_not_written(machine, server, bundle, images):
    content = bytearray(bundle(images[0], "2", "--no-delta").read_bytes())
    at = content.index(images[0][5 * MIB + 1000:5 * MIB + 1100])
    content[at] ^= 1
    server.content = bytes(content)
    status, _, errors = machine.run("install", server.url, "--activate=none")
    assert status == DATAERR and "chunk 5" in errors, errors
    assert images[0][5 * MIB:5 * MIB + 500] not in (machine.top / "b.img").read_bytes()
    state = machine.status()
    assert state["preferred"] == "a" and state["slots"]["b"]["status"] == "writing"
