# SPDX-License-Identifier: MIT
"""Bundles that must not be installed: each refusal names its cause and leaves every byte as it was.
One machine, which never leaves X."""
import zipfile

import pytest

import images

USAGE, DATA, NO_INPUT, UNAVAILABLE, IO, BUSY, CONFIG = 64, 65, 66, 69, 74, 75, 78


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


def alter(bundle, name):
    """Flip a bit in each 1000 bytes of an entry, which is stored: whichever frame is fetched first is wrong."""
    entry = zipfile.ZipFile(bundle).getinfo(name)
    content = bytearray(bundle.read_bytes())
    for at in range(entry.header_offset + 500, entry.header_offset + entry.file_size, 1000):
        content[at] ^= 1
    bundle.write_bytes(content)


@pytest.fixture(scope="module")
def spoiled(bundles, variants):
    """Bad bundles beside the good ones, made from them."""
    directory = bundles["y.zip"].parent
    whole = bundles["y.zip"].read_bytes()
    middle = len(whole) // 2
    (directory / "truncated.zip").write_bytes(whole[:middle])
    (directory / "not-a-zip.zip").write_bytes(b"hello\n" * 1000)
    # Without the blocks, or a machine that runs the last version would not look at what is altered.
    images.create_bundle(directory / "altered-payload.zip", variants["y"], delta=False)
    alter(directory / "altered-payload.zip", "rootfs.img.zst")
    images.create_bundle(directory / "incompatible.zip", variants["y"], compatible="other-device")
    images.create_bundle(directory / "downgrade.zip", variants["y"], version="0.9")
    images.create_bundle(directory / "large-image.zip", variants["y"], padding=[("rootfs", 64 << 20)])
    images.create_bundle(directory / "large-uki.zip", variants["y"], padding=[("uki", 160 << 20)])
    yield
    for name in ("truncated", "not-a-zip", "altered-payload", "incompatible", "downgrade", "large-image",
                 "large-uki"):
        (directory / f"{name}.zip").unlink()


@pytest.mark.parametrize("bundle, status, words", [
    ("y-stranger.zip", DATA, "sign"),
    ("y-expired.zip", DATA, "expired"),
    ("truncated.zip", DATA, ""),
    ("not-a-zip.zip", DATA, "zip"),
    ("incompatible.zip", DATA, "other-device"),
    ("downgrade.zip", DATA, "--allow-downgrade"),
    ("large-image.zip", DATA, "does not fit slot b"),
    ("large-uki.zip", DATA, "does not fit the ESP"),
    ("missing.zip", UNAVAILABLE, "404"),
])
def test_refused_bundle_leaves_everything_byte_identical(machine, install, spoiled, bundle, status, words):
    before = machine.snapshot()
    code, output = machine.run(install(bundle, "none"))
    assert code == status, output
    assert words.lower() in output.lower()
    assert machine.snapshot() == before


EFIVARS = "/sys/firmware/efi/efivars"


@pytest.mark.parametrize("spoil, mend, status, words", [
    (f"mount -o remount,ro {EFIVARS}", f"mount -o remount,rw {EFIVARS}", IO, "remount"),
    (f"umount {EFIVARS}", f"mount -t efivarfs efivarfs {EFIVARS}", CONFIG, "efivarfs"),
    ("umount /efi", "mount -t vfat -o rw,umask=0077 $(cat /tmp/esp) /efi", CONFIG, "/efi"),
], ids=["read-only efivarfs", "no efivarfs", "no ESP"])
def test_unfit_machine_is_refused_and_left_alone(machine, install, spoil, mend, status, words):
    before = machine.snapshot()
    machine.check("awk '$2 == \"/efi\" { print $1 }' /proc/mounts >/tmp/esp; " + spoil)
    try:
        code, output = machine.run(install("y.zip", "none"))
    finally:
        machine.check(mend)
    assert code == status, output
    assert words in output
    assert machine.snapshot() == before


def test_missing_file_is_no_input(machine):
    code, output = machine.run("slotctl install /run/absent.zip --activate=none")
    assert code == NO_INPUT, output
    assert "/run/absent.zip" in output


def test_activation_must_be_named(machine, server):
    code, output = machine.run(f"slotctl install {server.url('y.zip')}")
    assert code == USAGE, output
    assert "--activate" in output


def test_second_install_is_refused_while_one_runs(machine, install, server):
    slow = f"slotctl install {server.url('slow/y.zip')} --activate=none"
    machine.check(f"{slow} >/tmp/first 2>&1 & echo $! >/tmp/first.pid\n"
                  # /proc/locks: whichever kind of lock it takes.
                  "until [ -n \"$(cat /proc/locks)\" ]; do usleep 50000; done")
    try:
        code, output = machine.run(install("y.zip", "none"))
        assert code == BUSY, output
    finally:
        machine.check("pid=$(cat /tmp/first.pid); kill -TERM $pid\n"
                      "while kill -0 $pid 2>/dev/null; do usleep 50000; done")


def test_altered_payload_is_never_written_nor_started(machine, install, spoiled):
    """What a slot holds already may be in place by then; the wrong chunk is not, and nothing starts the rest."""
    before = machine.snapshot()
    code, output = machine.run(install("altered-payload.zip", "reboot"))
    assert code == DATA and "rootfs.img.zst" in output, output
    assert machine.snapshot()["slotboot-a"] == before["slotboot-a"]
    status = machine.status()
    assert (status["preferred"], status["slots"]["a"]["status"]) == ("a", "good")
    assert status["slots"]["b"]["status"] in ("empty", "writing")


def test_cancelled_install_leaves_the_boot_choice_alone(machine):
    status = machine.status()
    assert (status["running"], status["preferred"]) == ("a", "a")
    assert status["slots"]["a"]["status"] == "good"
    assert status["slots"]["b"]["status"] in ("empty", "writing")
