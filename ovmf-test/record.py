# SPDX-License-Identifier: MIT
"""The slot record as docs/FORMAT.md has it, written a second time: what the programs read and write
is what is tested. And putting one into a machine that is off."""
import hashlib
import struct
import uuid
import zlib
from dataclasses import dataclass, field

from varstore import VarStore

EMPTY, WRITING, TRIAL, KEXEC_TRIAL, GOOD, BAD = range(6)
LOAD, DIGEST, RETURNED, TRIES, KEXEC = range(1, 6)      # reasons
UNSAVED, WATCHDOG = 10, 11
HAS_DIGEST = 1                  # a flag
ESP = uuid.UUID("5107B007-0000-4000-9000-000000000001")      # the first partition's, in disk.py
MIRROR = "EFI/slotboot/state.bin"
SIZE, STRIDE = 320, 4096        # of a record; from one copy in the mirror to the next
NO_WATCHDOG, I6300ESB, ITCO, WDAT, GWDT, FCH = range(6)
ON_TRIAL, ON_GOOD = 1, 2        # flags of the watchdog
PROVISIONAL, CHECK, RESET, ENTRIES = 1, 2, 4, 8         # flags of the record
_HEAD = struct.Struct("<8sHH4xQBBBBH2x32s")
_SLOT = struct.Struct("<6B2xQQ32sQ16x")
_TAIL = struct.Struct("<64sQBB18x")


def seal(content):
    """The 316 bytes with their checksum behind them."""
    return content[:316] + struct.pack("<I", zlib.crc32(content[:316]))


@dataclass
class Slot:
    status: int = EMPTY
    tries_left: int = 0
    tries_granted: int = 0
    reason: int = 0
    good_boots: int = 0
    flags: int = 0
    efi_status: int = 0
    uki_size: int = 0
    uki_sha256: bytes = bytes(32)
    installed: int = 0

    def holds(self, uki):
        """The UKI is the one that was installed."""
        self.flags |= HAS_DIGEST
        self.uki_size, self.uki_sha256 = len(uki), hashlib.sha256(uki).digest()

    def try_again(self, tries):
        self.status, self.tries_left, self.tries_granted = TRIAL, tries, tries

    def fail(self, reason):
        self.status, self.tries_left, self.reason = BAD, 0, reason


@dataclass
class Record:
    sequence: int = 1
    preferred: int = 0
    good_limit: int = 0
    watchdog: int = NO_WATCHDOG
    watchdog_flags: int = 0
    watchdog_s: int = 0
    esps: bytes = ESP.bytes_le + bytes(16)
    a: Slot = field(default_factory=Slot)
    b: Slot = field(default_factory=Slot)
    attempts: bytes = bytes(64)
    nonce: int = 0
    kexec_failures: int = 0
    flags: int = 0

    @classmethod
    def decode(cls, content):
        assert len(content) == SIZE and seal(content) == content
        _, _, _, *head = _HEAD.unpack_from(content)
        slots = [Slot(*_SLOT.unpack_from(content, at)) for at in (64, 144)]
        return cls(*head, *slots, *_TAIL.unpack_from(content, 224))

    def encode(self):
        slots = b"".join(_SLOT.pack(*vars(slot).values()) for slot in (self.a, self.b))
        return seal(_HEAD.pack(b"SLOTBOOT", 2, SIZE, self.sequence, self.preferred, self.good_limit, self.watchdog,
                               self.watchdog_flags, self.watchdog_s, self.esps) + slots +
                    _TAIL.pack(self.attempts, self.nonce, self.kexec_failures, self.flags))


def read(machine):
    return Record.decode(VarStore(machine.vars).get("SlotState").data)


def read_mirror(machine):
    """The newer copy of the mirror."""
    content = machine.disk.esp.read(MIRROR)
    copies = [content[at:at + SIZE] for at in (0, STRIDE)]
    return max((Record.decode(copy) for copy in copies if any(copy)), key=lambda record: record.sequence)


def write(machine, record):
    """Variable and mirror, as the agent leaves them."""
    VarStore(machine.vars).set("SlotState", record.encode())
    machine.disk.esp.write(MIRROR, record.encode().ljust(STRIDE, b"\0") * 2)
