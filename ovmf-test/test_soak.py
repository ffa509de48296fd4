# SPDX-License-Identifier: MIT
"""Power cuts on real firmware: a handful of them, and that the soak can fail. make soak has the many."""
import dataclasses
import io
import itertools
import random
import secrets
import shutil

import pytest

import blklog
import record
import soakcheck
from blklog import DISCARD, FLUSH, FUA, HEADER, SECTOR, Entry
from disk import Disk
from paths import WORK
from soak import Bases, Soak, fresh, load
from soakcheck import Recovery, Violation, World
from soakrecord import PHASES, STORIES, Cut

OLD, SIZE = 0xEE, 64


def log_of(*entries):
    """A log without superblock, as QEMU's is before the first flush. Each entry: (sector, count, flags, fill)."""
    content = bytearray(SECTOR)
    for sector, count, flags, fill in entries:
        content += HEADER.pack(sector, count, flags, 0).ljust(SECTOR, b"\0")
        content += b"" if flags & DISCARD else bytes([fill]) * (count * SECTOR)
    return io.BytesIO(bytes(content))


def left(log, seed, flushes=True, size=None):
    """What a cut leaves of a disk of SIZE old sectors: a byte for each, which all of it must be."""
    disk = io.BytesIO(bytes([OLD]) * (SIZE * SECTOR))
    lasting, pending = blklog.split(blklog.read(log, size), flushes)
    blklog.replay(log, disk, blklog.whole(lasting) + blklog.survivors(pending, seed))
    content = disk.getvalue()
    sectors = [set(content[at:at + SECTOR]) for at in range(0, len(content), SECTOR)]
    assert len(sectors) == SIZE and all(len(sector) == 1 for sector in sectors)
    return bytes(sector.pop() for sector in sectors)


SEEDS = range(300)


def test_what_was_flushed_is_never_lost():
    log = log_of((0, 16, 0, 1), (8, 4, 0, 2), (0, 0, FLUSH, 0), (40, 8, 0, 3))
    for seed in SEEDS:
        assert left(log, seed)[:16] == b"\1" * 8 + b"\2" * 4 + b"\1" * 4


def test_what_was_not_flushed_is_kept_lost_or_torn_and_nothing_else_is_touched():
    log = log_of((0, 0, FLUSH, 0), (8, 16, 0, 1))
    found = {left(log, seed) for seed in SEEDS}
    assert all(disk[:8] + disk[24:] == bytes([OLD]) * (SIZE - 16) for disk in found)
    parts = {disk[8:24] for disk in found}
    assert {b"\1" * 16, bytes([OLD]) * 16} < parts
    # By 4096 bytes, and by sectors of which no eight go together.
    assert b"\1" * 8 + bytes([OLD]) * 8 in parts
    assert any(len(set(part[:8])) == 2 for part in parts)


def test_pending_writes_of_one_sector_come_in_any_order():
    log = log_of((5, 1, 0, 1), (5, 1, 0, 2))
    assert {left(log, seed)[5] for seed in SEEDS} == {OLD, 1, 2}


def test_fua_lasts_and_what_it_overwrote_does_not_come_back():
    log = log_of((4, 4, 0, 1), (5, 1, FUA, 2), (20, 1, 0, 3))
    assert {left(log, seed)[5] for seed in SEEDS} == {2}
    assert {left(log, seed)[20] for seed in SEEDS} == {OLD, 3}


def test_discarded_sectors_are_old_or_zero():
    log = log_of((4, 1, DISCARD, 0), (6, 1, 0, 1))
    assert {left(log, seed)[4] for seed in SEEDS} == {OLD, 0}
    assert {left(log, seed)[6] for seed in SEEDS} == {OLD, 1}


def test_a_seed_leaves_the_same_disk_again():
    draw = random.Random(1)
    log = log_of(*((draw.randrange(SIZE - 8), draw.randrange(1, 9), 0, number) for number in range(1, 40)))
    assert all(left(log, seed) == left(log, seed) for seed in SEEDS)
    assert len({left(log, seed) for seed in SEEDS}) > 100


def test_a_cut_knows_only_the_log_until_then():
    entries = (0, 4, 0, 1), (0, 0, FLUSH, 0), (0, 4, 0, 2), (0, 0, FLUSH, 0)
    size = len(log_of(*entries[:2]).getvalue())
    assert {left(log_of(*entries), seed, size=size) for seed in SEEDS} == {b"\1" * 4 + bytes([OLD]) * (SIZE - 4)}


def test_log_that_is_still_being_written_is_told_from_a_whole_one():
    whole = log_of((0, 4, 0, 1), (4, 4, 0, 2)).getvalue()
    assert len(blklog.read(io.BytesIO(whole))) == 2
    hole = bytearray(whole)
    hole[SECTOR:SECTOR + HEADER.size] = bytes(HEADER.size)
    for content in (bytes(hole), whole[:-1], whole[:-5 * SECTOR + 16]):
        with pytest.raises(blklog.IncompleteLog):
            blklog.read(io.BytesIO(content))


def test_other_logs_are_refused():
    head = blklog.SUPER.pack(blklog.MAGIC, blklog.VERSION, 0, 4096).ljust(SECTOR, b"\0")
    with pytest.raises(ValueError, match="sectors of 512"):
        blklog.read(io.BytesIO(head))
    with pytest.raises(ValueError, match="flags 0x8"):
        blklog.read(log_of((0, 0, blklog.MARK, 0)))


# --- the rules

def cut_in(phase, story="reboot"):
    return Cut(0, story, phase)


def test_what_was_reported_is_what_may_run():
    reboot = [soakcheck.may_run(cut_in(phase)) for phase in PHASES]
    assert reboot == [{"old"}] * 4 + [{"old", "new"}] + [{"new"}] * 6
    kexec = {phase: soakcheck.may_run(cut_in(phase, "kexec")) for phase in STORIES["kexec"].phases()}
    assert [phase for phase, runs in kexec.items() if runs != {"old"}] == ["mark-good", "confirmed"]
    assert (kexec["mark-good"], kexec["confirmed"]) == ({"old", "new"}, {"new"})


def test_what_was_reported_is_in_the_mirror():
    assert soakcheck.mirror_must_say(cut_in("record")) is soakcheck.mirror_must_say(cut_in("mark-good")) is None
    assert soakcheck.mirror_must_say(cut_in("loader")) == (record.TRIAL, "b")
    assert soakcheck.mirror_must_say(cut_in("confirmed")) == (record.GOOD, "b")
    assert soakcheck.mirror_must_say(cut_in("activate", "kexec")) == (record.KEXEC_TRIAL, "a")
    assert soakcheck.mirror_must_say(cut_in("confirmed", "kexec")) == (record.TRIAL, "b")


def test_tries_are_at_least_those_started_and_at_most_those_entered():
    assert [soakcheck.tries_may_be(cut_in(phase)) for phase in ("activate", "loader", "mark-good")] == [
        (2, 2), (1, 2), (1, 1)]


def test_what_fsck_says_of_a_file_is_a_complaint():
    assert soakcheck.complaints(["Dirty bit is set. Fs was not properly unmounted and some data may be corrupt.",
                                 "Reclaimed 1 unused cluster (1024 bytes)."]) == []
    size = "  File size is 499712 bytes, cluster chain length is"
    assert not soakcheck.complaints(["/EFI/slotboot/b/uki.efi", f"{size} > 499712 bytes."])
    assert soakcheck.complaints(["/EFI/slotboot/b/uki.efi", f"{size} 1024 bytes."])
    assert soakcheck.complaints(["/EFI/slotboot/b/uki.efi", "  Contains a free cluster (20000). Assuming EOF."])
    assert soakcheck.complaints(["/EFI/slotboot/b/uki.efi  and", "  share clusters."])


def test_a_seed_plans_the_same_cut_and_seeds_reach_every_story_and_phase():
    plans = [Cut.plan(seed) for seed in range(2000)]
    assert plans == [Cut.plan(seed) for seed in range(2000)]
    for name, story in STORIES.items():
        assert {plan.phase for plan in plans if plan.story == name} == set(story.phases())


# --- whole machines

HANDFUL = ("uki", "record", "loader", "mark-good")


def handful():
    """A cut for each phase of one story; of seeds drawn at random, those of which make soak makes the same cut."""
    first = secrets.randbelow(10**6)
    return [next(cut for cut in map(Cut.plan, itertools.count(first)) if (cut.story, cut.phase) == ("reboot", phase))
            for phase in HANDFUL]


@pytest.fixture(scope="module")
def soak(variants, bundles, server):
    place = WORK / "run" / "test_soak"
    mine = {name: bundles[f"{name}.zip"] for name in variants}
    world = World(variants, lambda name: server.url(f"{name}.zip"))
    bases = Bases(fresh(place) / "bases", world, mine)
    bases.make({"confirmed"})
    yield Soak(world, bases, place)
    shutil.rmtree(place)


def test_handful_of_cuts_is_recovered(soak, capsys):
    cuts, lines = handful(), []
    soak.tell = lines.append
    soak.run(cuts, jobs=2)
    with capsys.disabled():
        print("", *lines, soak.table(), sep="\n")
    assert not soak.failed and len(soak.recovered) == len(cuts), "\n".join(lines)


def moments(entries):
    """Sizes of the log at which a cut may take some of several writes and leave others."""
    for count, last in enumerate(entries, 1):
        if len(blklog.split(entries[:count])[1]) > 1:
            yield last.at + (0 if last.flags & DISCARD else last.count * SECTOR)


def test_at_no_moment_does_a_file_name_clusters_that_are_free(soak):
    """Left to itself the kernel flushes a file's directory entry and the allocation table in any order; then one in
    three of these cuts leaves such a file."""
    log, left = soak.place / "recording-0/disk.log", soak.place / "left.img"
    with open(log, "rb") as file:
        sizes = list(moments(blklog.read(file)))
    for seed, size in enumerate(random.Random("moments").sample(sizes, min(len(sizes), 24))):
        blklog.leave(soak.bases.disk("confirmed").path, log, size, seed, left)
        assert not soakcheck.complaints(soakcheck.fsck(Disk(left), soak.place)), f"seed {seed}, {size} bytes of the log"


def after_the_install(soak, flushes):
    """The recovery of a cut in the loader of the handful, with nothing kept that was not flushed."""
    cut = next(cut for cut in soak.recovered if cut.phase in ("firmware", "loader", "kernel"))
    harsh = next(seed for seed in itertools.count() if not blklog.survivors([Entry(0, 1, 0, 0)] * 100, seed))
    return Recovery(dataclasses.replace(cut, seed=harsh), soak.bases.disk("confirmed"),
                    soak.place / "recording-0/disk.log", fresh(soak.place / "harsh"), soak.world, flushes)


def test_disk_that_confirms_flushes_and_does_not_do_them_is_a_violation(soak):
    with pytest.raises(Violation, match="x runs in slot a after a cut in .*, but only new may"):
        after_the_install(soak, flushes=False).run()


def test_kept_cut_is_the_same_disk_again(soak):
    cut = soak.recovered[0]
    log = soak.place / "recording-0/disk.log"
    made = Recovery(cut, soak.bases.disk("confirmed"), log, fresh(soak.place / "made"), soak.world)
    kept = load(soak.keep(cut, log, "a test"), soak.world)
    assert (kept.cut, kept.counts, kept.machine.disk.hashes()) == (cut, made.counts, made.machine.disk.hashes())
    assert kept.machine.vars.read_bytes() == made.machine.vars.read_bytes() == cut.vars
    shutil.rmtree(soak.kept)


def test_confirmed_slot_that_was_written_is_a_violation(soak):
    recovery = after_the_install(soak, flushes=True)
    recovery.old_is_untouched()
    recovery.machine.disk.write("slotboot-a", b"\1", offset=40 << 20)
    with pytest.raises(Violation, match="the partition of confirmed slot a was written"):
        recovery.old_is_untouched()


def test_damage_to_the_confirmed_uki_or_the_loader_is_a_violation(soak):
    for name in ("EFI/slotboot/a/uki.efi", "EFI/slotboot/slotbootx64.efi"):
        recovery = after_the_install(soak, flushes=True)
        recovery.machine.disk.esp.write(name, recovery.machine.disk.esp.read(name)[:-1])
        with pytest.raises(Violation, match=f"{name} is not what it was"):
            recovery.old_is_untouched()
