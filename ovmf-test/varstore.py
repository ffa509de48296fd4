# SPDX-License-Identifier: MIT
"""The variable store file of OVMF or AAVMF, read and edited while the machine is off.

The file begins with a firmware volume holding one store of authenticated variables (edk2's
MdeModulePkg/Include/Guid/VariableFormat.h): a 28-byte store header, then variables of a 60-byte header,
name and data, each aligned to 4. A variable's state byte only ever loses bits, as flash does."""
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

import siglist

SLOTBOOT = "a44b7925-64fe-4f5f-9e3a-49b0319efd7d"
GLOBAL = siglist.GLOBAL
NV, BS, RT = 1, 2, 4
SIGNED_UPDATES = 0x27       # NV, BS, RT, and only by updates that are signed
_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
_HEADER = struct.Struct("<HBBIQ16sIII16s")
_START = 0x55AA
_ADDED, _IN_DELETED_TRANSITION, _DELETED = 0x3F, 0x3E, 0x3C
_VOLUME_MAX = 1 << 20       # AAVMF's file has 64 MB, and nothing of the store behind this


@dataclass(frozen=True)
class Variable:
    name: str
    guid: str
    attributes: int
    data: bytes


class VarStore:
    def __init__(self, path):
        self.path = Path(path)

    def _read(self):
        """The volume, and where in it the store's variables begin and end."""
        with open(self.path, "rb") as file:
            content = bytearray(file.read(_VOLUME_MAX))
        length = struct.unpack_from("<H", content, 48)[0]
        if content[length:length + 16] != _STORE:
            raise RuntimeError(f"{self.path}: not a store of authenticated variables")
        return content, length + 28, length + struct.unpack_from("<I", content, length + 16)[0]

    def _write(self, content):
        with open(self.path, "r+b") as file:
            file.write(content)

    @staticmethod
    def _walk(content, offset, end):
        """(offset, state, Variable) of everything in the store, deleted ones too; last the free offset."""
        while offset + _HEADER.size <= end:
            start, state, _, attributes, _, _, _, name, size, guid = _HEADER.unpack_from(content, offset)
            if start != _START:
                break
            at = offset + _HEADER.size
            yield offset, state, Variable(content[at:at + name].decode("utf-16-le").rstrip("\0"),
                                          str(uuid.UUID(bytes_le=guid)), attributes,
                                          bytes(content[at + name:at + name + size]))
            offset = -(-(at + name + size) // 4) * 4
        yield offset, None, None

    def all(self):
        """Every non-volatile variable by (name, guid)."""
        found = {}
        for _, state, variable in self._walk(*self._read()):
            # One in deletion counts only while its replacement is not complete.
            if state == _ADDED or state == _IN_DELETED_TRANSITION and (variable.name, variable.guid) not in found:
                found[variable.name, variable.guid] = variable
        return found

    def get(self, name, guid=SLOTBOOT):
        return self.all().get((name, guid))

    def clear(self):
        content, first, end = self._read()
        content[first:end] = b"\xff" * (end - first)
        self._write(content)

    def delete_all(self, unwanted):
        """Remove each variable of whose name and GUID this is true; how many there were."""
        content, first, end = self._read()
        hits = [offset for offset, state, variable in self._walk(content, first, end)
                if state in (_ADDED, _IN_DELETED_TRANSITION) and unwanted(variable.name, variable.guid)]
        for offset in hits:
            content[offset + 2] &= _DELETED
        self._write(content)
        return len(hits)

    def delete(self, name, guid=SLOTBOOT):
        """Remove the variable; False if there was none."""
        return self.delete_all(lambda *there: there == (name, guid)) > 0

    def set(self, name, data, guid=SLOTBOOT, attributes=NV | BS | RT):
        """Add or replace the variable, behind everything else in the store."""
        self.delete(name, guid)
        content, first, end = self._read()
        *_, (offset, _, _) = self._walk(content, first, end)
        wide = (name + "\0").encode("utf-16-le")
        new = _HEADER.pack(_START, _ADDED, 0, attributes, 0, bytes(16), 0, len(wide), len(data),
                           uuid.UUID(guid).bytes_le) + wide + data
        if offset + len(new) > end:
            raise RuntimeError(f"{self.path}: no room behind the last variable for {name}")
        content[offset:offset + len(new)] = new
        self._write(content)

    def enroll(self, db, kek=None, pk=None):
        """One X.509 certificate (DER) in each; without others, the same. With a PK, Secure Boot is on."""
        for name, guid, certificate in (("db", siglist.SECURITY, db), ("KEK", GLOBAL, kek or db), ("PK", GLOBAL, pk or db)):
            self.set(name, siglist.of_certificate(certificate), guid, SIGNED_UPDATES)

    def boot_choice(self):
        """What decides the next boot: the variables under slotboot's GUID, Boot#### and BootOrder."""
        return {key: variable for key, variable in self.all().items()
                if key[1] == SLOTBOOT or (key[1] == GLOBAL and key[0].startswith("Boot"))}
