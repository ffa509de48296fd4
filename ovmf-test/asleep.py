# SPDX-License-Identifier: MIT
"""Firmware that sleeps for ever: AAVMF did so once in some hundred boots, before it had started anything, without a timer
that would wake it. Such a machine is switched off and on again; once the firmware has started something, never."""
import time

ASLEEP, STARTS = 120, 3     # seconds without any processor time; how often a machine is switched on
LOOK = 10                   # how often to ask, in seconds


def processor_time(pid):
    """Of a process, in ticks of proc_pid_stat(5): user's and kernel's."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))


class Sleeper:
    """A machine's process, from now on."""

    def __init__(self, pid):
        self.pid, self.used, self.awake = pid, None, time.monotonic()

    def sleeps(self, console, seconds=ASLEEP):
        """Whether it has used no processor time for so long, and its firmware has started nothing."""
        now, used = time.monotonic(), processor_time(self.pid)
        if used != self.used:
            self.used, self.awake = used, now
        return now - self.awake > seconds and "BdsDxe: starting" not in console
