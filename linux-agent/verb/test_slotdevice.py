# SPDX-License-Identifier: MIT
"""Slots that are real block devices: mounted, in use, failing, gone; and an ESP that is full. Loop devices and
mounts need root and a kernel that has them; where they cannot be had, the cases say so and are skipped."""
import ctypes
import errno
import os
import signal
import subprocess
import time

import pytest
from drymachine import DATAERR, IOERR, refuse, refuse_install
from test_engine import MIB, bundle, held_chunks, images, install, server  # noqa: F401 (fixtures)

LIBC = ctypes.CDLL(None, use_errno=True)
READ_ONLY = 1


def run(*argv):
    return subprocess.run([*map(str, argv)], check=True, capture_output=True, text=True).stdout.strip()


def mount(device, where):
    """0 or errno. By the system call: mount(8) would look for a file system first."""
    result = LIBC.mount(str(device).encode(), str(where).encode(), b"ext4", READ_ONLY, None)
    return 0 if result == 0 else ctypes.get_errno()


@pytest.fixture
def tmpfs(tmp_path):
    """Mounts file systems in memory; they go with the test."""
    mounted = []

    def tmpfs(where, size):
        where.mkdir(exist_ok=True)
        try:
            run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", where)
        except (OSError, subprocess.CalledProcessError) as e:
            pytest.skip(f"a tmpfs cannot be mounted here: {getattr(e, 'stderr', e)}")
        mounted.append(where)
    yield tmpfs
    for where in mounted:
        subprocess.run(["umount", "-l", where], check=True)


@pytest.fixture
def loop(tmpfs, machine):  # noqa: F811
    """Slot b is a loop device over b.img."""
    devices = []

    def loop(size=16 * MIB):
        backing = machine.top / "b.img"
        with backing.open("wb") as f:
            f.truncate(size)
        try:
            device = run("losetup", "--find", "--show", backing.resolve())
        except (OSError, subprocess.CalledProcessError) as e:
            pytest.skip(f"no loop device can be had here: {getattr(e, 'stderr', e)}")
        devices.append(device)
        conf = machine.top / "slotboot.conf"
        conf.write_text(conf.read_text().replace(f"b = {backing}\n", f"b = {device}\n"))
        return device
    yield loop
    for device in devices:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture
def stalled(machine, server, bundle, images):  # noqa: F811
    """Starts an install that stops in the middle of its transfer, with some chunks written."""
    processes = []

    def stalled():
        server.content = bundle(images[0], "2", "--no-delta").read_bytes()
        server.stall = True
        server.reset(left=8 * MIB)
        process = machine.start("install", server.url, "--activate=none")
        processes.append(process)
        assert server.reached.wait(600)
        end = time.monotonic() + 600
        while held_chunks(machine, images[0]) < 4 and time.monotonic() < end:
            assert process.poll() is None
        return process
    yield stalled
    for process in processes:
        process.kill()
        process.communicate()


def left_in_writing(machine, process, words):
    _, errors = process.communicate(timeout=600)
    assert process.returncode == IOERR, errors
    for word in words:
        assert word in errors, errors
    state = machine.status()
    assert state["preferred"] == "a" and state["slots"]["a"]["status"] == "good"
    assert state["slots"]["b"]["status"] == "writing"


def test_a_mounted_slot_is_refused(machine, create, loop, tmp_path):  # noqa: F811
    device = loop()
    run("mkfs.ext4", "-q", device)
    (tmp_path / "mnt").mkdir()
    assert mount(device, tmp_path / "mnt") == 0
    try:
        refuse_install(machine, IOERR, [f"failed to open slot target {device}", "it is mounted or in use"], create())
    finally:
        run("umount", tmp_path / "mnt")
    machine.check("install", create(), "--activate=none")


def test_a_slot_that_another_process_holds_is_refused(machine, create, loop):  # noqa: F811
    device = loop()
    holder = os.open(device, os.O_RDWR | os.O_EXCL)
    try:
        refuse_install(machine, IOERR, [f"failed to open slot target {device}", "it is mounted or in use"], create())
    finally:
        os.close(holder)


def test_a_slot_cannot_be_mounted_while_it_is_written(machine, server, loop, stalled, tmp_path):  # noqa: F811
    device = loop()
    (tmp_path / "mnt").mkdir()
    process = stalled()
    assert mount(device, tmp_path / "mnt") == errno.EBUSY
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=600)
    # What was written is no file system; it is not in use any more.
    assert mount(device, tmp_path / "mnt") == errno.EINVAL


def test_a_slot_that_goes_away_midway(machine, server, bundle, images, loop, stalled):  # noqa: F811
    """The device has no size any more, as one that was pulled out."""
    device = loop()
    process = stalled()
    os.truncate(machine.top / "b.img", 0)
    run("losetup", "--set-capacity", device)
    server.stall = False
    server.left = None
    server.release.set()
    left_in_writing(machine, process, [f"failed to write {device}: the device is gone"])
    os.truncate(machine.top / "b.img", 16 * MIB)
    run("losetup", "--set-capacity", device)
    machine.check("install", server.url, "--activate=none")
    assert (machine.top / "b.img").read_bytes().startswith(images[0])


def test_a_disk_that_cannot_be_read_is_not_called_full(machine, loop):
    """provision would advise to wipe it."""
    device = loop()
    os.truncate(machine.top / "b.img", 32768)
    refuse(machine, IOERR, [f"failed to look at {device}: Input/output error"], "provision", device, "--bundle=none.zip", "--dry-run")
    os.truncate(machine.top / "b.img", 16 * MIB)


def test_a_device_that_fails_from_some_sector_on(machine, bundle, images, loop, tmpfs):  # noqa: F811
    """What is under the loop device is full."""
    tmpfs(machine.top / "small", "5m")
    (machine.top / "b.img").unlink()
    (machine.top / "b.img").symlink_to(machine.top / "small/b.img")
    device = loop()
    process = machine.start("install", bundle(images[0], "2", "--no-delta"), "--activate=none")
    left_in_writing(machine, process, [f"failed to write {device}: "])


def test_an_esp_without_room_is_refused(machine, create, tmpfs):  # noqa: F811
    """A copy of the ESP, and then one page for the new UKI."""
    esp, full = machine.top / "esp", machine.top / "full"
    tmpfs(full, "1m")
    run("cp", "-a", f"{esp}/EFI", full)
    esp.rename(machine.top / "old")
    esp.symlink_to(full)
    with (full / "filler").open("wb") as f:
        left = os.statvfs(full)
        f.write(bytes(left.f_bavail * left.f_frsize - 4096))
    refuse_install(machine, DATAERR, ["does not fit the ESP", "(4096 bytes free for slot b)"], create())


def test_an_esp_without_room_for_a_long_manifest_is_refused(machine, craft, tmpfs):  # noqa: F811
    """There is room for the UKI with what is to spare, and then not for the manifest."""
    esp, full = machine.top / "esp", machine.top / "full"
    tmpfs(full, "4m")
    run("cp", "-a", f"{esp}/EFI", full)
    esp.rename(machine.top / "old")
    esp.symlink_to(full)
    with (full / "filler").open("wb") as f:
        left = os.statvfs(full)
        f.write(bytes(left.f_bavail * left.f_frsize - 720 * 1024))
    bundle = craft(alter=lambda text: text + b"\n" * 950000)
    refuse_install(machine, DATAERR, ["the UKI with its index, manifest and what lies beside it", "does not fit the ESP"], bundle)


def test_an_image_that_does_not_fit_the_file_system_of_its_slot_file_is_refused(machine, create, tmpfs):  # noqa: F811
    slots = machine.top / "slots"
    tmpfs(slots, "2m")
    run("mv", machine.top / "b.img", slots)
    (machine.top / "b.img").symlink_to(slots / "b.img")
    refuse_install(machine, DATAERR, ["the image rootfs (", "does not fit slot b", "with what is free beside it"],
                   create())
    assert os.statvfs(slots).f_bavail * 4096 > MIB


def test_a_slot_file_has_the_room_that_it_takes_already(machine, create, tmpfs):  # noqa: F811
    slots = machine.top / "slots"
    tmpfs(slots, "4m")
    (slots / "b.img").write_bytes(bytes(3 * MIB))
    (machine.top / "b.img").unlink()
    (machine.top / "b.img").symlink_to(slots / "b.img")
    machine.check("install", create(), "--activate=none")
