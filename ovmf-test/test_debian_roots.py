# SPDX-License-Identifier: MIT
"""A real Debian whose root is below an overlay with its changes in memory. slotctl finds the slot that runs, confirms it, and
updates the other."""
import pytest

import debian
import pki
from httpd import HttpServer
from paths import WORK

SYSTEM = debian.system(12)


@pytest.fixture(scope="module")
def releases(one_at_a_time):
    with one_at_a_time():
        pki.identities()
    # It takes minutes: the others' machines are made meanwhile.
    with one_at_a_time("making-debian"):
        return {version: SYSTEM.overlay_release(version) for version in ("1", "2")}


@pytest.fixture(scope="module")
def web(releases):
    server = HttpServer(WORK / "httpd-overlay", SYSTEM.place).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def machine(releases):
    with debian.machine("debian-overlay", releases["1"]) as machine:
        yield machine


def confirmed(machine, slot, version):
    status, output = machine.run("systemctl is-system-running --wait")
    assert (status, output) == (0, "running\n"), machine.run("systemctl --failed; journalctl -b -p warning")[1]
    assert machine.check("findmnt -n -o FSTYPE /") == "overlay\n"
    assert f"slot {slot} is mounted on /, below an overlay" in machine.check("slotctl status")
    status = machine.status()
    assert (status["running"], status["preferred"], status["slots"][slot]["status"]) == (slot, slot, "good")
    assert status["slots"][slot]["version"] == version
    machine.check("slotctl doctor")


def test_the_first_boot_confirms_itself(machine):
    assert (machine.first.variant, machine.first.slot) == ("1", "a")
    confirmed(machine, "a", "1")


def test_an_update_confirms_itself_and_what_was_written_to_the_overlay_is_gone(machine, web):
    machine.check("touch /var/kept && mount -o remount,rw / && touch /root/lost")
    boot = machine.run_to_boot(f"slotctl install {web.url('update-overlay-2.zip')} --activate=reboot")
    assert (boot.variant, boot.slot) == ("2", "b")
    confirmed(machine, "b", "2")
    machine.check("test -e /var/kept && test ! -e /root/lost")
