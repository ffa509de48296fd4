# SPDX-License-Identifier: MIT
"""Slot records and traces, from the layouts in shared/record.h and shared/trace.h.
Written a second time on purpose: the loader's own codec is what is tested."""
import hashlib
import struct
import uuid
import zlib

from machine import ESP_GUID

EMPTY, WRITING, TRIAL, KEXEC_TRIAL, GOOD, BAD = range(6)
LOAD, DIGEST, RETURNED, TRIES, KEXEC = range(1, 6)
UNSAVED, WATCHDOG = 10, 11
NO_WATCHDOG, I6300ESB, ITCO, WDAT, GWDT, FCH = range(6)   # enum record_watchdog
ON_TRIAL, ON_GOOD = 1, 2
OFF, ARMED, NOT_FOUND, NOT_ARMED = range(4)    # enum trace_watchdog
UNKNOWN, BY_WATCHDOG, OTHERWISE = range(3)     # enum trace_reset
ATTEMPT_STARTED, ATTEMPT_FAILED = 1, 2
STARTED, FAILED, SKIPPED = range(3)
LOST, VARIABLE, MIRROR = range(3)
MISSING, CHECKSUM, ATTRIBUTES = 1, 8, 10    # enum sb_error
PROVISIONAL, CHECK, RESET, ENTRIES = 1, 2, 4, 8         # flags of the record
PROVISIONAL_TRIES = 3                       # what the slots of a provisional one are granted
SLOT = struct.Struct("<BBBBBB2xQQ32sQ16x")
HEAD = struct.Struct("<8sHH4xQBBBBH2x16s16s")
SIZE, STRIDE = 320, 4096                       # of a record; from one copy of the mirror to the next


def slot(status, tries=0, reason=0, uki=None, size=None):
    """uki: the bytes whose size and digest the record shall have."""
    digest = hashlib.sha256(uki).digest() if uki is not None else bytes(32)
    length = size if size is not None else len(uki or b"")
    return SLOT.pack(status, tries, tries, reason, 0, 1 if uki is not None else 0,
                     0, length, digest, 0)


def record(a, b, preferred=0, sequence=5, watchdog=(NO_WATCHDOG, 0, 0), esp=ESP_GUID, flags=0,
           other=None):
    """watchdog: which, flags, seconds; other: a second ESP"""
    body = HEAD.pack(b"SLOTBOOT", 2, SIZE, sequence, preferred, 0, *watchdog, uuid.UUID(esp).bytes_le,
                     uuid.UUID(other).bytes_le if other else bytes(16)) + a + b
    body = body.ljust(297, b"\0") + bytes([flags])
    body = body.ljust(SIZE - 4, b"\0")
    return body + struct.pack("<I", zlib.crc32(body))


class Record:
    def __init__(self, data):
        _, _, _, self.sequence, self.preferred, _, *self.watchdog, esp, _ = HEAD.unpack_from(data)
        self.esp = str(uuid.UUID(bytes_le=esp))
        self.valid = len(data) == SIZE and zlib.crc32(data[:-4]) == struct.unpack("<I", data[-4:])[0]
        self.flags = data[297]
        self.status, self.tries, self.reason, self.efi_status = [], [], [], []
        for at in (64, 144):
            f = SLOT.unpack_from(data, at)
            self.status.append(f[0])
            self.tries.append(f[1])
            self.reason.append(f[3])
            self.efi_status.append(f[6])
        # (slot, event, reason), the oldest first
        self.attempts = [tuple(data[at:at + 3]) for at in range(224, 288, 8) if data[at + 1]]


class Trace:
    @classmethod
    def plain(cls, letter):
        step = struct.pack("<BBBBQ", "ab".index(letter), STARTED, 0, 0, 0)
        return cls(struct.pack("<8s8BQ", b"SLOTTRCE", 1, VARIABLE, 0, 0, 0, 1, 0, 0, 0) + step)

    def __init__(self, data):
        self.source, self.var_error, self.mirror_error, self.save_error, count = data[9:14]
        self.watchdog, self.reset = data[14:16]
        self.sequence = struct.unpack_from("<Q", data, 16)[0]
        self.steps = [struct.unpack_from("<BBBBQ", data, 24 + 12 * i) for i in range(count)]
