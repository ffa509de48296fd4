# SPDX-License-Identifier: MIT
"""Bundles that must not be installed: each refusal names its cause and leaves every byte as it was.
One machine, which never leaves X."""
import subprocess

import pytest

import images
import pki
from paths import SLOTCTL

USAGE, DATA, NO_INPUT, UNAVAILABLE, BUSY = 64, 65, 66, 69, 75


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


@pytest.fixture(scope="module")
def spoiled(bundles, variants):
    """Bad bundles beside the good ones, made from them."""
    good = bundles["y.zip"]
    whole = good.read_bytes()
    middle = len(whole) // 2
    made = {"truncated.zip": whole[:middle], "not-a-zip.zip": b"hello\n" * 1000,
            "altered-payload.zip": whole[:middle] + bytes(byte ^ 1 for byte in whole[middle:middle + 64]) + whole[middle + 64:]}
    for name, content in made.items():
        (good.parent / name).write_bytes(content)
    signer = pki.identities()["signer"]
    for name, compatible, version in (("incompatible.zip", "other-device", "2"), ("downgrade.zip", "slotboot-test", "0.9")):
        (good.parent / name).unlink(missing_ok=True)
        subprocess.run([SLOTCTL, "bundle", "create", "--output", good.parent / name, "--compatible", compatible,
                        "--version", version, "--uki", variants["y"].uki, "--image", f"rootfs={variants['y'].rootfs}",
                        "--key", signer.key, "--cert", signer.cert], check=True)
    yield
    for name in (*made, "incompatible.zip", "downgrade.zip"):
        (good.parent / name).unlink()


@pytest.mark.parametrize("bundle, status, words", [
    ("y-stranger.zip", DATA, "sign"),
    ("y-expired.zip", DATA, "expired"),
    ("altered-payload.zip", DATA, ""),
    ("truncated.zip", DATA, ""),
    ("not-a-zip.zip", DATA, "zip"),
    ("incompatible.zip", DATA, "other-device"),
    ("downgrade.zip", DATA, "--allow-downgrade"),
    ("missing.zip", UNAVAILABLE, "404"),
])
def test_refused_bundle_leaves_everything_byte_identical(machine, install, spoiled, bundle, status, words):
    before = machine.snapshot()
    code, output = machine.run(install(bundle, "reboot"), deadline=120)
    assert code == status, output
    assert words.lower() in output.lower()
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
    machine.check(f"slotctl install {server.url('slow/y.zip')} --activate=none >/tmp/first 2>&1 & echo $! >/tmp/first.pid\n"
                  # /proc/locks: whichever kind of lock it takes.
                  "tries=0; until [ -s /proc/locks ] || [ $tries = 200 ]; do tries=$((tries + 1)); usleep 50000; done")
    try:
        code, output = machine.run(install("y.zip", "none"))
        assert code == BUSY, output
    finally:
        machine.check("kill -TERM $(cat /tmp/first.pid)\n"
                      "while kill -0 $(cat /tmp/first.pid) 2>/dev/null; do usleep 50000; done; cat /tmp/first", deadline=30)


def test_cancelled_install_leaves_the_boot_choice_alone(machine):
    status = machine.status()
    assert (status["running"], status["preferred"]) == ("a", "a")
    assert status["slots"]["a"]["status"] == "good"
    assert status["slots"]["b"]["status"] in ("empty", "writing")
