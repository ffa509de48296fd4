# SPDX-License-Identifier: MIT
"""The log that QEMU's blklogwrites driver keeps of a disk's writes and flushes, and the disk that a
power cut may leave of it.

The format is that of Linux's dm-log-writes (drivers/md/dm-log-writes.c): a superblock in the first
sector, then entries, each a sector of header (sector, count, flags, length of a mark's text) and the
data behind it. QEMU writes an entry after the write itself and before the guest hears of its end, so
whatever the guest knows to be done is in the log; and it brings the superblock up to date only at a
flush, so the count in it says nothing about a log that is still being written.

What a cut leaves: a write is lasting once a flush came after it, or if it is itself FUA. Every other
one may be there, lost or torn, sector by sector, and those of one sector in any order."""
import random
import struct
from dataclasses import dataclass

from paths import run

SECTOR = 512
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
MAGIC, VERSION = 0x6A736677736872, 1
SUPER = struct.Struct("<QQQI")
HEADER = struct.Struct("<QQQQ")
# Sectors that are kept or lost together (0: the whole write), and how many of them are kept.
_UNITS, _KEPT = (1, 8, 0), (0, 0.1, 0.5, 0.9, 1)


class IncompleteLog(Exception):
    """An entry is missing before the log's end: QEMU is still writing it."""


@dataclass(frozen=True)
class Entry:
    sector: int
    count: int
    flags: int
    at: int         # where its data is in the log

    def overlaps(self, other):
        return self.sector < other.sector + other.count and other.sector < self.sector + self.count


def read(log, size=None):
    """The entries in the first size bytes of an open log, all by default."""
    log.seek(0, 2)
    end = log.tell() if size is None else size
    log.seek(0)
    head = log.read(SUPER.size)
    if any(head):
        magic, version, _, sector = SUPER.unpack(head)
        if (magic, version, sector) != (MAGIC, VERSION, SECTOR):
            raise ValueError(f"not a log of writes with sectors of {SECTOR} bytes")
    entries, at = [], SECTOR
    while at < end:
        log.seek(at)
        header = log.read(HEADER.size)
        if len(header) < HEADER.size or not any(header):
            raise IncompleteLog(f"no entry at {at}, but the log ends at {end}")
        sector, count, flags, text = HEADER.unpack(header)
        if flags & ~(FLUSH | FUA | DISCARD) or text:
            raise ValueError(f"an entry with flags {flags:#x} at {at}: only writes, flushes and discards are known")
        at += SECTOR
        entries.append(Entry(sector, count, flags, at))
        at += 0 if flags & DISCARD else count * SECTOR
    if at > end:
        raise IncompleteLog(f"the last entry ends at {at}, the log at {end}")
    return entries


def split(entries, flushes=True):
    """(lasting, pending): what a cut after the last entry cannot take, and what it can, both in order.

    flushes=False: as a disk that confirms flushes and does not do them, for a test of the checks."""
    lasting, pending = [], []
    for entry in entries:
        if entry.flags & FLUSH and flushes:
            lasting, pending = lasting + pending, []
        if entry.flags & FUA and flushes:
            # What it overwrites cannot come back.
            lasting += [old for old in pending if old.overlaps(entry)] + [entry]
            pending = [old for old in pending if not old.overlaps(entry)]
        elif entry.count:
            pending.append(entry)
    return lasting, pending


def survivors(pending, seed):
    """What is left of the pending writes, in the order it reached the medium: (entry, first sector in
    it, number of sectors). The seed decides everything."""
    draw = random.Random(f"loss {seed}")
    unit, kept = draw.choice(_UNITS), draw.choice(_KEPT)
    pieces = []
    for entry in pending:
        step = unit or entry.count
        pieces += [(entry, first, min(step, entry.count - first)) for first in range(0, entry.count, step)]
    pieces = [piece for piece in pieces if draw.random() < kept]
    draw.shuffle(pieces)
    return pieces


def _content(log, entry, first, count):
    if entry.flags & DISCARD:
        return bytes(count * SECTOR)
    log.seek(entry.at + first * SECTOR)
    return log.read(count * SECTOR)


def replay(log, disk, pieces):
    """Write pieces, as survivors() gives them, into an open disk."""
    for entry, first, count in pieces:
        disk.seek((entry.sector + first) * SECTOR)
        disk.write(_content(log, entry, first, count))


def whole(entries):
    return [(entry, 0, entry.count) for entry in entries if entry.count]


def leave(base, log_path, size, seed, out, flushes=True):
    """Make the disk that a cut at the log's size leaves of base: (lasting, pending, kept) are counts of
    writes, and of pieces of the pending ones that made it. seed None: nothing is lost."""
    run("cp", "--sparse=always", "--reflink=auto", "--remove-destination", base, out)
    with open(log_path, "rb") as log, open(out, "r+b") as disk:
        lasting, pending = split(read(log, size), flushes)
        kept = whole(pending) if seed is None else survivors(pending, seed)
        replay(log, disk, whole(lasting) + kept)
    return len(lasting), len(pending), len(kept)
