# SPDX-License-Identifier: MIT
"""OVMF's variable store file, read and edited while the machine is off.

The file is a firmware volume holding one store of authenticated variables (edk2's
MdeModulePkg/Include/Guid/VariableFormat.h): a 28-byte store header, then variables of a 60-byte header,
name and data, each aligned to 4. A variable's state byte only ever loses bits, as flash does."""
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

SLOTBOOT = "a44b7925-64fe-4f5f-9e3a-49b0319efd7d"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
NV, BS, RT = 1, 2, 4
_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
_HEADER = struct.Struct("<HBBIQ16sIII16s")
_START = 0x55AA
_SIGNED_UPDATES = 0x27      # NV, BS, RT, and only by signed updates
_SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"      # of db and dbx
_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
_ADDED, _IN_DELETED_TRANSITION, _DELETED = 0x3F, 0x3E, 0x3C


@dataclass(frozen=True)
class Variable:
    name: str
    guid: str
    attributes: int
    data: bytes


class VarStore:
    def __init__(self, path):
        self.path = Path(path)

    def _walk(self, content):
        """(offset, state, Variable) of everything in the store, deleted ones too; last the free offset."""
        length = struct.unpack_from("<H", content, 48)[0]
        if content[length:length + 16] != _STORE:
            raise RuntimeError(f"{self.path}: not a store of authenticated variables")
        end = length + struct.unpack_from("<I", content, length + 16)[0]
        offset = length + 28
        while offset + _HEADER.size <= end:
            start, state, _, attributes, _, _, _, name, size, guid = _HEADER.unpack_from(content, offset)
            if start != _START:
                break
            at = offset + _HEADER.size
            yield offset, state, Variable(content[at:at + name].decode("utf-16-le").rstrip("\0"),
                                          str(uuid.UUID(bytes_le=guid)), attributes,
                                          content[at + name:at + name + size])
            offset = -(-(at + name + size) // 4) * 4
        yield offset, None, None

    def _valid(self, content):
        found = {}
        for offset, state, variable in self._walk(content):
            if state not in (_ADDED, _IN_DELETED_TRANSITION):
                continue
            key = (variable.name, variable.guid)
            # One in deletion counts only while its replacement is not complete.
            if state == _ADDED or key not in found:
                found[key] = (offset, variable)
        return found

    def all(self):
        """Every non-volatile variable by (name, guid)."""
        return {key: variable for key, (_, variable) in self._valid(self.path.read_bytes()).items()}

    def get(self, name, guid=SLOTBOOT):
        return self.all().get((name, guid))

    def enroll(self, db, kek=None, pk=None):
        """A fresh store: one X.509 certificate (DER) in each; without others, the same. With a PK, Secure Boot is on."""
        for name, guid, certificate in (("db", _SECURITY, db), ("KEK", GLOBAL, kek or db), ("PK", GLOBAL, pk or db)):
            size = 16 + len(certificate)
            siglist = _X509 + struct.pack("<III", 28 + size, 0, size) + uuid.UUID(SLOTBOOT).bytes_le + certificate
            self._append(name, guid, _SIGNED_UPDATES, siglist)

    def _append(self, name, guid, attributes, data):
        content = bytearray(self.path.read_bytes())
        *_, (offset, _, _) = self._walk(bytes(content))
        wide = (name + "\0").encode("utf-16-le")
        entry = _HEADER.pack(_START, _ADDED, 0, attributes, 0, bytes(16), 0, len(wide), len(data),
                             uuid.UUID(guid).bytes_le) + wide + data
        content[offset:offset + len(entry)] = entry
        self.path.write_bytes(content)

    def delete(self, name, guid=SLOTBOOT):
        """Remove the variable; False if there was none."""
        content = bytearray(self.path.read_bytes())
        hits = [offset for offset, state, variable in self._walk(bytes(content))
                if state in (_ADDED, _IN_DELETED_TRANSITION) and (variable.name, variable.guid) == (name, guid)]
        for offset in hits:
            content[offset + 2] &= _DELETED
        self.path.write_bytes(content)
        return bool(hits)

    def set(self, name, data, guid=SLOTBOOT, attributes=NV | BS | RT):
        """Add or replace the variable, behind everything else in the store."""
        self.delete(name, guid)
        content = bytearray(self.path.read_bytes())
        *_, (offset, _, _) = self._walk(bytes(content))
        encoded = (name + "\0").encode("utf-16-le")
        header = _HEADER.pack(_START, _ADDED, 0, attributes, 0, bytes(16), 0, len(encoded), len(data),
                              uuid.UUID(guid).bytes_le)
        new = header + encoded + data
        if content[offset:offset + len(new)] != b"\xff" * len(new):
            raise RuntimeError(f"{self.path}: no room behind the last variable for {name}")
        content[offset:offset + len(new)] = new
        self.path.write_bytes(content)

    def boot_choice(self):
        """What decides the next boot: the variables under slotboot's GUID, Boot#### and BootOrder."""
        return {key: variable for key, variable in self.all().items()
                if key[1] == SLOTBOOT or (key[1] == GLOBAL and key[0].startswith("Boot"))}
