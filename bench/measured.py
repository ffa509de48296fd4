# SPDX-License-Identifier: MIT
"""One timed run of a program, and rounds of several programs taking turns."""
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    seconds: float
    peak_kib: int       # of the largest process
    cpu: float = 0      # seconds, user and system, of all of them


class RunFailed(Exception):
    pass


def run(argv, env=None, cwd=None, then=None):
    """From the start to the exit (and to the end of then(), if given): the time, and GNU time's figures.

    Not Python's own rusage: that would begin with Python's memory."""
    with tempfile.NamedTemporaryFile("r") as peak, tempfile.TemporaryFile("w+b") as log:
        begin = time.monotonic()
        status = subprocess.run(["/usr/bin/time", "--quiet", "-f", "%U %S %M", "-o", peak.name, *map(str, argv)],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(env or {})},
                                cwd=cwd).returncode
        if status == 0 and then:
            then()
        seconds = time.monotonic() - begin
        if status != 0:
            log.seek(0)
            raise RunFailed(f"{argv[0]}: exit {status}: {log.read().decode(errors='replace')[-300:].strip()}")
        user, system, kib = peak.read().split()[-3:]
        return Cost(seconds, int(kib), float(user) + float(system))


def rounds(contestants, count):
    """Each contestant (name: function that gives a Cost) once a round, so that a noisy minute hits all alike.

    Returns name: [Cost, ...]; what fails is left out and told."""
    costs = {name: [] for name in contestants}
    for number in range(count):
        for name, function in contestants.items():
            if costs[name] is None:
                continue
            try:
                costs[name].append(function())
            except RunFailed as why:
                print(f"  {name} does not run here: {why}", file=sys.stderr, flush=True)
                costs[name] = None
        print(f"  round {number + 1} of {count}", file=sys.stderr, flush=True)
    return {name: each for name, each in costs.items() if each}


def median(costs, field):
    return statistics.median(getattr(cost, field) for cost in costs)
