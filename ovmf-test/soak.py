# SPDX-License-Identifier: MIT
"""make soak: power cuts at random moments of an update on real firmware, each booted and checked.

    soak.py --cuts 200 [--seed S] [--jobs 2]    cuts S, S+1, ...; S is drawn and printed if not given
    soak.py --replay DIRECTORY                  the disk and variables of a cut that failed, once more

A cut's seed decides the story, the moment and what is lost: --cuts 1 --seed S is that cut again, as
far as the machine's timing is. A cut that fails leaves all that --replay needs to have it exactly."""
import argparse
import json
import secrets
import shutil
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import blklog
import disk
import images
from disk import Disk
from httpd import HttpServer
from machine import MachineError
from paths import LOADER, SLOTCTL, WORK, run, work_alone
from soakcheck import Recovery, Violation, World
from soakrecord import DEADLINE, GROUP, PHASES, STORIES, Cut, Pace, Recorder, Recording
from varstore import VarStore

PLACE = WORK / "soak"
FAILURES = (Violation, MachineError, RuntimeError, OSError, ValueError)
# Cuts of one recording.
BATCH = 10


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


class Bases:
    """The machines that stories begin with, made once: x confirmed in slot a; y on trial in slot b beside it;
    y confirmed there. The last two come of one story's run, which also shows how long phases take."""
    def __init__(self, place, world, bundles):
        self.place, self.world, self.bundles = place, world, bundles
        self.pace = None

    def make(self, names):
        """Those named, and confirmed in any case."""
        making, begin = fresh(self.place / "making"), self.place / "begin.img"
        disk.make(begin, self.world.variants["x"], self.bundles["x"])
        run("cp", "--sparse=always", begin, making / "disk.img")
        recorder = Recorder(making, making / "disk.img")
        since = time.monotonic()
        recorder.cold_boot(DEADLINE)
        self.pace = Pace(time.monotonic() - since)
        recorder.check("slotctl mark-good", DEADLINE)
        recorder.shutdown(deadline=DEADLINE)
        self._keep("confirmed", recorder)
        blklog.leave(begin, recorder.log, None, None, recorder.disk.path)
        if recorder.disk.hashes() != self.disk("confirmed").hashes():
            raise RuntimeError("the log of a run, replayed, is not the disk that it left")
        if names - {"confirmed"}:
            self._make_others()
        shutil.rmtree(making)

    def _make_others(self):
        recorder = Recorder(self.copy("confirmed", self.place / "making"), self.place / "making/disk.img")
        # The first after the guest's shutdown and before the loader: no try is spent.
        cuts = {"trial": Cut(0, "reboot", "firmware"), "updated": Cut(0, "reboot", "confirmed", share=1)}
        Recording("reboot", recorder, self.world.url("y"), self.pace).run(cuts.values())
        if cuts["trial"].phase != "firmware":
            raise RuntimeError("the loader ran before the machine could be stopped")
        for name, cut in cuts.items():
            blklog.leave(self.disk("confirmed").path, recorder.log, cut.size, None, recorder.disk.path)
            recorder.vars.write_bytes(cut.vars)
            self._keep(name, recorder)

    def _keep(self, name, machine):
        kept = fresh(self.place / name)
        run("cp", "--sparse=always", machine.disk.path, kept / "disk.img")
        shutil.copy(machine.vars, kept)

    def disk(self, name):
        return Disk(self.place / name / "disk.img")

    def copy(self, name, directory):
        """A machine's directory that begins as this base."""
        fresh(directory)
        run("cp", "--sparse=always", "--reflink=auto", self.place / name / "disk.img", directory)
        shutil.copy(self.place / name / "vars.fd", directory)
        return directory


class Soak:
    """Records stories and recovers their cuts; tell() gets a line for each."""
    def __init__(self, world, bases, place, tell=print):
        self.world, self.bases, self.place, self.tell = world, bases, place, tell
        # What failed outlives the next run.
        self.kept = place.with_name(place.name + "-failed")
        self.lock = threading.Lock()
        self.recovered, self.failed = [], []

    def record(self, number, cuts):
        """Fill in the cuts of one story, each with its number, from one recording of it; the log."""
        story = STORIES[cuts[0][1].story]
        directory = self.bases.copy(story.base, self.place / f"recording-{number}")
        recorder = Recorder(directory, directory / "disk.img")
        if story.lost:
            VarStore(recorder.vars).delete("SlotState")
        recording = Recording(cuts[0][1].story, recorder, self.world.url(story.new[0]), self.bases.pace)
        try:
            recording.run([cut for _, cut in cuts])
        except FAILURES as error:
            for numbered in cuts:
                if not numbered[1].size:
                    self.fail(numbered, recorder.log, error)
        finally:
            recorder.power_cut()
        return recorder.log

    def recover(self, numbered, log):
        number, cut = numbered
        since = time.monotonic()
        directory = fresh(self.place / f"cut-{cut.seed}")
        try:
            recovery = Recovery(cut, self.bases.disk(STORIES[cut.story].base), log, directory, self.world)
            recovery.run()
        except FAILURES as error:
            self.fail(numbered, log, error)
            return
        finally:
            shutil.rmtree(directory)
        with self.lock:
            self.recovered.append(cut)
            _, pending, pieces = recovery.counts
            self.tell(f"cut {number}: seed {cut.seed} phase {cut.phase} story {cut.story}, {pending} writes pending, "
                      f"{pieces} pieces of them kept: recovered, {time.monotonic() - since:.0f} s")

    def fail(self, numbered, log, error):
        number, cut = numbered
        kept = self.keep(cut, log, error)
        with self.lock:
            self.failed.append(cut)
            self.tell(f"cut {number}: seed {cut.seed} phase {cut.phase} story {cut.story} FAILED: {error}\n"
                      f"cut {number}: kept in {kept}")

    def keep(self, cut, log, error):
        """All that load() needs, in a directory of its own."""
        kept = fresh(self.kept / str(cut.seed))
        base = self.bases.disk(STORIES[cut.story].base)
        run("cp", "--sparse=always", base.path, kept / "base.img")
        run("cp", "--sparse=always", log, kept / "disk.log")
        (kept / "vars.cut").write_bytes(cut.vars)
        facts = {name: value for name, value in vars(cut).items() if name != "vars"}
        (kept / "cut.json").write_text(json.dumps(facts, indent=1) + "\n")
        (kept / "why.txt").write_text(f"{error}\n")
        return kept

    def run(self, cuts, jobs):
        """So many at a time: recoveries, and beside them the next recording."""
        numbered = list(enumerate(cuts, 1))
        batches = []
        for name in STORIES:
            mine = [item for item in numbered if item[1].story == name]
            batches += [mine[at:at + BATCH] for at in range(0, len(mine), BATCH)]
        with ThreadPoolExecutor(jobs) as pool:
            recording, recoveries = pool.submit(self.record, 0, batches[0]), []
            for number, batch in enumerate(batches, 1):
                log = recording.result()
                log.with_name("disk.img").unlink()
                if number < len(batches):
                    recording = pool.submit(self.record, number, batches[number])
                recoveries += [pool.submit(self.recover, item, log) for item in batch if item[1].size]
            for recovery in recoveries:
                recovery.result()

    def table(self):
        """How many cuts fell into which phase, and what came of them."""
        recovered, failed = (Counter(cut.phase for cut in cuts) for cuts in (self.recovered, self.failed))
        lines = [f"{'':<12} {'phase':<10} {'cuts':>5} {'recovered':>10}"]
        for phase in PHASES:
            lines.append(f"{GROUP[phase]:<12} {phase:<10} {recovered[phase] + failed[phase]:>5} {recovered[phase]:>10}")
        return "\n".join(lines)


def open_world(place):
    variants = {name: images.build(name) for name in images.VERSIONS}
    bundles = {name: images.bundle(variants[name]) for name in variants}
    server = HttpServer(place / "httpd", bundles["y"].parent).start()
    return World(variants, lambda name: server.url(f"{name}.zip")), bundles, server


def load(directory, world):
    """The recovery of a cut that was kept."""
    cut = Cut(vars=(directory / "vars.cut").read_bytes(), **json.loads((directory / "cut.json").read_text()))
    return Recovery(cut, Disk(directory / "base.img"), directory / "disk.log", directory / "machine", world)


def replay(directory):
    """A failed cut's disk and variables, booted and checked again."""
    world, _, server = open_world(PLACE)
    recovery = load(Path(directory), world)
    cut = recovery.cut
    print("%d writes were lasting, %d pending, %d pieces of these kept" % recovery.counts)
    try:
        recovery.run()
        print(f"seed {cut.seed} phase {cut.phase} recovered")
        return 0
    except (Violation, MachineError) as error:
        print(f"seed {cut.seed} phase {cut.phase} FAILED: {error}")
        return 1
    finally:
        server.stop()


def soak(count, seed, jobs):
    since = time.monotonic()
    place = fresh(PLACE)
    world, bundles, server = open_world(place)
    print(f"{count} cuts, seeds {seed} to {seed + count - 1}", flush=True)
    cuts = [Cut.plan(number) for number in range(seed, seed + count)]
    bases = Bases(place / "bases", world, bundles)
    bases.make({STORIES[cut.story].base for cut in cuts})
    all_of_it = Soak(world, bases, place, lambda text: print(text, flush=True))
    all_of_it.run(cuts, jobs)
    server.stop()
    print(all_of_it.table())
    print(f"{len(all_of_it.recovered)} of {count} recovered, {(time.monotonic() - since) / 60:.0f} min")
    if len(all_of_it.recovered) < count:
        return 1
    shutil.rmtree(place)
    return 0


def main():
    parser = argparse.ArgumentParser(description="power cuts on real firmware")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--jobs", type=int, default=2, help="machines at a time")
    parser.add_argument("--replay", metavar="DIRECTORY")
    options = parser.parse_args()
    for path in (SLOTCTL, LOADER):
        if not path.exists():
            sys.exit(f"soak: {path} is missing: run make first")
    lock = work_alone()
    try:
        if options.replay:
            return replay(options.replay)
        seed = secrets.randbelow(10**6) if options.seed is None else options.seed
        return soak(options.cuts, seed, options.jobs)
    finally:
        lock.close()


if __name__ == "__main__":
    sys.exit(main())
