# SPDX-License-Identifier: MIT
"""Slot records and traces, from the layouts in shared/record.h and shared/trace.h.
Written a second time on purpose: the loader's own codec is what is tested."""
import hashlib
import struct
import zlib

EMPTY, WRITING, TRIAL, KEXEC_TRIAL, GOOD, BAD = range(6)
LOAD, DIGEST, RETURNED, TRIES, KEXEC = range(1, 6)
UNSAVED = 10
STARTED, FAILED, SKIPPED = range(3)
LOST, VARIABLE, MIRROR = range(3)
MISSING, CHECKSUM, ATTRIBUTES = 1, 8, 10    # enum sb_error
SLOT = struct.Struct("<BBBBBB2xQQ32sQ8x")
HEAD = struct.Struct("<8sHH4xQBB6x")


def slot(status, tries=0, reason=0, uki=None, size=None):
    """uki: the bytes whose size and digest the record shall have."""
    digest = hashlib.sha256(uki).digest() if uki is not None else bytes(32)
    length = size if size is not None else len(uki or b"")
    return SLOT.pack(status, tries, tries, reason, 0, 1 if uki is not None else 0,
                     0, length, digest, 0)


def record(a, b, preferred=0, sequence=5):
    body = HEAD.pack(b"SLOTBOOT", 1, 256, sequence, preferred, 0) + a + b
    body = body.ljust(252, b"\0")
    return body + struct.pack("<I", zlib.crc32(body))


class Record:
    def __init__(self, data):
        _, _, _, self.sequence, self.preferred, _ = HEAD.unpack_from(data)
        self.valid = len(data) == 256 and zlib.crc32(data[:252]) == struct.unpack(
            "<I", data[252:256])[0]
        self.status, self.tries, self.reason, self.efi_status = [], [], [], []
        for at in (32, 104):
            f = SLOT.unpack_from(data, at)
            self.status.append(f[0])
            self.tries.append(f[1])
            self.reason.append(f[3])
            self.efi_status.append(f[6])


class Trace:
    def __init__(self, data):
        self.source, self.var_error, self.mirror_error, self.save_error, count = data[9:14]
        self.sequence = struct.unpack_from("<Q", data, 16)[0]
        self.steps = [struct.unpack_from("<BBBBQ", data, 24 + 12 * i) for i in range(count)]
