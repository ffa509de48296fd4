# SPDX-License-Identifier: MIT
"""A real Debian whose root is below an overlay with its changes in memory; and one on btrfs, with /var in LUKS. slotctl
finds the slot that runs, confirms it, and updates the other."""
import pytest

import debian
import pki
from httpd import HttpServer
from paths import WORK

SYSTEM = debian.system(12)
# How a release of it is made, what is mounted on / and on /var, and what status says of the root.
KINDS = {"overlay": (SYSTEM.overlay_release, "overlay", "/dev/vda4", "(slot {} is mounted on /, below an overlay)"),
         "luks": (SYSTEM.luks_release, "btrfs", "/dev/mapper/data", "(slot {} is mounted on /)")}


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def releases(one_at_a_time, kind):
    with one_at_a_time():
        pki.identities()
    # It takes minutes: the others' machines are made meanwhile.
    with one_at_a_time("making-debian"):
        return {version: KINDS[kind][0](version) for version in ("1", "2")}


@pytest.fixture(scope="module")
def web(releases, kind):
    server = HttpServer(WORK / f"httpd-{kind}", SYSTEM.place).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def machine(releases, kind):
    with debian.machine(f"debian-{kind}", releases["1"]) as machine:
        yield machine


def confirmed(machine, kind, slot, version):
    status, output = machine.run("systemctl is-system-running --wait")
    assert (status, output) == (0, "running\n"), machine.run("systemctl --failed; journalctl -b -p warning")[1]
    _, root, var, says = KINDS[kind]
    assert machine.check("findmnt -n -o FSTYPE /") == f"{root}\n"
    assert machine.check("findmnt -n -o SOURCE /var") == f"{var}\n"
    assert says.format(slot) in machine.check("slotctl status")
    status = machine.status()
    assert (status["running"], status["preferred"], status["slots"][slot]["status"]) == (slot, slot, "good")
    assert status["slots"][slot]["version"] == version
    machine.check("slotctl doctor")


def test_the_first_boot_confirms_itself(machine, kind):
    assert (machine.first.variant, machine.first.slot) == ("1", "a")
    confirmed(machine, kind, "a", "1")


def test_an_update_confirms_itself_and_what_was_written_to_var_is_still_there(machine, kind, web):
    machine.check("touch /var/kept && mount -o remount,rw / && touch /root/lost")
    boot = machine.run_to_boot(f"slotctl install {web.url(f'update-{kind}-2.zip')} --activate=reboot")
    assert (boot.variant, boot.slot) == ("2", "b")
    confirmed(machine, kind, "b", "2")
    machine.check("test -e /var/kept && test ! -e /root/lost")
