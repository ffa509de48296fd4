# SPDX-License-Identifier: MIT
"""Slot records as cases of the loader ask for them, and its traces (shared/trace.h)."""
import struct
import uuid

from machine import ESP_GUID

from record import NO_WATCHDOG, SIZE, Record, Slot, seal

OFF, ARMED, NOT_FOUND, NOT_ARMED = range(4)    # enum trace_watchdog
UNKNOWN, BY_WATCHDOG, OTHERWISE = range(3)     # enum trace_reset
ATTEMPT_STARTED, ATTEMPT_FAILED = 1, 2
STARTED, FAILED, SKIPPED = range(3)
LOST, VARIABLE, MIRROR = range(3)
MISSING, CHECKSUM, ATTRIBUTES = 1, 8, 10    # enum sb_error
PROVISIONAL_TRIES = 3                       # what the slots of a provisional record are granted


def slot(status, tries=0, reason=0, uki=None, size=None):
    """uki: the bytes whose size and digest the record shall have; size: another one."""
    made = Slot(status, tries, tries, reason)
    if uki is not None:
        made.holds(uki)
    made.uki_size = size or made.uki_size
    return made


def record(a, b, preferred=0, sequence=5, watchdog=(NO_WATCHDOG, 0, 0), esp=ESP_GUID, flags=0, other=None):
    """Its bytes. watchdog: which, flags, seconds; other: a second ESP."""
    esps = uuid.UUID(esp).bytes_le + (uuid.UUID(other).bytes_le if other else bytes(16))
    return Record(sequence, preferred, 0, *watchdog, esps, a, b, flags=flags).encode()


class Found(Record):
    """What a boot has left. What slots have is a list: of a, of b."""

    @classmethod
    def decode(cls, content):
        """None if it is no valid record."""
        return super().decode(content) if content and len(content) == SIZE and seal(content) == content else None

    def _column(self, name):
        return [getattr(slot, name) for slot in (self.a, self.b)]

    status = property(lambda self: self._column("status"))
    tries = property(lambda self: self._column("tries_left"))
    reason = property(lambda self: self._column("reason"))
    efi_status = property(lambda self: self._column("efi_status"))
    esp = property(lambda self: str(uuid.UUID(bytes_le=self.esps[:16])))

    def events(self):
        """(slot, event, reason), the oldest first."""
        return [tuple(self.attempts[at:at + 3]) for at in range(0, 64, 8) if self.attempts[at + 1]]


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
