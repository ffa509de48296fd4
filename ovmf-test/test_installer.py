# SPDX-License-Identifier: MIT
"""The installer of docs/GUIDE.md: a stick with one UKI, and a machine with an empty disk. It fetches the bundle, installs
it, and switches the machine off; without the stick the machine boots what was installed."""
import shutil

import pytest

import debian
import pki
from httpd import HttpServer
from machine import BOOT, Machine
from paths import WORK

SYSTEM = debian.system(12)


class WithStick(Machine):
    stick = None

    def _drive(self):
        drives = super()._drive()
        if self.stick:
            drives += ["-drive", f"if=none,id=stick,format=raw,file={self.stick}", "-device", "virtio-blk-pci,drive=stick"]
        return drives


@pytest.fixture
def machine(one_at_a_time):
    directory = WORK / "run" / "installer"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with one_at_a_time():
        pki.identities()
    # It takes minutes: the others' machines are made meanwhile.
    with one_at_a_time("making-debian"):
        SYSTEM.release("1")
    with open(directory / "disk.img", "wb") as disk:
        disk.truncate(3 << 30)
    machine = WithStick(directory, directory / "disk.img", guest_time="waits")
    machine.stick = directory / "stick.img"
    yield machine
    machine.power_cut()
    machine.disk.path.unlink()
    (directory / "stick.img").unlink()


@pytest.fixture
def web():
    server = HttpServer(WORK / "httpd-installer", SYSTEM.place).start()
    yield server
    server.stop()


def test_an_empty_disk_is_installed_from_a_stick_and_boots(machine, web):
    SYSTEM.installer(machine.stick, web.url("update-1.zip"))
    machine.start()
    machine.wait_for("slotboot: /dev/vda is installed; switching off")
    machine.process.wait(BOOT)
    machine.power_cut()
    machine.stick = None
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("1", "a")
    assert machine.run("systemctl is-system-running --wait") == (0, "running\n")
    assert machine.status()["slots"]["a"]["status"] == "good"
