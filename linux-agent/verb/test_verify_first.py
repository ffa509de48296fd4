# SPDX-License-Identifier: MIT
"""With verify-first the fallback slot is not given up for a bundle on a web server that is going to fail: what is
needed of it is fetched to a spool file and verified before the slot is touched. The real program (built with ASan and
UBSan) against a server in this process, which counts every byte of every body."""
import json
import os
import subprocess
import zipfile

import pytest
from drymachine import CONFIG, DATAERR, IOERR, OWN_MOUNTS, SLOTCTL, UNAVAILABLE, USAGE, refuse, refuse_install
from test_engine import MIB, SMALL
from test_engine import bundle, images, server, updated  # noqa: F401 (fixtures)

LAYOUTS = {"full": (("--no-delta",), False, "rootfs.img.zst"), "blocks": ((), False, "rootfs.blocks"),
           "base": (("--no-delta",), True, ".base")}


@pytest.fixture
def first(updated):
    """Both slots are good, b runs; verify-first is on."""
    (updated.top / "spool").mkdir()
    updated.configure(f"verify-first = yes\nspool-dir = {updated.top}/spool\ndeadline = 600")
    return updated


def install(machine, server, image, *options):
    server.reset()
    out = machine.check("install", server.url, "--activate=none", *options)
    assert (machine.top / "a.img").read_bytes()[:len(image)] == image
    return out


def of_layout(bundle, images, layout, version="3"):
    options, base, _ = LAYOUTS[layout]
    return bundle(images[1], version, *options, base=images[0] if base else None)


def put_back(machine, held):
    """Slot a as it was before an install, so that another one fetches the same."""
    (machine.top / "a.img").write_bytes(held)
    machine.check("mark-bad", "a")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_not_a_byte_more_is_fetched_and_none_of_them_twice(first, server, bundle, images, layout):
    held = (first.top / "a.img").read_bytes()
    server.content = of_layout(bundle, images, layout).read_bytes()
    install(first, server, images[1], "--verify-first=no")
    plain = server.bytes
    for name in ("manifest.json", "manifest.p7s", "uki.efi"):
        (first.top / "esp/EFI/slotboot/a" / name).unlink()
    put_back(first, held)
    out = install(first, server, images[1])
    assert "fetching and verifying rootfs" in out and "writing rootfs" in out
    assert plain <= server.bytes < plain + SMALL // 2, (plain, server.bytes)
    assert list((first.top / "spool").iterdir()) == []


def spoil(path, name, at):
    """Zeros in the entry whose name ends so, at a part of it; a mebibyte of them, so that some are of what is wanted."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as z:
        entry = next(e for e in z.infolist() if e.filename.endswith(name) or name in e.filename and "index" not in e.filename)
    begin = entry.header_offset + 200
    length = min(64, entry.compress_size // 4)
    begin += int((entry.compress_size - 200 - length) * at)
    data[begin:begin + length] = bytes(length)
    return bytes(data)


@pytest.mark.parametrize("at", [0.6, 0.9])
@pytest.mark.parametrize("ranges, option", [(True, ()), (False, ()), (False, ("--verify-first=no",))])
def test_damage_anywhere_leaves_every_byte(first, server, bundle, images, ranges, option, at):
    server.ranges = ranges
    server.content = spoil(of_layout(bundle, images, "full"), "rootfs.img.zst", at)
    refuse_install(first, DATAERR, ["rootfs.img.zst", "damaged"], server.url, *option)
    assert first.status()["slots"]["a"]["status"] == "good"
    first.check("rollback", "--activate=none")      # there is something to go back to


def test_without_it_late_damage_costs_the_fallback(first, server, bundle, images):
    """What the documents say it costs; and the option goes before the configuration."""
    server.content = spoil(of_layout(bundle, images, "full"), "rootfs.img.zst", 0.9)
    status, _, errors = first.run("install", server.url, "--activate=none", "--verify-first=no")
    assert status == DATAERR and "damaged" in errors and first.status()["slots"]["a"]["status"] == "writing"


@pytest.mark.parametrize("ranges, option", [(True, ()), (False, ()), (False, ("--verify-first=no",))])
def test_a_server_that_goes_away_leaves_every_byte(first, server, bundle, images, ranges, option):
    first.configure(f"verify-first = yes\nspool-dir = {first.top}/spool\ndeadline = 3")
    server.ranges, server.content = ranges, of_layout(bundle, images, "full").read_bytes()
    server.reset(left=8 * MIB)
    server.drop_every = 0
    refuse_install(first, UNAVAILABLE, ["gave up after"], server.url, *option)
    assert list((first.top / "spool").iterdir()) == []


@pytest.mark.parametrize("first_too", [False, True])
def test_what_was_spooled_is_fetched_again_after_a_transfer_that_broke_off(first, server, bundle, images, first_too):
    """What it costs, and one reason why it is not the default: what is in the slot already is kept."""
    first.configure(f"verify-first = {'yes' if first_too else 'no'}\nspool-dir = {first.top}/spool")
    (first.top / "b.img").write_bytes(os.urandom(4096))
    server.content = of_layout(bundle, images, "full", "4").read_bytes()
    server.reset(left=8 * MIB)
    server.drop_every, server.before = 0, lambda asked: server.left <= 0 and not asked.send_error(404)
    assert first.run("install", server.url, "--activate=none")[0] == UNAVAILABLE
    server.before = None
    install(first, server, images[1])
    assert (server.bytes > 11 * MIB) == first_too


@pytest.mark.parametrize("option", [(), ("--verify-first=no",)])
def test_of_a_server_without_ranges_all_is_fetched_once_and_first_in_any_case(first, server, bundle, images, option):
    server.ranges = False
    server.content = of_layout(bundle, images, "blocks").read_bytes()
    out = install(first, server, images[1], *option)
    assert server.requests == 2 and "verifying rootfs" in out      # for the end, and for the first byte


def test_a_delta_that_the_running_slot_does_not_yield_is_fetched_whole_before(first, server, bundle, images):
    damaged = bytearray(images[0])
    for at in range(0, len(damaged), 3 * MIB):
        damaged[at + 5000:at + 9000] = os.urandom(4000)
    (first.top / "b.img").write_bytes(damaged)
    server.content = of_layout(bundle, images, "base").read_bytes()
    install(first, server, images[1])
    assert server.bytes < 11 * MIB


def test_after_an_install_that_was_cut_off_only_the_rest_is_fetched(first, server, bundle, images):
    server.content = spoil(of_layout(bundle, images, "full"), "rootfs.img.zst", 0.9)
    assert first.run("install", server.url, "--activate=none", "--verify-first=no")[0] == DATAERR
    server.content = of_layout(bundle, images, "full").read_bytes()
    install(first, server, images[1])
    assert server.bytes < 6 * MIB


def in_little_room(machine, server, *options):
    """An install with a file system of 2 MiB as spool-dir, in a mount namespace of its own."""
    command = [*OWN_MOUNTS, "sh", "-c", 'mount -t tmpfs -o size=2m none "$1" && shift && exec "$@"', "sh",
               machine.top / "spool", SLOTCTL, "install", server.url, "--activate=none", *options,
               f"--config={machine.top / 'slotboot.conf'}"]
    environment = {**os.environ, "EFIVARFS_PATH": f"{machine.top}/vars/", "LC_ALL": "C"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


WAY_OUT = "make room there, name another directory by spool-dir in slotboot.conf, or "
SERVE_RANGES = WAY_OUT + "serve the bundle with byte ranges"


@pytest.mark.parametrize("ranges, sized, options, words", [
    (True, True, (), ["no room for", WAY_OUT + "verify as it is written: --verify-first=no"]),
    (False, True, (), ["no room for SIZE bytes", SERVE_RANGES]),
    (False, True, ("--verify-first=no",), ["no room for SIZE bytes", SERVE_RANGES]),
    (False, False, (), ["no room for 1048576 bytes, 0 are free", SERVE_RANGES]),
])
def test_a_spool_without_room_is_refused_and_leaves_every_byte(first, server, bundle, images, ranges, sized, options, words):
    """Before anything is fetched, but for a server that does not tell the size."""
    server.ranges, server.sized, server.content = ranges, sized, of_layout(bundle, images, "full").read_bytes()
    server.reset()
    before = first.bytes()
    done = in_little_room(first, server, *options)
    assert done.returncode == IOERR and first.bytes() == before, done.stderr
    for text in [f"failed to spool the bundle in {first.top}/spool: ", *words]:
        assert text.replace("SIZE", str(len(server.content))) in done.stderr, done.stderr
    assert not ranges or server.bytes < MIB


def test_little_room_is_enough_for_a_delta(first, server, bundle, images):
    server.content = of_layout(bundle, images, "blocks").read_bytes()
    assert in_little_room(first, server).returncode == 0


def test_a_spool_that_is_not_there_is_named(first, server, bundle, images):
    first.configure("verify-first = yes\nspool-dir = /nowhere")
    server.content = of_layout(bundle, images, "full").read_bytes()
    for server.ranges in (True, False):
        refuse_install(first, CONFIG, ["failed to make a file in spool-dir = /nowhere"], server.url)
    refuse(first, USAGE, ["--verify-first=maybe: must be yes or no"], "install", server.url, "--activate=none",
           "--verify-first=maybe")


def test_json_tells_how_far_it_is(first, server, bundle, images):
    server.content = of_layout(bundle, images, "full").read_bytes()
    lines = [json.loads(line) for line in install(first, server, images[1], "--json").splitlines()]
    told = [line for line in lines if line["event"] == "progress" and line["step"] == "verify"]
    assert told[-1]["done"] == told[-1]["total"] == len(images[1])
