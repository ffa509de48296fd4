# SPDX-License-Identifier: MIT
"""Two disks with an ESP each, and a third with the slots, which stands for the RAID: either of the two is pulled in
steady state, in a trial and in mid-install, and comes back as it was. Each case begins with the same machine, in step."""
import json
import struct
import uuid
from pathlib import Path

import pytest

from disk import LAYOUT, MIB, Disk
from machine import Machine
from paths import SFDISK, WORK, copy, run
from record import ESP
from varstore import GLOBAL, VarStore

SECOND = uuid.UUID("5107B007-0000-4000-9000-000000000011")
REBOOT = "umount /run/efi1 /run/efi2; sync; reboot -f"
OFF = "umount /run/efi1 /run/efi2; sync; poweroff -f"
# The test OS mounts what is called "esp" on /efi; here nothing is.
SETUP = """set -e
node() { sed -n 's,^DEVNAME=,/dev/,p' "$(grep -lx "PARTNAME=$1" /sys/class/block/*/uevent)"; }
for n in 1 2; do
    mkdir -p /run/efi$n
    if grep -qx PARTNAME=esp$n /sys/class/block/*/uevent; then
        mount -t vfat -o rw,noatime,umask=0077 "$(node esp$n)" /run/efi$n
    fi
done
{
    printf '%s\n' '[slotboot]' 'compatible = slotboot-test' 'esp = /run/efi1 /run/efi2' 'tries = 1' 'rate-limit = RATE'
    printf '%s\n' '[image rootfs]' "a = $(node slotboot-a)" "b = $(node slotboot-b)"
} >/run/slotboot.conf
"""


class TwoDisks(Machine):
    """in_place: the numbers of the disks with ESPs that are in the machine now."""

    def __init__(self, directory):
        super().__init__(directory, Path(directory) / "disk.img")
        self.esps = {n: Disk(self.directory / f"esp{n}.img") for n in (1, 2)}
        self.in_place = {1, 2}

    def _drive(self):
        words = super()._drive()
        for n in sorted(self.in_place):
            # Each in a slot of its own, so that the other one's device path stays.
            words += ["-drive", f"if=none,id=esp{n},format=raw,cache=unsafe,file={self.esps[n].path}",
                      "-device", f"virtio-blk-pci,drive=esp{n},addr={0x10 + n:#x}"]
        return words

    def images(self):
        return [self.disk.path, self.vars, *(d.path for d in self.esps.values())]

    def arrive(self, rate=0):
        """The next boot, with its ESPs mounted and configured."""
        boot = self.wait_boot()
        self.check(SETUP.replace("RATE", str(rate)))
        return boot.variant, boot.slot

    def boot(self, rate=0):
        self.start()
        return self.arrive(rate)

    def slotctl(self, *words):
        return f"slotctl {' '.join(words)} --config=/run/slotboot.conf"

    def esp_state(self):
        status = json.loads(self.check(self.slotctl("status", "--json")))
        return status["esps"]["directory"], status["esps"]["state"], status

    def put_first(self, number):
        """The firmware is to start that disk's loader."""
        store = VarStore(self.vars)
        guid = (ESP, SECOND)[number - 1].bytes_le
        order = [n for n, in struct.iter_unpack("<H", store.get("BootOrder", GLOBAL).data)]
        entry = next(n for n in order if guid in store.get(f"Boot{n:04X}", GLOBAL).data)
        order.remove(entry)
        store.set("BootOrder", struct.pack(f"<{len(order) + 1}H", entry, *order), GLOBAL)


def make_disks(machine):
    """The confirmed machine's ESP on a disk of its own, an empty one on another, and none beside the slots."""
    _, start, size = LAYOUT["esp"]
    content = machine.disk.read("esp")
    for number, guid in ((1, ESP), (2, SECOND)):
        path = machine.esps[number].path
        with open(path, "wb") as file:
            file.truncate((start + size + 1) * MIB)
        run(*SFDISK, path, stdin=f"label: gpt\nstart={start}MiB, size={size}MiB, type={LAYOUT['esp'][0]}, "
            f"uuid={guid}, name=esp{number}\n".encode())
        machine.esps[number].esp.format(size * MIB)
    machine.esps[1].write("esp", content)
    machine.disk.write("esp", bytes(size * MIB))
    run(*SFDISK, "--delete", machine.disk.path, "1")


@pytest.fixture(scope="module")
def in_step(kept, tmp_path_factory):
    """X in slot A, good; the second disk was empty, and mark-good has brought it up."""
    place = tmp_path_factory.mktemp("two")
    machine = TwoDisks(place / "making")
    for path in (machine.disk.path, machine.vars):
        copy(kept / "confirmed" / path.name, path)
    make_disks(machine)
    assert machine.boot() == ("x", "a")
    assert "was behind, and is in step now" in machine.check(machine.slotctl("mark-good"))
    assert "nothing wrong was found" in machine.run(machine.slotctl("doctor"))[1]
    machine.shutdown(OFF)
    yield machine
    for path in machine.images():
        path.unlink()


@pytest.fixture
def machine(in_step):
    machine = TwoDisks(WORK / "run" / "two-esps")
    for path, target in zip(in_step.images(), machine.images()):
        copy(path, target)
    yield machine
    machine.power_cut()
    for path in machine.images()[:1] + machine.images()[2:]:
        path.unlink()


@pytest.fixture
def install(server, machine):
    return lambda name, how: machine.slotctl("install", server.url(name), f"--activate={how}")


def pull(machine, lost):
    machine.in_place = {3 - lost}


def goes_on(machine, lost):
    """It boots from the one that is left, and says so."""
    directory, state, _ = machine.esp_state()
    assert (directory, state) == (f"/run/efi{3 - lost}", "lost")
    status, said = machine.run(machine.slotctl("doctor"))
    assert status == 1 and f"/run/efi{lost}" in said


def comes_back(machine, lost, runs):
    """The disk is as it was when it was pulled, and the firmware starts its loader: it hands over, and is brought up."""
    machine.shutdown(OFF)
    machine.in_place = {1, 2}
    machine.put_first(lost)
    assert machine.boot() == runs
    assert "this disk is older than the other one" in machine.console()
    assert machine.esp_state()[:2] == (f"/run/efi{3 - lost}", "behind")
    assert "was behind, and is in step now" in machine.check(machine.slotctl("mark-good"))
    machine.shutdown(OFF)
    pull(machine, 3 - lost)
    assert machine.boot() == runs, "from the disk that came back, alone"
    assert machine.esp_state()[0] == f"/run/efi{lost}"


@pytest.mark.parametrize("lost", [1, 2])
def test_pulled_in_steady_state_the_machine_boots_updates_and_the_disk_is_brought_up(machine, install, lost):
    pull(machine, lost)
    assert machine.boot() == ("x", "a")
    goes_on(machine, lost)
    machine.start_command(install("y.zip", "none") + " && " + machine.slotctl("mark-active", "b") + " && " + REBOOT)
    assert machine.arrive() == ("y", "b")
    assert "is lost" in machine.check(machine.slotctl("mark-good"))
    comes_back(machine, lost, ("y", "b"))


@pytest.mark.parametrize("lost", [1, 2])
def test_pulled_in_a_trial_it_is_the_same_trial_on_the_other(machine, install, lost):
    assert machine.boot() == ("x", "a")
    machine.check(install("y.zip", "none") + " && " + machine.slotctl("mark-active", "b"))
    machine.shutdown(OFF)
    pull(machine, lost)
    assert machine.boot() == ("y", "b")
    goes_on(machine, lost)
    # The one try is spent, whichever disk it boots from.
    machine.power_cut()
    pull(machine, 3 - lost)
    assert machine.boot() == ("x", "a")
    slot = machine.esp_state()[2]["slots"]["b"]
    assert (slot["status"], slot["reason"]) == ("bad", "tries")


@pytest.mark.parametrize("lost", [1, 2])
def test_pulled_in_mid_install_the_running_slot_starts_and_the_install_is_repeated(machine, install, lost):
    assert machine.boot(rate=200000) == ("x", "a")
    machine.check(install("y.zip", "none") + " >/run/install.log 2>&1 &")
    while machine.esp_state()[2]["slots"]["b"]["status"] != "writing":
        assert "installed" not in machine.check("cat /run/install.log")
    machine.power_cut()
    pull(machine, lost)
    assert machine.boot() == ("x", "a")
    goes_on(machine, lost)
    assert machine.esp_state()[2]["slots"]["b"]["status"] == "writing"
    machine.start_command(install("y.zip", "none") + " && " + machine.slotctl("mark-active", "b") + " && " + REBOOT)
    assert machine.arrive() == ("y", "b")
    machine.check(machine.slotctl("mark-good"))
    comes_back(machine, lost, ("y", "b"))
