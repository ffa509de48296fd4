# SPDX-License-Identifier: MIT
"""Real Debians whose root or data is not a plain partition: a root below an overlay with its changes in memory, and a btrfs
root with /var in LUKS. slotctl finds the slot that runs, confirms it, and updates the other."""
import pytest

import debian
import pki
from httpd import HttpServer
from paths import WORK

SYSTEM = debian.system(12)


@pytest.fixture(scope="module", params=["overlay", "btrfs"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def releases(one_at_a_time, kind):
    with one_at_a_time():
        pki.identities()
    # It takes minutes: the others' machines are made meanwhile.
    with one_at_a_time("making-debian"):
        return {version: getattr(SYSTEM, f"{kind}_release")(version) for version in ("1", "2")}


@pytest.fixture(scope="module")
def web(releases, kind):
    server = HttpServer(WORK / f"httpd-{kind}", SYSTEM.place).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def machine(releases, kind):
    prepare = {"btrfs": debian.encrypt_data}.get(kind, lambda path: None)
    with debian.machine(f"debian-{kind}", releases["1"], prepare) as machine:
        yield machine


def assert_root_is_as_made(machine, kind, slot):
    how = machine.check("findmnt -n -o FSTYPE,OPTIONS /")
    assert how.startswith(f"{kind} ")
    said = machine.check("slotctl status")
    if kind == "overlay":
        assert f"slot {slot} is mounted on /, below an overlay" in said
    else:
        assert how.startswith("btrfs ro,") and f"slot {slot} is mounted on /" in said
        assert machine.check("findmnt -n -o SOURCE /var && lsblk -n -o TYPE /dev/mapper/var") == "/dev/mapper/var\ncrypt\n"


def confirmed(machine, kind, slot, version):
    status, output = machine.run("systemctl is-system-running --wait")
    assert (status, output) == (0, "running\n"), machine.run("systemctl --failed; journalctl -b -p warning")[1]
    assert_root_is_as_made(machine, kind, slot)
    status = machine.status()
    assert (status["running"], status["preferred"], status["slots"][slot]["status"]) == (slot, slot, "good")
    assert status["slots"][slot]["version"] == version
    machine.check("slotctl doctor")


def test_the_first_boot_confirms_itself(machine, kind):
    assert (machine.first.variant, machine.first.slot) == ("1", "a")
    confirmed(machine, kind, "a", "1")
    machine.check("touch /var/kept")


def test_an_update_confirms_itself_and_finds_the_data(machine, kind, web):
    if kind == "overlay":
        machine.check("mount -o remount,rw / && touch /root/lost")
    boot = machine.run_to_boot(f"slotctl install {web.url(f'update-{kind}-2.zip')} --activate=reboot")
    assert (boot.variant, boot.slot) == ("2", "b")
    confirmed(machine, kind, "b", "2")
    machine.check("test -e /var/kept && test ! -e /root/lost")
