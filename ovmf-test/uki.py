# SPDX-License-Identifier: MIT
"""A UKI: systemd-stub with .osrel, .uname, .cmdline, .linux and .initrd added by objcopy, and what else is asked for."""
import struct
from pathlib import Path

from paths import ARCH, STUB, run


def _image_end(pe):
    """Where the last section of a PE image ends in memory."""
    header = struct.unpack_from("<I", pe, 0x3C)[0]
    count, optional = struct.unpack_from("<H12xH", pe, header + 6)
    table = header + 24 + optional
    ends = [sum(struct.unpack_from("<II", pe, table + 40 * i + 8)) for i in range(count)]
    return max(ends)


def build(out, work, linux, initrd, cmdline, osrel, uname, more=()):
    """Lay the sections out one after another on page boundaries behind the stub's own.

    .linux comes last: kernels decompress in place, beyond the section's end."""
    work = Path(work)
    sections = {".osrel": osrel.encode(), ".uname": uname.encode(), ".cmdline": cmdline.encode(),
                **dict(more), ".initrd": Path(initrd).read_bytes(), ".linux": Path(linux).read_bytes()}
    address = -(-_image_end(STUB.read_bytes()) // 4096) * 4096
    arguments = []
    for name, content in sections.items():
        source = work / ("uki" + name)
        source.write_bytes(content)
        arguments += ["--add-section", f"{name}={source}", "--change-section-vma", f"{name}={address:#x}",
                      "--set-section-flags", f"{name}=data,readonly"]
        address += -(-len(content) // 4096) * 4096
    # --preserve-dates keeps the stub's time stamp in the PE header: the same inputs give the same UKI.
    run(ARCH.objcopy, "--preserve-dates", *arguments, STUB, out)
    Path(out).touch()
    for name in sections:
        (work / ("uki" + name)).unlink()


def section(uki, name):
    """Where the PE section's header is, its offset in the file, its size there."""
    header = struct.unpack_from("<I", uki, 0x3C)[0]
    count, optional = struct.unpack_from("<H12xH", uki, header + 6)
    for at in range(header + 24 + optional, header + 24 + optional + 40 * count, 40):
        if uki[at:at + 8].rstrip(b"\0") == name:
            size, offset = struct.unpack_from("<II", uki, at + 16)
            return at, offset, size
    raise KeyError(name)


def with_words(uki, *words):
    """The UKI with these in its command line instead of the root hash, which they make superfluous."""
    _, at, size = section(uki, b".cmdline")
    line = [word for word in uki[at:at + size].rstrip(b"\0").split() if not word.startswith(b"roothash=")]
    line = b" ".join([*line, *words])
    assert len(line) <= size and b"panic=1" in line
    return uki[:at] + line.ljust(size, b"\0") + uki[at + size:]


def with_hung_kernel(uki):
    """The UKI with a kernel that stops at its 64-bit entry point, which the EFI stub and kexec have in common."""
    _, at, _ = section(uki, b".linux")
    # Linux, Documentation/x86/boot.rst: setup_sects, and 0x200 bytes into what follows them.
    entry = at + (uki[at + 0x1F1] + 1) * 512 + 0x200
    hang = b"\xfa\xf4\xeb\xfd"         # cli; hlt; jmp to the hlt
    return uki[:entry] + hang + uki[entry + len(hang):]
