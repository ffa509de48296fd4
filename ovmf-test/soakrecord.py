# SPDX-License-Identifier: MIT
"""Stories of an update, recorded: every write and flush of the disk in a log, and at chosen moments
what a power cut would leave.

A moment stops the process (SIGSTOP) as a cut would kill it. The length of the log and the bytes of the
variable store are read, both of the same instant, and the story goes on; at its last moment the process
is killed. What the guest has reported until then is read from the console, also of that instant."""
import fcntl
import os
import random
import signal
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass

import blklog
from machine import Machine

# Seconds for a boot, a phase, a command. Generous: under emulation, on a host with other work, most are slow.
DEADLINE = 300
# What happens in which order. Those of one group are counted together.
GROUP = {"check": "install", "mark": "install", "image": "install", "uki": "install", "record": "install",
         "activate": "activation", "firmware": "activation", "loader": "loader", "kernel": "new kernel",
         "mark-good": "mark-good", "confirmed": "confirmed"}
PHASES = tuple(GROUP)
# How often each is chosen.
_WEIGHT = {"check": 1, "mark": 2, "image": 3, "uki": 3, "record": 5, "activate": 3, "firmware": 1, "loader": 4,
           "kernel": 1, "mark-good": 6, "confirmed": 2}
# How long each takes, as a share of a cold boot, until one has been seen.
_SHARE = {"check": 0.25, "mark": 0.01, "image": 0.08, "uki": 0.2, "record": 0.01, "activate": 0.25, "firmware": 0.6,
          "loader": 0.12, "kernel": 0.5, "mark-good": 0.08, "confirmed": 0.2}


@dataclass(frozen=True)
class Story:
    base: str               # the machine it begins with
    old: tuple              # variant and slot that are confirmed
    new: tuple              # those that come
    activate: str = "reboot"
    installs: bool = True   # else the new slot is on trial already, and the story begins with a cold boot
    lost: bool = False      # without the variable SlotState
    weight: int = 1

    def phases(self):
        left_out = ("firmware", "loader", "kernel") if self.activate == "kexec" else ()
        begin = 0 if self.installs else PHASES.index("firmware")
        return [phase for phase in PHASES[begin:] if phase not in left_out]


STORIES = {
    "reboot": Story("confirmed", ("x", "a"), ("y", "b"), weight=4),
    "kexec": Story("confirmed", ("x", "a"), ("y", "b"), "kexec", weight=3),
    # Over an older image, with its own boot entry.
    "again": Story("updated", ("y", "b"), ("z", "a"), weight=2),
    # The loader at work: a try spent in the variable; in the mirror and a new variable.
    "trial": Story("trial", ("x", "a"), ("y", "b"), installs=False, weight=2),
    "lost": Story("trial", ("x", "a"), ("y", "b"), installs=False, lost=True, weight=2),
}


@dataclass
class Cut:
    """A moment to cut at, then what was there."""
    seed: int
    story: str
    phase: str
    clock: str = "time"     # time, log or vars: what is measured since the phase began
    share: float = 0        # of what that phase usually takes
    size: int = 0           # of the log
    vars: bytes = b""

    @classmethod
    def plan(cls, seed, story=None, phase=None):
        draw = random.Random(f"plan {seed}")
        story = story or draw.choices(list(STORIES), [story.weight for story in STORIES.values()])[0]
        phases = STORIES[story].phases()
        phase = phase or draw.choices(phases, [_WEIGHT[name] for name in phases])[0]
        return cls(seed, story, phase, draw.choice(("time", "log", "vars")), draw.random())

    def reached(self, phase):
        return PHASES.index(self.phase) >= PHASES.index(phase)


class Pace:
    """How long phases take, by each clock."""
    def __init__(self, boot_seconds):
        self.boot_seconds, self.seen = boot_seconds, {}

    def learn(self, story, phase, clocks):
        self.seen[STORIES[story].activate, phase] = clocks

    def due(self, cut, clocks):
        usual = self.seen.get((STORIES[cut.story].activate, cut.phase), {})
        usual = {"time": _SHARE[cut.phase] * self.boot_seconds, **usual}
        clock = cut.clock if usual.get(cut.clock) else "time"
        return clocks[clock] > cut.share * usual[clock]


class Recorder(Machine):
    """A machine whose disk has a cache that forgets, and a log of what it is told."""
    def __init__(self, directory, disk):
        super().__init__(directory, disk)
        self.log = self.directory / "disk.log"

    def _drive(self):
        log = f"driver=file,node-name=log,cache.no-flush=on,filename={self.log}"
        image = f"driver=file,node-name=image,cache.no-flush=on,filename={self.disk.path}"
        self.log.write_bytes(b"")
        # The driver itself without no-flush: it is to see the flushes. QEMU 7.2 may put the data of two write-zeroes
        # requests in each other's place, so the guest is to send none.
        return ["-blockdev", log, "-blockdev", image,
                "-blockdev", "driver=blklogwrites,node-name=disk,file=image,log=log,log-sector-size=512",
                "-device", "virtio-blk-pci,drive=disk,write-cache=on,discard=off,write-zeroes=off"]

    @contextmanager
    def frozen(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        ended = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT).si_code != os.CLD_STOPPED
        if ended:
            self._fail("QEMU ended by itself")
        try:
            # The console as it is now, not as it is on its way here.
            for stream in self.streams.by_name.values():
                while int.from_bytes(fcntl.ioctl(stream.ours, termios.FIONREAD, bytes(4)), "little"):
                    os.sched_yield()
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def said(self, pattern):
        """True if it is on the console behind what was looked for before."""
        found = self._search("serial", pattern, self._seen)
        if found:
            self._seen = found.end()
        return bool(found)

    def tell(self, command):
        """Start a command whose words go to the console, and so arrive in order with all else there."""
        self.start_command(f"{{ {command}; echo \"exit $?\"; }} 2>&1 | while read -r line; do "
                           'echo "<2>SOAK $line" >/dev/kmsg; done')


# What shows that a phase has begun, once the one before it has.
_BEGINS = {
    "mark": lambda r: r.clocks()["vars"],
    "image": lambda r: r.machine.said("SOAK writing rootfs"),
    "uki": lambda r: r.machine.said("SOAK writing the UKI"),
    "record": lambda r: r.clocks()["vars"],
    "activate": lambda r: r.machine.said("SOAK installed version"),
    "firmware": lambda r: r.machine.firmware_entries() > 1,
    "loader": lambda r: r.machine.said("BdsDxe: starting .*slotboot"),
    "kernel": lambda r: r.machine.said("EFI stub: "),
    "mark-good": lambda r: r.machine.said("TESTOS variant="),
    "confirmed": lambda r: r.machine.said("SOAK exit 0"),
}


class Recording:
    """One run of a story. machine: a Recorder that is off, with the story's base."""
    def __init__(self, name, machine, url, pace):
        self.name, self.story, self.machine, self.url, self.pace = name, STORIES[name], machine, url, pace
        self.phases = self.story.phases()
        self.phase = None

    def run(self, cuts):
        """Fill in the cuts; the machine goes on to the last one's end, and is killed there. Without cuts: to the
        story's end, where it is left on."""
        todo = sorted(cuts, key=lambda cut: (PHASES.index(cut.phase), cut.share))
        self._begin()
        while todo or (not cuts and self.phase != "confirmed"):
            self.machine.streams.wait(lambda: False, 0.001)
            self._advance()
            if todo and self._is_due(todo[0]) and self._capture(todo[0]):
                todo.pop(0)
        if cuts:
            self.machine.power_cut()

    def _begin(self):
        self.machine.start()
        if self.story.installs:
            self.machine.wait_boot(DEADLINE)
            self.machine.tell(f"slotctl install {self.url} --activate={self.story.activate}")
        self._enter(self.phases[0])

    def _enter(self, phase):
        if self.phase:
            self.pace.learn(self.name, self.phase, self.clocks())
        self.phase, self.began = phase, time.monotonic()
        self.log_before, self.vars_changes = self.machine.log.stat().st_size, 0
        self.vars_time = self.machine.vars.stat().st_mtime_ns
        if phase == "mark-good":
            self.machine.tell("slotctl mark-good")

    def clocks(self):
        now = self.machine.vars.stat().st_mtime_ns
        self.vars_changes += now != self.vars_time
        self.vars_time = now
        return {"time": time.monotonic() - self.began, "log": self.machine.log.stat().st_size - self.log_before,
                "vars": self.vars_changes}

    def _advance(self):
        while self.phase != "confirmed":
            following = self.phases[self.phases.index(self.phase) + 1]
            if not _BEGINS[following](self):
                break
            self._enter(following)
        if self.machine._search("serial", r"SOAK (exit [1-9]|slotctl: )"):
            self.machine._fail(f"{self.name}: the guest refuses what the story wants")
        if time.monotonic() - self.began > DEADLINE:
            self.machine._fail(f"{self.name}: phase {self.phase} does not end", DEADLINE)

    def _is_due(self, cut):
        here, there = PHASES.index(self.phase), PHASES.index(cut.phase)
        return here > there or (here == there and self.pace.due(cut, self.clocks()))

    def _capture(self, cut):
        """False if the log has a gap just now: the next instant will do."""
        with self.machine.frozen():
            self._advance()
            size = self.machine.log.stat().st_size
            try:
                with open(self.machine.log, "rb") as log:
                    blklog.read(log, size)
            except blklog.IncompleteLog:
                return False
            cut.phase, cut.size, cut.vars = self.phase, size, self.machine.vars.read_bytes()
        return True
