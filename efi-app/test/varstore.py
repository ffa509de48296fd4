# SPDX-License-Identifier: MIT
"""Reads and adds variables in the variable store file of OVMF or AAVMF, between boots.

The layout is EDK II's authenticated variable store: a firmware volume whose
header is followed by the store's, then the variables one after the other, each
4-byte aligned, free space being 0xff.
"""
import struct
import uuid

STORE_GUID = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
SLOTBOOT = "a44b7925-64fe-4f5f-9e3a-49b0319efd7d"
HEADER = struct.Struct("<HBBIQ16sIII16s")
ADDED, DELETED, START_ID = 0x3F, 0x3C, 0x55AA
NV_BS_RT = 7
VOLUME_MAX = 1 << 20        # nothing behind it is the store's


class VarStore:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.data = bytearray(f.read(VOLUME_MAX))
        at = struct.unpack_from("<H", self.data, 48)[0]     # the volume header's length
        if self.data[at:at + 16] != STORE_GUID:
            raise ValueError(f"{path}: not an authenticated variable store")
        self.first = at + 28
        self.end = at + struct.unpack_from("<I", self.data, at + 16)[0]

    def _walk(self):
        at = self.first
        while at + HEADER.size <= self.end:
            fields = HEADER.unpack_from(self.data, at)
            if fields[0] != START_ID:
                break
            name_size, data_size = fields[7], fields[8]
            body = at + HEADER.size
            yield at, fields, body, name_size, data_size
            at = (body + name_size + data_size + 3) & ~3
        self.free = at

    def variables(self):
        """{(name, guid): (attributes, bytes)} of what is valid."""
        found = {}
        for _, f, body, n, d in self._walk():
            if f[1] != ADDED:
                continue
            name = self.data[body:body + n].decode("utf-16le").rstrip("\0")
            value = bytes(self.data[body + n:body + n + d])
            found[name, str(uuid.UUID(bytes_le=f[9]))] = (f[3], value)
        return found

    def get(self, name, guid=SLOTBOOT):
        return self.variables().get((name, guid), (None, None))[1]

    def drop(self, unwanted):
        """Deletes each variable of whose name and GUID this is true."""
        for at, f, body, n, _ in self._walk():
            name = self.data[body:body + n].decode("utf-16le").rstrip("\0")
            if unwanted(name, str(uuid.UUID(bytes_le=f[9]))):
                self.data[at + 2] = DELETED

    def add(self, name, value, guid=SLOTBOOT, attributes=NV_BS_RT):
        self.drop(lambda there, _: there == name)
        wide = (name + "\0").encode("utf-16le")
        entry = HEADER.pack(START_ID, ADDED, 0, attributes, 0, bytes(16), 0, len(wide),
                            len(value), uuid.UUID(guid).bytes_le) + wide + value
        if self.free + len(entry) > self.end:
            raise ValueError("the variable store is full")
        self.data[self.free:self.free + len(entry)] = entry

    def clear(self):
        self.data[self.first:self.end] = b"\xff" * (self.end - self.first)

    def save(self):
        with open(self.path, "r+b") as f:
            f.write(self.data)
