# SPDX-License-Identifier: MIT
"""A command line for each slot that Secure Boot leaves as it is: profiles of the UKI, or a root that needs none."""
import json
import shutil
import struct
import subprocess

import pytest
import uki
from drymachine import DATAERR, GLOBAL, SLOTCTL, addon, refuse_install
from test_engine import bundle, images, server  # noqa: F401 (fixtures)
from test_meanwhile import stalled  # noqa: F401 (fixture)

PROFILES = (("ID=main\n", "quiet"), ("TITLE=Slot B\nID=slot-b\n", "root=PARTUUID=b slotboot.slot=b"),
            ("ID=slot-a\n", "root=PARTUUID=a slotboot.slot=a"))


def with_profiles(image, profiles):
    """profiles were built in as .profil0, .cmdlin0 and so on: named, and put behind what is common, in the table."""
    header = struct.unpack_from("<I", image, 0x3C)[0]
    count, optional = struct.unpack_from("<H12xH", image, header + 6)
    table = header + 24 + optional
    rows = [bytes(image[at:at + 40]) for at in range(table, table + 40 * count, 40)]
    own = [(f".{name}{i}".encode(), f".{name}e".encode()) for i in range(len(profiles)) for name in ("profil", "cmdlin")]
    ordered = [row for row in rows if row[:8] not in dict(own)]
    ordered += [new + row[8:] for old, new in own for row in rows if row[:8] == old]
    return image[:table] + b"".join(ordered) + image[table + 40 * count:]


@pytest.fixture
def built(tmp_path, parts):
    """Makes a UKI for a stub of that version, with a .linux that is no kernel unless one is given."""
    def built(profiles=(), cmdline="quiet slotboot.slot={slot}", stub=b"257", linux=None):
        out, more = tmp_path / "built.efi", {}
        for number, (text, line) in enumerate(profiles):
            more |= {f".profil{number}": text.encode(), f".cmdlin{number}": line.encode()}
        uki.build(out, tmp_path, linux or parts / "linux", parts / "initrd", cmdline, "ID=test\n", "6.1", more)
        image = with_profiles(out.read_bytes(), profiles)
        assert image.count(b"systemd-stub 252") == 1
        out.write_bytes(image.replace(b"systemd-stub 252", b"systemd-stub " + stub))
        return out
    return built


def direct_options(machine, letter):
    """The optional data of the slot's direct entry."""
    path = f"\\EFI\\slotboot\\{letter}\\uki.efi".encode("utf-16-le")
    for file in (machine.top / "vars").glob(f"Boot[0-9]*-{GLOBAL}"):
        content = file.read_bytes()[4:]
        length = struct.unpack_from("<H", content, 4)[0]
        name = content[6:].index(b"\0\0\0") + 9
        if path in content:
            return content[name + length:].decode("utf-16-le").rstrip("\0")
    return None


@pytest.mark.parametrize("secure", [b"\0", b"\1"], ids=["off", "on"])
def test_profiles_give_each_slot_its_own_command_line(machine, built, bundled, tmp_path, secure):  # noqa: F811
    machine.set_variable("SecureBoot", GLOBAL, secure)
    made = bundled(built(PROFILES))
    assert made.returncode == 0, made.stderr
    assert "slot a: root=PARTUUID=a slotboot.slot=a\n" in made.stdout
    assert "slot b: root=PARTUUID=b slotboot.slot=b\n" in made.stdout
    assert "these command lines: by a profile of the UKI\n" in made.stdout
    assert "the slot's command line: by a profile of the UKI\n" in machine.check("install", tmp_path / "new.zip",
                                                                               "--activate=none")
    assert direct_options(machine, "b") == "@1"


def test_the_command_lines_are_events_too(built, bundled):
    told = [json.loads(line) for line in bundled(built(), "--json").stdout.splitlines()]
    assert [line["text"] for line in told if line["event"] == "cmdline"] == [
        "slot a: quiet slotboot.slot=a", "slot b: quiet slotboot.slot=b"]


@pytest.mark.parametrize("profiles, stub, words", [
    (PROFILES, b"252", ["profiles for the slots", "systemd 252", "systemd 257 or later"]),
    (PROFILES[:2], b"257", ["no profile for slot a"]),
    ((*PROFILES, PROFILES[1]), b"257", ["no profile for slot b, or more than one"]),
    (((PROFILES[1][0], "root={slot}"), PROFILES[2]), b"257", ["profile for slot b has {slot}"])])
def test_profiles_that_leave_a_slot_without_are_not_bundled(built, bundled, profiles, stub, words):
    made = bundled(built(profiles, stub=stub))
    assert made.returncode == DATAERR
    for word in words:
        assert word in made.stderr, made.stderr


@pytest.mark.parametrize("cmdline, words", [
    ("quiet slotboot.slot={slot}", ["{slot}", "Secure Boot", "ID=slot-a", "roothash="]),
    ("root=PARTUUID=1234", ["the same root= for both slots", "ID=slot-a", "usrhash="])])
def test_under_secure_boot_a_uki_without_a_way_is_refused_with_the_ways(machine, built, bundled, tmp_path, cmdline,  # noqa: F811
                                                                       words):
    assert bundled(built(cmdline=cmdline)).returncode == 0
    kept = shutil.copy(tmp_path / "new.zip", tmp_path / "kept.zip")
    machine.set_variable("SecureBoot", GLOBAL, b"\1")
    refuse_install(machine, DATAERR, words, kept)
    machine.set_variable("SecureBoot", GLOBAL, b"\0")
    machine.check("install", kept, "--activate=none")


def test_under_secure_boot_one_command_line_will_do_where_the_root_is_the_images(machine, built, bundled, tmp_path):  # noqa: F811
    assert bundled(built(cmdline="quiet root=UUID=1")).returncode == 0
    machine.set_variable("SecureBoot", GLOBAL, b"\1")
    assert "the same for both slots" in machine.check("install", tmp_path / "new.zip", "--activate=none")
    assert direct_options(machine, "b") == ""


@pytest.fixture
def addons(tmp_path):
    return [f"--addon={slot}={addon(tmp_path / f'{slot}.addon.efi', f'root=PARTUUID={slot} slotboot.slot={slot}')}"
            for slot in "ab"]


def beside(machine):
    """The files in slot b's directory of extras."""
    return {path.name: path.read_bytes() for path in (machine.top / "esp/EFI/slotboot/b/uki.efi.extra.d").glob("*")}


def test_under_secure_boot_an_addon_gives_the_slot_its_command_line(machine, built, bundled, tmp_path, addons):  # noqa: F811
    machine.set_variable("SecureBoot", GLOBAL, b"\1")
    made = bundled(built(cmdline="quiet"), *addons)
    assert made.returncode == 0, made.stderr
    assert "slot b: quiet root=PARTUUID=b slotboot.slot=b\n" in made.stdout
    assert "by an addon of the slot\n" in machine.check("install", tmp_path / "new.zip", "--activate=none")
    assert beside(machine) == {"slotboot.addon.efi": (tmp_path / "b.addon.efi").read_bytes()}
    verified = subprocess.run([SLOTCTL, "bundle", "verify", tmp_path / "new.zip", f"--config={machine.top / 'slotboot.conf'}"],
                              capture_output=True, text=True)
    assert verified.returncode == 0, verified.stderr
    assert "slot-a.addon" in subprocess.run([SLOTCTL, "bundle", "info", tmp_path / "new.zip"], capture_output=True,
                                            text=True).stdout


def test_the_addon_goes_with_its_version_and_other_files_stay(machine, built, bundled, tmp_path, addons):  # noqa: F811
    assert bundled(built(cmdline="quiet"), *addons).returncode == 0
    machine.check("install", tmp_path / "new.zip", "--activate=none")
    (machine.top / "esp/EFI/slotboot/b/uki.efi.extra.d/own.cred").write_bytes(b"mine")
    assert bundled(built(cmdline="quiet root=UUID=1")).returncode == 0
    machine.check("install", tmp_path / "new.zip", "--activate=none")
    assert beside(machine) == {"own.cred": b"mine"}


def test_while_images_are_written_neither_uki_nor_addon_is_there(machine, built, bundled, tmp_path, addons,  # noqa: F811
                                                                stalled):  # noqa: F811
    assert bundled(built(cmdline="quiet"), *addons).returncode == 0
    machine.check("install", tmp_path / "new.zip", "--activate=none")
    assert (machine.top / "esp/EFI/slotboot/b/uki.efi").exists() and beside(machine)
    begin, _ = stalled
    begin().kill()
    assert not (machine.top / "esp/EFI/slotboot/b/uki.efi").exists() and not beside(machine)


def test_into_a_slot_without_a_directory_an_addon_is_installed_too(machine, built, bundled, tmp_path, addons):  # noqa: F811
    shutil.rmtree(machine.top / "esp/EFI/slotboot/b", ignore_errors=True)
    assert bundled(built(cmdline="quiet"), *addons).returncode == 0
    machine.check("install", tmp_path / "new.zip", "--activate=none")
    assert list(beside(machine)) == ["slotboot.addon.efi"]


def test_addons_that_do_not_fit_are_not_bundled(built, bundled, addons, tmp_path):
    plain = built(cmdline="quiet")
    assert "for slot b is missing" in bundled(plain, addons[0]).stderr
    assert "slot a has one already" in bundled(plain, addons[0], addons[0]).stderr
    assert "must be a=FILE or b=FILE" in bundled(plain, "--addon=c=x").stderr
    addon(tmp_path / "b.addon.efi", "x", machine=0xAA64)
    assert "b.addon.efi would not be used by the stub: for another architecture" in bundled(plain, *addons).stderr
    addon(tmp_path / "b.addon.efi", "root={slot}")
    assert "{slot} in its command line, which nobody fills in" in bundled(plain, *addons).stderr
    addon(tmp_path / "b.addon.efi", "x")
    assert "knows no addons" in bundled(built(cmdline="quiet", stub=b"252"), *addons).stderr
