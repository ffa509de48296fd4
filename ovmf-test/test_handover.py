# SPDX-License-Identifier: MIT
"""The same UKI by systemd-stub and by kexec: /proc/cmdline less slotctl's own words, and every file
under /.extra, byte for byte and mode for mode. With Debian 12's stub and with Debian 13's.

What cannot be the same, and is not compared:
- the boot secret (stubs from 260 on): made by the firmware's side from a secret that it locks;
- the TPM's PCRs 11, 12 and 13, and the event log: a measurement belongs to the boot that made it, and
  the running system may not make those of the next one (there is no TPM in these machines);
- the Loader and Stub variables: volatile, set by the last firmware boot, and still there;
- the random seed that the stub takes from \\loader\\random-seed and the firmware: the kernel that runs
  hands entropy over itself;
- /proc/sys/kernel/bootloader_type and boot_id: they say that it was a kexec, and which."""
import json
import os
import re
import shutil
from pathlib import Path

import pytest

import debian13
import images
import initrd
import kernel
import rootfs
import uki
from paths import WORK, run

OURS = ("slotboot.slot=", "slotboot.nonce=")
COMMAND_LINE = images.COMMAND_LINE + " word={{SLOT}} text=\"two  words\" \t "


def archive(work, files):
    """An uncompressed cpio, as initrds and microcode begin with; padded to 4 bytes."""
    tree = Path(work) / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    made = run("cpio", "--create", "--format=newc", "--null", "--quiet", "--owner=0:0", "--directory", tree,
               stdin="\0".join(names).encode())
    return made + bytes(-len(made) % 4)


class Parts:
    """What the UKIs are made of. Every part of the initrd brings .extra/order: the last one stays."""
    def __init__(self, work, variant):
        self.work = Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.osrel = rootfs.os_release(variant.name, variant.version)
        self.initrd = self.work / "initrd.img"
        initrd.build(self.work / "initrd.zst", self.work, variant_offset(variant))
        self.initrd.write_bytes(self.archive("initrd") + (self.work / "initrd.zst").read_bytes())
        self.command_line = COMMAND_LINE.format(variant.root_hash, variant.name)

    def archive(self, name):
        return archive(self.work, {".extra/order": name, f".extra/from-{name}": name})

    def file(self, name, content):
        path = self.work / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


def variant_offset(variant):
    return json.loads((variant.uki.parent / f"facts-{variant.name}.json").read_text())["hash_offset"]


def uki_of_debian12(parts, out):
    more = {".pcrpkey": b"-----BEGIN PUBLIC KEY-----\n", ".pcrsig": b'{"sha256": []}', ".ucode": parts.archive("ucode")}
    uki.build(out, parts.work, kernel.image(), parts.initrd, parts.command_line, parts.osrel, kernel.release(), more)


def uki_of_debian13(parts, out, profile=""):
    """With a second profile, which "@1 " before the command line chooses; ukify adds the first, ID=main."""
    other = parts.work / "profile.efi"
    debian13.ukify("--stub", debian13.stub("addonx64.efi.stub"), "--efi-arch", "x64",
                   "--profile", "ID=other\nTITLE=Other", "--output", other)
    debian13.ukify("--stub", debian13.stub("linuxx64.efi.stub"), "--efi-arch", "x64", "--uname", kernel.release(),
                   "--linux", kernel.image(), "--initrd", parts.initrd,
                   "--cmdline", "@" + str(parts.file("cmdline", profile + parts.command_line)),
                   "--os-release", "@" + str(parts.file("os-release", parts.osrel)),
                   "--microcode", parts.file("microcode", parts.archive("ucode")),
                   "--pcrpkey", parts.file("pcrpkey", "-----BEGIN PUBLIC KEY-----\n"),
                   "--section", ".pcrsig:@" + str(parts.file("pcrsig", '{"sha256": []}')),
          "--join-profile", other, "--output", out)


def addon(parts, name, command_line, uname=None, microcode=False):
    out = parts.work / name
    if not debian13.PLACE.joinpath("root").exists():
        return b"no addon can be made without Debian 13's ukify"
    more = ["--uname", uname] if uname else []
    if microcode:
        more += ["--microcode", parts.file("addon-ucode", parts.archive(f"{name}-ucode")),
                 "--initrd", parts.file("addon-initrd", parts.archive(name))]
    debian13.ukify("--stub", debian13.stub("addonx64.efi.stub"), "--efi-arch", "x64", "--cmdline", command_line, *more,
                   "--output", out)
    return out.read_bytes()


def surround(esp, parts):
    """All that a stub looks for beside a UKI, and what it must pass over."""
    own, slot = "EFI/slotboot/a/uki.efi.extra.d", kernel.release()
    for name, content in {
            f"{own}/zeta.cred": b"last", f"{own}/Alpha.CRED": b"first", f"{own}/beta.cred": os.urandom(5000),
            f"{own}/empty.cred": b"", f"{own}/.hidden.cred": b"no", f"{own}/note.txt": b"no",
            f"{own}/folder.cred/inside.cred": b"no", f"{own}/app.raw": os.urandom(100001),
            f"{own}/more.sysext.raw": b"sysext", f"{own}/conf.confext.raw": b"confext",
            "loader/credentials/global.cred": b"global", "loader/extensions/later.sysext.raw": b"only from 258 on",
            "loader/addons/b.addon.efi": addon(parts, "b.addon.efi", "addon-b ", microcode=True),
            "loader/addons/a.addon.efi": addon(parts, "a.addon.efi", "addon-a\n", slot),
            "loader/addons/c.addon.efi": addon(parts, "c.addon.efi", "addon-c", "1.2.3"),
            f"{own}/own.addon.efi": addon(parts, "own.addon.efi", " addon-own", microcode=True),
            f"{own}/broken.addon.efi": b"MZ, and then no more"}.items():
        esp.write(name, content)


def command_line(machine):
    text = machine.check("cat /proc/cmdline")
    assert text.endswith("\n")
    words = re.split(r"( )", text[:-1])
    for word in [word for word in words if word.startswith(OURS)]:
        at = words.index(word)
        # The word and the one space before it.
        del words[at - 1:at + 1]
    return "".join(words)


def extra_files(machine):
    """Lines "MODE OWNER SIZE TYPE NAME SHA-256", by name."""
    return machine.check("cd /dev/extra && find . -print | sort | while read -r name; do "
                         "echo $(stat -c '%a %u:%g %s %F' \"$name\") $name "
                         "$([ ! -f \"$name\" ] || sha256sum <\"$name\"); done").splitlines()


def both_ways(machine):
    """(command line, files) of the firmware boot and of the kexec of the same UKI."""
    first = machine.cold_boot()
    seen = [(command_line(machine), extra_files(machine))]
    machine.check("slotctl mark-good")
    print(machine.check("slotctl kexec load a"))
    second = machine.run_to_boot("slotctl kexec exec a")
    assert second.boot_id != first.boot_id and "slotboot.nonce=" in machine.check("cat /proc/cmdline")
    assert machine.firmware_entries() == 1
    seen.append((command_line(machine), extra_files(machine)))
    return seen


@pytest.fixture(scope="module")
def parts(variants):
    return Parts(WORK / "handover", variants["x"])


@pytest.fixture
def machine(new_machine, variants, parts):
    """Slot A as somebody provisions it by hand: no signed manifest beside the UKI."""
    def make(build, *options):
        machine = new_machine(variant=variants["x"])
        out = parts.work / "uki.efi"
        build(parts, out, *options)
        machine.disk.esp.write("EFI/slotboot/a/uki.efi", out.read_bytes())
        surround(machine.disk.esp, parts)
        return machine
    return make


def compare(machine, want_words, want_files, order):
    (line, files), (kexec_line, kexec_files) = both_ways(machine)
    assert kexec_line == line
    assert kexec_files == files
    for word, wanted in want_words.items():
        assert (word in line.split()) == wanted, line
    listing = "\n".join(files)
    for name, wanted in want_files.items():
        assert (f"./{name} " in listing) == wanted, listing
    assert machine.check("cat /dev/extra/order") == order
    assert "500 0:0" in listing and "./credentials" in listing


def test_debian_12s_stub_and_a_kexec_hand_over_the_same(machine):
    compare(machine(uki_of_debian12),
            {"word=A": True, "addon-a": False},
            {"credentials/Alpha.CRED": True, "credentials/.hidden.cred": False, "global_credentials/global.cred": True,
             "sysext/app.raw": True, "sysext/conf.confext.raw": True, "confext/conf.confext.raw": False,
             "tpm2-pcr-signature.json": True, "tpm2-pcr-public-key.pem": True, "os-release": False,
             "from-ucode": False, "from-b.addon.efi": False}, "initrd")


@debian13.needed
@pytest.mark.parametrize("profile", ["", "@1 "])
def test_debian_13s_stub_and_a_kexec_hand_over_the_same(machine, profile):
    made = machine(uki_of_debian13, profile)
    compare(made,
            {"word=A": True, "addon-a": True, "addon-b": True, "addon-c": False, "addon-own": True, "@1": False},
            {"credentials/Alpha.CRED": True, "credentials/.hidden.cred": False, "global_credentials/global.cred": True,
             "sysext/app.raw": True, "sysext/conf.confext.raw": False, "confext/conf.confext.raw": True,
             "tpm2-pcr-signature.json": True, "tpm2-pcr-public-key.pem": True, "os-release": True, "profile": True,
             "global_sysext/later.sysext.raw": False, "from-ucode": True, "from-b.addon.efi": True,
             "from-b.addon.efi-ucode": True, "from-own.addon.efi": True}, "own.addon.efi")
    assert ("ID=other" if profile else "ID=main") in made.check("cat /dev/extra/profile")
