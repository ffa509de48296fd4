# SPDX-License-Identifier: MIT
"""A real Debian, 12 and 13, from an empty disk through updates, good ones and bad ones, without a hand on it: the units from
the package confirm, and give up. The cases share one machine, and go on from each other: those after the two updates find
version 1 confirmed in slot A, and leave it so. make check has some of them (conftest.py: BRIEF), make check-debian all."""
import json

import pytest

import debian
import pki
from httpd import HttpServer
from paths import WORK

HEALTHY = "rm -f /var/lib/faults/*"
# In place of the fifteen minutes that slotboot-giveup.timer waits.
SOON = ("mkdir /run/systemd/system/slotboot-giveup.timer.d && "
        "printf \"[Timer]\\nOnBootSec=\\nOnBootSec=90\\n\" >/run/systemd/system/slotboot-giveup.timer.d/soon.conf && "
        "systemctl daemon-reload && systemctl restart slotboot-giveup.timer")


@pytest.fixture(scope="module", params=[12, 13])
def kind(request):
    """Of Debian."""
    return request.param


@pytest.fixture(scope="module")
def releases(one_at_a_time, kind):
    with one_at_a_time():
        pki.identities()
    # It takes minutes: the others' machines are made meanwhile.
    with one_at_a_time("making-debian"):
        return {version: debian.system(kind).release(version) for version in ("1", "2")}


@pytest.fixture(scope="module")
def web(releases, kind):
    server = HttpServer(WORK / f"httpd-debian{kind}", debian.system(kind).place).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def machine(releases, kind):
    with debian.machine(f"debian{kind}", releases["1"]) as machine:
        yield machine


@pytest.fixture
def update(web):
    """The command line that installs a version."""
    def command(version, activate):
        downgrade = " --allow-downgrade" if version == "1" else ""
        return f"slotctl install {web.url(f'update-{version}.zip')} --activate={activate}{downgrade}"
    return command


def settled(machine):
    """The system is up, and no unit has failed; what slotctl says of it."""
    status, output = machine.run("systemctl is-system-running --wait")
    assert (status, output) == (0, "running\n"), machine.run("systemctl --failed; journalctl -b -p warning")[1]
    return machine.status()


def order_fault(machine, place, script):
    """Version 2 is broken there."""
    machine.check(f"mkdir -p /var/lib/faults && echo '{script}' >/var/lib/faults/{place}-2 && sync")


def assert_given_up(machine, detail):
    """Version 2 was left for version 1, and why is where one looks."""
    status = settled(machine)
    assert (status["running"], status["preferred"], status["slots"]["a"]["status"]) == ("a", "a", "good")
    assert (status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("bad", "health")
    assert detail in machine.check("slotctl status")
    assert "slot b" in machine.check("cat /run/motd.d/*")
    # The journal of the version that was left is still there.
    assert "slotboot-giveup" in machine.check("journalctl --boot=-1 --no-pager")
    machine.check(HEALTHY)


def test_the_first_boot_confirms_itself(machine):
    assert (machine.first.variant, machine.first.slot) == ("1", "a")
    status = settled(machine)
    assert (status["running"], status["slots"]["a"]["status"], status["slots"]["a"]["version"]) == ("a", "good", "1")
    assert status["state"]["source"] == "variable"


def test_other_programs_see_it_as_it_is(machine):
    entries = machine.check("efibootmgr")
    assert "slotboot" in entries
    loader = machine.check("bootctl status")
    assert "Product: slotboot" in loader
    assert "slotboot-a.conf" in machine.check("bootctl list")
    assert "graphical.target reached" in machine.check("systemd-analyze")
    assert "slot a, version 1 is confirmed" in machine.check("journalctl -t slotctl --no-pager")
    assert json.loads(machine.check("cat /run/slotboot/status.json"))["running"] == "a"


def test_the_units_are_as_systemd_wants_them(machine):
    units = "slotboot-confirm.service slotboot-giveup.service slotboot-giveup.timer slotboot-status.service"
    assert machine.check(f"systemd-analyze verify --man=no {units} 2>&1") == ""


def test_an_update_by_reboot_confirms_itself(machine, update):
    boot = machine.run_to_boot(update("2", "reboot"))
    assert (boot.variant, boot.slot) == ("2", "b")
    status = settled(machine)
    assert (status["boot"], status["preferred"], status["slots"]["b"]["status"]) == ("firmware", "b", "good")


def test_an_update_by_kexec_confirms_itself(machine, update):
    entries = machine.firmware_entries()
    boot = machine.run_to_boot(update("1", "kexec"))
    assert (boot.variant, boot.slot, machine.firmware_entries()) == ("1", "a", entries)
    status = settled(machine)
    # Good after a kexec is a trial with fresh tries at its first boot through the firmware.
    assert (status["boot"], status["preferred"], status["slots"]["a"]["status"]) == ("kexec", "a", "trial")
    assert status["jump"]["proven"]


def test_systemd_starts_the_other_slot_once(machine):
    assert machine.run_to_boot("systemctl reboot").slot == "a"
    settled(machine)
    assert machine.run_to_boot("systemctl reboot --boot-loader-entry=slotboot-b.conf").slot == "b"
    settled(machine)        # by then it has confirmed itself, and is preferred
    machine.check("slotctl mark-active a")
    assert machine.run_to_boot("systemctl reboot").slot == "a"
    assert settled(machine)["preferred"] == "a"


NO_MORE_IN_FSTAB = "sed '/efi/d' /etc/fstab >/run/fstab && mount --bind /run/fstab /etc/fstab && systemctl daemon-reload"


@pytest.mark.parametrize(("place", "there", "gone"), [
    pytest.param("/boot", "systemd-mount --quiet --automount=yes --timeout-idle-sec=1s --options=umask=0077 $esp /boot",
                 "systemctl stop boot.automount boot.mount", id="an automount that goes idle"),
    pytest.param("/boot/efi", "mount -t tmpfs tmpfs /boot && mkdir /boot/efi && mount -o umask=0077 $esp /boot/efi",
                 "umount --recursive /boot", id="below boot"),
    pytest.param("/AUTO", f"{NO_MORE_IN_FSTAB} && systemctl start AUTO.automount",
                 "systemctl stop AUTO.automount AUTO.mount && umount /etc/fstab && systemctl daemon-reload", id="gpt-auto"),
])
def test_the_esp_is_found_wherever_it_is_mounted(machine, kind, update, place, there, gone):
    # Where systemd-gpt-auto-generator has it, with both directories there: systemd 252, and 257.
    place, there, gone = (text.replace("AUTO", {12: "efi", 13: "boot"}[kind]) for text in (place, there, gone))
    machine.check(f"esp=$(findmnt -no SOURCE /efi) && systemctl stop efi.mount && {there}")
    machine.check("mkdir -p /run/slotboot/slotboot.conf.d && "
                  f"printf '[slotboot]\nesp = {place}\n' >/run/slotboot/slotboot.conf.d/place.conf")
    machine.check(update("2", "none"))
    status = machine.status()
    assert (status["slots"]["b"]["status"], status["state"]["mirror"], status["esp_error"]) == ("trial", "ok", None)
    machine.check("slotctl mark-bad b")
    machine.check(f"rm /run/slotboot/slotboot.conf.d/place.conf && {gone} && systemctl start efi.mount")
    assert machine.status()["slots"]["b"]["reason"] == "operator"


DRY = "echo the pump is dry; exit 1"
DRY_SAYS = "50-order: status 1: the pump is dry"


@pytest.mark.parametrize(("place", "script", "activate", "says"), [
    pytest.param("health", DRY, "reboot", DRY_SAYS, id="a failing check"),
    pytest.param("health", DRY, "kexec", DRY_SAYS, id="a failing check after kexec"),
    pytest.param("health", "systemd-run --quiet --unit=pump --property=RemainAfterExit=yes false; exit 0", "reboot",
                 "pump.service", id="a service that dies"),
    pytest.param("gate", "exit 1", "reboot", "", id="a boot that fails to complete"),
    pytest.param("gate", f"{SOON}; exec sleep infinity", "reboot", "", id="a boot that never completes"),
])
def test_a_broken_version_is_left_for_the_old_one(machine, update, place, script, activate, says):
    order_fault(machine, place, script)
    assert machine.run_to_boot(update("2", activate)).slot == "b"
    assert machine.wait_boot().slot == "a"
    assert_given_up(machine, says)


def test_a_kernel_that_panics_is_left_and_its_last_words_are_told(machine, update):
    order_fault(machine, "gate", "echo c >/proc/sysrq-trigger")
    assert machine.run_to_boot(update("2", "reboot") + " --tries=1").slot == "b"
    assert machine.wait_boot().slot == "a"
    slot = settled(machine)["slots"]["b"]
    assert (slot["status"], slot["reason"], slot["panic"]["words"]) == ("bad", "tries", "sysrq triggered crash")
    machine.check(HEALTHY)


def test_what_is_typed_by_hand_in_between_confirms_nothing(machine, update):
    machine.check(update("2", "none"))
    # There is nothing staged: it refuses, or takes what runs.
    machine.run("systemctl kexec")
    for command in ("reboot -f", "systemctl reboot"):
        assert machine.run_to_boot(command).slot == "a"
        status = settled(machine)
        assert (status["preferred"], status["slots"]["b"]["status"]) == ("a", "trial")
