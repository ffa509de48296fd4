# SPDX-License-Identifier: MIT
"""What db, dbx and shim's lists are made of (EFI_SIGNATURE_LIST, UEFI 2.10 section 32.4.1), what of an image is in
them: its Authenticode digest; and their updates, signed (8.2.2), as sign-efi-sig-list makes them."""
import datetime
import hashlib
import struct
import subprocess
import uuid

import pefile

SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"      # of db and dbx
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"         # of KEK and PK
SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"           # of MokListRT, MokListXRT and SbatLevelRT
_OWNER = uuid.UUID("a44b7925-64fe-4f5f-9e3a-49b0319efd7d").bytes_le
_PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7").bytes_le
SHA256, X509 = "c1c41626-504c-4092-aca9-41f936934328", "a5c059a1-94e4-4aa7-87b5-ab155c2bf072"


def _list(kind, *signatures):
    each = 16 + len(signatures[0])
    return uuid.UUID(kind).bytes_le + struct.pack("<III", 28 + each * len(signatures), 0, each) + b"".join(
        _OWNER + signature for signature in signatures)


def of_certificate(der):
    return _list(X509, der)


def of_images(*images):
    return _list(SHA256, *map(digest, images))


def _inner(der):
    """What a DER value holds, and what follows it."""
    size, head = der[1], 2
    if size & 0x80:
        head += size & 0x7F
        size = int.from_bytes(der[2:head], "big")
    return der[head:head + size], der[head + size:]


def update(variable, lists, key, cert, append=True):
    """The .auth file that has the firmware append lists to KEK, db or dbx; or replace it."""
    guid = uuid.UUID(SECURITY if variable.startswith("db") else GLOBAL).bytes_le
    now = datetime.datetime.utcnow()
    time = struct.pack("<HBBBBB9x", now.year, now.month, now.day, now.hour, now.minute, now.second)
    content = variable.encode("utf-16-le") + guid + struct.pack("<I", 0x67 if append else 0x27) + time + lists
    signed = subprocess.run(["openssl", "smime", "-sign", "-binary", "-noattr", "-md", "sha256", "-outform", "DER", "-inkey",
                             key, "-signer", cert], input=content, check=True, capture_output=True).stdout
    signed = _inner(_inner(_inner(signed)[0])[1])[0]        # the SignedData of the ContentInfo
    return time + struct.pack("<IHH", 24 + len(signed), 0x0200, 0x0EF1) + _PKCS7 + signed + lists


def digest(image):
    """SHA-256 of an image as the firmware makes it: "Calculating the PE Image Hash" of Microsoft's document."""
    pe = pefile.PE(data=image, fast_load=True)
    checksum = pe.OPTIONAL_HEADER.get_field_absolute_offset("CheckSum")
    table = pe.OPTIONAL_HEADER.DATA_DIRECTORY[4]
    entry, headers = table.get_file_offset(), pe.OPTIONAL_HEADER.SizeOfHeaders
    sha256 = hashlib.sha256(image[:checksum] + image[checksum + 4:entry] + image[entry + 8:headers])
    done = headers
    for section in sorted(pe.sections, key=lambda section: section.PointerToRawData):
        sha256.update(image[section.PointerToRawData:section.PointerToRawData + section.SizeOfRawData])
        done += section.SizeOfRawData
    sha256.update(image[done:len(image) - table.Size])
    return sha256.digest()
