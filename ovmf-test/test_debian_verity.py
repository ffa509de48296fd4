# SPDX-License-Identifier: MIT
"""A Debian whose root is under dm-verity, opened by the initramfs as docs/GUIDE.md has it, with the tree behind the root or,
as mkosi has it, in an image of its own. The command line is the same in both slots, as Secure Boot wants it: the slot is told
by the image, and by what the loader says where both hold the same."""
import pytest

import debian
import pki
from httpd import HttpServer
from paths import WORK

SYSTEM = debian.system(12)


@pytest.fixture(scope="module", params=["behind", "apart"])
def tree(request):
    """Where the hash tree is."""
    return request.param


@pytest.fixture(scope="module")
def releases(one_at_a_time, tree):
    with one_at_a_time():
        pki.identities()
    # It takes minutes: the others' machines are made meanwhile.
    with one_at_a_time("making-debian"):
        return {version: SYSTEM.verity_release(version, tree) for version in ("1", "2")}


@pytest.fixture(scope="module")
def web(releases):
    server = HttpServer(WORK / "httpd-verity", SYSTEM.place).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def machine(releases, tree):
    with debian.machine(f"debian-verity-{tree}", releases["1"]) as machine:
        yield machine


def confirmed(machine, slot, version):
    status, output = machine.run("systemctl is-system-running --wait")
    assert (status, output) == (0, "running\n"), machine.run("systemctl --failed; journalctl -b -p warning")[1]
    assert machine.check("findmnt -n -o SOURCE /") == "/dev/mapper/root\n"
    assert "verity" in machine.check("dmsetup table root")
    status = machine.status()
    assert (status["running"], status["preferred"], status["slots"][slot]["status"]) == (slot, slot, "good")
    assert status["slots"][slot]["version"] == version


def test_the_first_boot_confirms_itself(machine):
    assert machine.first.variant == "1"
    confirmed(machine, "a", "1")


def test_an_update_confirms_itself_and_the_same_release_in_both_slots_is_told_apart(machine, web, tree):
    for slot, again in (("b", ""), ("a", " --allow-downgrade")):
        boot = machine.run_to_boot(f"slotctl install {web.url(f'update-verity-{tree}-2.zip')} --activate=reboot{again}")
        assert boot.variant == "2"
        confirmed(machine, slot, "2")
