# SPDX-License-Identifier: MIT
"""An ACPI WDAT over the TCO timer of QEMU's q35, from the layout in shared/wdat.h:
real registers for the loader's interpreter. OVMF puts the ACPI base at 0x600 and
RCBA at 0xfed1c000. A count is 1.2 seconds, since the timer counts down twice."""
import struct

RESET, SET_COUNTDOWN, GET_RUNNING, SET_RUNNING, SET_STOPPED, SET_REBOOT, GET_STATUS, SET_STATUS = (
    1, 6, 8, 9, 11, 17, 32, 33)
COMPARE, WRITE_VALUE, WRITE_COUNT, KEEP = 0, 2, 3, 0x80
MEMORY, PORT = 0, 1
HEADER = struct.Struct("<4sIBB6s8sI4sI")
ENTRY = struct.Struct("<BBxxBBBBQII")
WIDTHS = {8: 1, 16: 2, 32: 3}


def entry(action, instruction, space, address, width, shift, value, mask):
    return ENTRY.pack(action, instruction, space, width, shift, WIDTHS[width], address,
                      value, mask)


TCO = {
    RESET: entry(RESET, WRITE_VALUE, PORT, 0x660, 16, 0, 1, 0x3ff),
    SET_COUNTDOWN: entry(SET_COUNTDOWN, WRITE_COUNT | KEEP, PORT, 0x672, 16, 0, 0, 0x3ff),
    GET_RUNNING: entry(GET_RUNNING, COMPARE, PORT, 0x668, 16, 11, 0, 1),
    SET_RUNNING: entry(SET_RUNNING, WRITE_VALUE | KEEP, PORT, 0x668, 16, 11, 0, 1),
    SET_STOPPED: entry(SET_STOPPED, WRITE_VALUE | KEEP, PORT, 0x668, 16, 11, 1, 1),
    SET_REBOOT: entry(SET_REBOOT, WRITE_VALUE | KEEP, MEMORY, 0xfed1f410, 32, 5, 0, 1),
    GET_STATUS: entry(GET_STATUS, COMPARE, PORT, 0x666, 16, 1, 1, 1),
    SET_STATUS: entry(SET_STATUS, WRITE_VALUE, PORT, 0x666, 16, 1, 1, 1),
}


def table(entries):
    """entries: {action: bytes}"""
    body = struct.pack("<IHBBB3xIIIB3xI", 32, 0xffff, 0xff, 0xff, 0xff, 1200, 0x3ff, 4, 1,
                       len(entries)) + b"".join(entries.values())
    data = bytearray(HEADER.pack(b"WDAT", HEADER.size + len(body), 1, 0, b"SLOTBT", b"SLOTWDAT",
                                 1, b"TEST", 1) + body)
    data[9] = -sum(data) & 0xff
    return bytes(data)
