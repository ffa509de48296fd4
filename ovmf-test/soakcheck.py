# SPDX-License-Identifier: MIT
"""What must hold after a power cut: the disk and the variables that it leaves are booted for real, and
the guest is asked what it runs, what it holds and what it knows; then it repeats what was interrupted."""
import hashlib
import random
import re
import subprocess
import tempfile
from pathlib import Path

import blklog
import record
from machine import Machine
from paths import ENV
from soakrecord import DEADLINE, STORIES

GRANTED = 3
FILES = ("uki.efi", "manifest.json")
IF_INSTALLED = ("uki.index", "manifest.p7s")    # not there in a slot that slotctl has not written
LOADERS = ("EFI/slotboot/slotbootx64.efi", "EFI/BOOT/BOOTX64.EFI")


class Violation(AssertionError):
    """A promise that was not kept."""


def must(holds, what):
    if not holds:
        raise Violation(what)


def may_run(cut):
    """Which of "old" and "new" the firmware may start after the cut, by what had been reported before it."""
    by_kexec = STORIES[cut.story].activate == "kexec"
    if cut.phase == "confirmed":
        return {"new"}
    if cut.reached("mark-good"):
        # The command had been sent; a kexec is forgotten until it is done.
        return {"old", "new"} if by_kexec else {"new"}
    if cut.reached("activate"):
        return {"old"} if by_kexec else {"new"}
    return {"old", "new"} if cut.reached("record") and not by_kexec else {"old"}


def may_be(cut, runs):
    """The statuses that the new slot may have then, in the guest that runs "old" or "new"."""
    story = STORIES[cut.story]
    by_kexec = story.activate == "kexec"
    if runs == "new":
        if by_kexec:
            return {"trial"}
        return {"good"} if cut.phase == "confirmed" else {"trial", "good"} if cut.reached("mark-good") else {"trial"}
    before = "good" if story.base == "updated" else "empty"
    # The firmware takes several writes to store one variable: until the last of them the record is the old one.
    may_be_before = {"check": {before}, "mark": {before, "writing"}, "image": {before, "writing"}}
    statuses = may_be_before.get(cut.phase, {"writing"})
    return statuses | {"bad"} if by_kexec and cut.reached("record") else statuses


def tries_may_be(cut):
    """(least, most) that a new slot on trial may have left in the first boot after the cut."""
    if STORIES[cut.story].activate == "kexec":
        return GRANTED - 1, GRANTED - 1
    entered, started = cut.reached("firmware"), cut.reached("mark-good")
    return GRANTED - 1 - entered, GRANTED - 1 - started


def newest_in_mirror(disk):
    """The newest valid record in state.bin; None without any."""
    content, found = disk.esp.read(record.MIRROR), []
    for at in (0, record.STRIDE):
        copy = content[at:at + record.SIZE]
        if any(copy) and record.seal(copy) == copy:
            found.append(record.Record.decode(copy))
    return max(found, key=lambda one: one.sequence, default=None)


def mirror_must_say(cut):
    """The new slot's status and the preferred slot, if they have been reported as stored; the loader's own writes do
    not count, which go to the variable."""
    story = STORIES[cut.story]
    by_kexec, old, new = story.activate == "kexec", story.old[1], story.new[1]
    if cut.phase == "confirmed":
        return (record.TRIAL if by_kexec else record.GOOD), new
    if not cut.reached("activate") or cut.phase == "mark-good":
        return None
    return (record.KEXEC_TRIAL, old) if by_kexec else (record.TRIAL, new)


def fsck(disk, scratch):
    """What fsck.vfat says of the ESP, which it does not change."""
    with tempfile.NamedTemporaryFile(dir=scratch) as part:
        part.write(disk.read("esp"))
        part.flush()
        said = subprocess.run(["fsck.vfat", "-n", part.name], capture_output=True, env=ENV, timeout=600).stdout
    return [line for line in said.decode(errors="replace").splitlines() if part.name not in line]


def complaints(report):
    """Those lines of fsck.vfat that tell of harm. Clusters without a file or behind its end, a wrong count of free ones
    and the dirty bit cost nothing; what it says of a file follows the file's path."""
    return [line for line, of_it in zip(report, [*report[1:], ""])
            if "share cluster" in line or line.startswith("/") and "cluster chain length is > " not in of_it]


class World:
    """What all checks share. variants, and url(variant) for the guest."""
    def __init__(self, variants, url):
        self.variants, self.url = variants, url
        self.images = {name: hashlib.sha256(variant.rootfs.read_bytes()).hexdigest()
                       for name, variant in variants.items()}
        self.ukis = {name: hashlib.sha256(variant.uki.read_bytes()).hexdigest() for name, variant in variants.items()}
        self.image_size = {variant.rootfs.stat().st_size for variant in variants.values()}.pop()


class Recovery:
    """One cut, recovered. directory: for the machine, with room for a disk."""
    def __init__(self, cut, base, log, directory, world, flushes=True):
        self.cut, self.base, self.world = cut, base, world
        self.story = STORIES[cut.story]
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.counts = blklog.leave(base.path, log, cut.size, cut.seed, directory / "disk.img", flushes)
        (directory / "vars.fd").write_bytes(cut.vars)
        self.machine = Machine(directory, directory / "disk.img")
        self.draw = random.Random(f"recovery {cut.seed}")

    def run(self):
        """Raises Violation, or MachineError for a machine that does not come up or a command that fails."""
        try:
            self.old_is_untouched()
            self.esp_is_sound()
            mirror = newest_in_mirror(self.machine.disk)
            boot = self.machine.cold_boot(DEADLINE)
            status = self.machine.status()
            runs = self.right_slot_runs(boot)
            self.status_is_right(status, runs)
            self.mirror_is_right(mirror)
            self.bytes_are_whole(status)
            self.empty_is_untouched(status)
            self.repeat(runs, boot)
            self.old_is_untouched()
        finally:
            self.machine.power_cut()

    def old_is_untouched(self):
        """Rule 1, byte for byte, from outside."""
        disk, (_, slot) = self.machine.disk, self.story.old
        partition = f"slotboot-{slot}"
        must(disk.hash(partition) == self.base.hash(partition), f"the partition of confirmed slot {slot} was written")
        kept = [f"EFI/slotboot/{slot}/{name}" for name in FILES]
        for name in (*kept, *LOADERS):
            must(disk.esp.exists(name) and disk.esp.read(name) == self.base.esp.read(name),
                 f"{name} is not what it was")
        for name in (f"EFI/slotboot/{slot}/{name}" for name in IF_INSTALLED):
            before, after = (esp.read(name) if esp.exists(name) else None for esp in (self.base.esp, disk.esp))
            must(before == after, f"{name} is not what it was")

    def esp_is_sound(self):
        found = complaints(fsck(self.machine.disk, self.machine.directory))
        must(not found, "fsck.vfat: " + "; ".join(found))

    def right_slot_runs(self, boot):
        runs = {self.story.old: "old", self.story.new: "new"}.get((boot.variant, boot.slot))
        must(runs in may_run(self.cut), f"{boot.variant} runs in slot {boot.slot} after a cut in {self.cut.phase}, "
             f"but only {' or '.join(sorted(may_run(self.cut)))} may")
        must(self.machine.firmware_entries() == 1, "it took more than one boot")
        must(f"roothash={self.world.variants[boot.variant].root_hash}" in boot.command_line,
             "the root hash is another variant's")
        must("/dev/mapper/root / erofs" in self.machine.check("cat /proc/mounts"), "the root is not dm-verity's")
        return runs

    def status_is_right(self, status, runs):
        old, new = (status["slots"][slot] for _, slot in (self.story.old, self.story.new))
        must(status["running"] == (self.story.old if runs == "old" else self.story.new)[1], "status names another slot")
        must((status["state"]["source"], status["state"]["variable"]) == ("variable", "ok"),
             f"the record is not the variable's: {status['state']}")
        must(old["status"] == "good", f"the old slot is {old['status']}")
        must(new["status"] in may_be(self.cut, runs), f"the new slot is {new['status']}, not "
             f"{' or '.join(sorted(may_be(self.cut, runs)))}")
        must(status["preferred"] == status["running"], f"preferred is {status['preferred']}")
        for slot in (old, new):
            must(slot["tries_left"] <= slot["tries_granted"] <= GRANTED, f"tries: {slot}")
        if new["status"] == "trial":
            least, most = tries_may_be(self.cut)
            must(least <= new["tries_left"] <= most,
                 f"{new['tries_left']} tries are left, not {least} to {most}")

    def mirror_is_right(self, mirror):
        """What was reported as stored is also there if the variables should go next."""
        wanted, slot = mirror_must_say(self.cut), self.story.new[1]
        found = mirror and (getattr(mirror, slot).status, "ab"[mirror.preferred])
        must(not wanted or found == wanted, f"the mirror says {found} of slot {slot}, not {wanted}")

    def bytes_are_whole(self, status):
        """What runs, and whatever else would be started, is one whole version: hashed in the guest."""
        held = self.read_slots()
        for variant, slot in (self.story.old, self.story.new):
            if status["slots"][slot]["status"] not in ("good", "trial"):
                continue
            # Where the install had not begun, the new slot may hold an older version.
            versions = [variant] if status["running"] == slot else self.world.variants
            must(any(held[slot] == (self.world.images[name], self.world.ukis[name]) for name in versions),
                 f"slot {slot} is {status['slots'][slot]['status']}, but does not hold one whole version")

    def empty_is_untouched(self, status):
        """No byte of the slot is written before the record says so."""
        slot = self.story.new[1]
        partition = f"slotboot-{slot}"
        must(status["slots"][slot]["status"] != "empty" or
             self.machine.disk.hash(partition) == self.base.hash(partition), f"slot {slot} is empty, and was written")

    def read_slots(self):
        size = self.world.image_size
        text = self.machine.check(
            "for slot in a b; do\n"
            "  name=$(grep -lx PARTNAME=slotboot-$slot /sys/class/block/*/uevent)\n"
            "  device=/dev/$(sed -n 's/^DEVNAME=//p' $name)\n"
            f"  echo $slot $(head -c {size} $device | sha256sum | cut -c1-64)"
            f" $(sha256sum /efi/EFI/slotboot/$slot/uki.efi 2>/dev/null | cut -c1-64)\ndone", DEADLINE)
        return {slot: (image, uki) for slot, image, uki in
                re.findall(r"^([ab]) ([0-9a-f]{64}) ?([0-9a-f]{64}|)$", text, re.M)}

    # --- the interrupted command, once more

    def repeat(self, runs, boot):
        if runs == "old":
            boot = self.install_again(boot)
        if boot.slot == self.story.new[1]:
            self.machine.check("slotctl mark-good", DEADLINE)
            self.new_is("good" if self.machine.status()["boot"] == "firmware" else "trial")

    def install_again(self, boot):
        """To its end every fourth time, else without the boot."""
        whole = self.draw.random() < 0.25
        command = f"slotctl install {self.world.url(self.story.new[0])} --activate="
        if whole:
            # A kexec that was cut off is one that failed: the next one wants to be asked for.
            force = " --force" if self.story.activate == "kexec" else ""
            boot = self.machine.run_to_boot(command + self.story.activate + force, DEADLINE)
            must((boot.variant, boot.slot) == self.story.new, f"repeated, the install ends in {boot}")
        else:
            self.machine.check(command + "none", DEADLINE)
            self.new_is("trial", preferred=self.story.old[1])
        return boot

    def new_is(self, wanted, preferred=None):
        variant, slot = self.story.new
        status = self.machine.status()
        must((status["slots"][slot]["status"], status["preferred"]) == (wanted, preferred or slot),
             f"repeated, it leaves slot {slot} {status['slots'][slot]['status']} and {status['preferred']} preferred")
        self.machine.check("sync")
        size = self.world.image_size
        held = (hashlib.sha256(self.machine.disk.read(f"slotboot-{slot}")[:size]).hexdigest(),
                hashlib.sha256(self.machine.disk.esp.read(f"EFI/slotboot/{slot}/uki.efi")).hexdigest())
        must(held == (self.world.images[variant], self.world.ukis[variant]), f"repeated, it leaves slot {slot} damaged")
