# SPDX-License-Identifier: MIT
"""What a bundle puts beside its UKI: credentials, system and configuration extensions, addons; with the slot it comes,
and with the slot it goes."""
import json
import os
import struct
import subprocess

import pytest

from drymachine import CONFIG, DATAERR, GLOBAL, SLOTCTL, addon, refuse, refuse_install
from test_secureboot import beside, built  # noqa: F401 (fixture)

NONE = "--activate=none"


@pytest.fixture
def files(tmp_path):
    """Options for one of each kind, and what they become beside slot b's UKI."""
    contents = {"wifi@2.cred": b"secret", "app_1.0.raw": os.urandom(300000), "site.confext.raw": b"confext"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [f"--credential=wifi@2={tmp_path / 'wifi@2.cred'}", f"--sysext=app_1.0={tmp_path / 'app_1.0.raw'}",
            f"--confext=site={tmp_path / 'site.confext.raw'}"], contents


@pytest.fixture
def kernel(tmp_path):
    """As far as anyone looks at it (testuki.h)."""
    head = bytearray(b"\x90" * 4096)
    struct.pack_into("<H", head, 0x1FE, 0xAA55)
    struct.pack_into("<4sH", head, 0x202, b"HdrS", 0x20F)
    struct.pack_into("<I", head, 0x238, 2047)
    (tmp_path / "vmlinuz").write_bytes(head)
    return tmp_path / "vmlinuz"


@pytest.fixture
def installed(machine, built, bundled, files, tmp_path, kernel):  # noqa: F811
    """Slot b with all of them, kept as both.zip."""
    made = bundled(built(cmdline="quiet", linux=kernel), *files[0])
    assert made.returncode == 0, made.stderr
    (tmp_path / "new.zip").rename(tmp_path / "both.zip")
    machine.check("install", tmp_path / "both.zip", NONE)
    return machine


def test_what_a_bundle_has_for_beside_the_uki_is_there_and_shown(installed, files, tmp_path):
    assert beside(installed) == files[1]
    assert installed.status()["slots"]["b"]["beside"] == [
        {"name": name, "state": "bundle"} for name in ("wifi@2.cred", "app_1.0.raw", "site.confext.raw")]
    assert installed.status()["slots"]["a"]["beside"] == []
    assert "beside     wifi@2.cred, app_1.0.raw, site.confext.raw\n" in installed.check("status")
    shown = subprocess.run([SLOTCTL, "bundle", "info", tmp_path / "both.zip"], capture_output=True, text=True).stdout
    assert "wifi@2.cred credential-1.zst, 6 bytes\n" in shown and "            sysext, beside the UKI\n" in shown
    verified = subprocess.run([SLOTCTL, "bundle", "verify", tmp_path / "both.zip",
                               f"--config={installed.top / 'slotboot.conf'}"], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stderr


def test_the_next_version_takes_away_what_is_not_its_own_and_nothing_else(installed, built, bundled, tmp_path):  # noqa: F811
    (installed.top / "esp/EFI/slotboot/b/uki.efi.extra.d/own.cred").write_bytes(b"mine")
    assert "own.cred (not of the bundle)" in installed.check("status")
    (tmp_path / "new.cred").write_bytes(b"new")
    assert bundled(built(cmdline="quiet"), f"--credential=WIFI@2={tmp_path / 'new.cred'}").returncode == 0
    installed.check("install", tmp_path / "new.zip", NONE)
    assert beside(installed) == {"own.cred": b"mine", "WIFI@2.cred": b"new"}


def test_what_a_torn_install_has_left_is_taken_away_by_another_bundle(installed, built, bundled, tmp_path):  # noqa: F811
    """The manifest is there before what it names: whatever was put beside the UKI is known to the next install."""
    slot = installed.top / "esp/EFI/slotboot/b"
    assert bundled(built(cmdline="quiet")).returncode == 0
    installed.check("install", tmp_path / "new.zip", NONE)
    (slot / "manifest.p7s").unlink()
    (slot / "manifest.p7s").mkdir()
    assert installed.run("install", tmp_path / "both.zip", NONE)[0] != 0
    assert not beside(installed), "before the manifest was whole"
    (slot / "manifest.p7s").rmdir()
    (slot / "uki.index").unlink()
    (slot / "uki.index").mkdir()
    assert installed.run("install", tmp_path / "both.zip", NONE)[0] != 0
    assert len(beside(installed)) == 3
    (slot / "uki.index").rmdir()
    installed.check("install", tmp_path / "new.zip", NONE)
    assert not beside(installed)


@pytest.fixture
def place(machine):
    """A directory for the files of slots, which the configuration names."""
    place = machine.top / "data"
    place.mkdir()
    machine.configure(f"files = {place}")
    return place


def content(place):
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_files_come_and_go_with_the_slot_in_a_directory_of_their_own(machine, place, built, bundled, tmp_path):  # noqa: F811
    model = os.urandom(300000)
    (tmp_path / "model").write_bytes(model)
    (tmp_path / "small").write_bytes(b"small")
    assert bundled(built(cmdline="quiet"), f"--file=model.bin={tmp_path / 'model'}",
                   f"--file=app@2={tmp_path / 'small'}").returncode == 0
    shown = subprocess.run([SLOTCTL, "bundle", "info", tmp_path / "new.zip"], capture_output=True, text=True).stdout
    assert "model.bin   file-1.zst, 300000 bytes\n" in shown and "            file, in the slot's directory\n" in shown
    machine.check("install", tmp_path / "new.zip", NONE)
    assert content(place) == {"b/model.bin": model, "b/app@2": b"small"}
    assert not beside(machine)
    assert machine.status()["slots"]["b"]["files"] == [{"name": name, "state": "bundle"} for name in ("model.bin", "app@2")]
    assert machine.status()["slots"]["a"]["files"] == []
    assert "files      model.bin, app@2\n" in machine.check("status")
    assert os.readlink(machine.top / "sysroot/run/slotboot/files") == f"{place}/a"
    (place / "b/own").write_bytes(b"mine")
    (place / "b/model.bin").write_bytes(b"short")
    (place / "b/app@2").unlink()
    assert "files      model.bin (changed), app@2 (missing)\n" in machine.check("status")
    (tmp_path / "small").write_bytes(b"other")
    assert bundled(built(cmdline="quiet"), f"--file=other={tmp_path / 'small'}").returncode == 0
    machine.check("install", tmp_path / "new.zip", NONE)
    assert content(place) == {"b/other": b"other", "b/own": b"mine"}


def test_files_need_a_directory_that_is_there_and_room_in_it(machine, built, bundled, tmp_path):  # noqa: F811
    (tmp_path / "small").write_bytes(b"small")
    assert bundled(built(cmdline="quiet"), f"--file=x={tmp_path / 'small'}").returncode == 0
    refuse_install(machine, CONFIG, ["slotboot.conf does not say where: set files = DIRECTORY"], tmp_path / "new.zip")
    machine.configure("files = /nonexistent/files")
    refuse_install(machine, CONFIG, ["in /nonexistent/files (files = in slotboot.conf)", "No such file"], tmp_path / "new.zip")


def stage(machine):
    """What keeps slot b from being staged; here in the end the running kernel, or that there is no right to ask it."""
    status, _, errors = machine.run("kexec", "load", "b")
    assert status != 0
    return errors


def test_kexec_takes_what_the_manifest_pins_and_no_stranger_under_secure_boot(installed):
    extra = installed.top / "esp/EFI/slotboot/b/uki.efi.extra.d"
    assert "uki.efi for kexec: " in stage(installed)
    (extra / "own.cred").write_bytes(b"mine")
    assert "uki.efi for kexec: " in stage(installed)
    installed.set_variable("SecureBoot", GLOBAL, b"\1")
    refuse(installed, CONFIG, ["own.cred is not of the signed manifest"], "kexec", "load", "b")
    (extra / "own.cred").unlink()
    assert "uki.efi for kexec: " in stage(installed)
    installed.set_variable("SecureBoot", GLOBAL, b"\0")
    (extra / "wifi@2.cred").write_bytes(b"Secret")
    refuse(installed, DATAERR, ["wifi@2.cred is not the credential that was installed"], "kexec", "load", "b")
    (extra / "wifi@2.cred").unlink()
    refuse(installed, DATAERR, ["wifi@2.cred is not there"], "kexec", "load", "b")
    assert {"name": "wifi@2.cred", "state": "missing"} in installed.status()["slots"]["b"]["beside"]


@pytest.mark.parametrize("option, words", [
    ("--credential=../x=FILE", "name must be 1 to 96"), ("--credential=a/b=FILE", "name must be"),
    ("--credential=.x=FILE", "must begin with a letter or a digit"), (f"--credential={'x' * 97}=FILE", "name must be"),
    ("--sysext=longna~1=FILE", "name must be"), ("--sysext=x.confext=FILE", "would make the sysext a confext"),
    ("--credential=x=FILE --credential=x=FILE", "have the same name, x.cred"),
    ("--credential=x=FILE --credential=X=FILE", "have the same name, X.cred"),
    ("--credential=FILE", "must be NAME=FILE"), ("--confext==FILE", "must be NAME=FILE"),
    ("--credential=x=HUGE", "larger than the 1048576 bytes"), ("--credential=x=/nonexistent", "nonexistent")])
def test_a_hostile_name_is_in_no_bundle(built, bundled, tmp_path, option, words):  # noqa: F811
    (tmp_path / "FILE").write_bytes(b"x")
    with open(tmp_path / "HUGE", "wb") as f:
        f.truncate((1 << 20) + 1)
    options = [o.replace("=FILE", f"={tmp_path / 'FILE'}").replace("=HUGE", f"={tmp_path / 'HUGE'}")
               for o in option.split()]
    made = bundled(built(cmdline="quiet"), *options)
    assert made.returncode != 0 and words in made.stderr, made.stderr
    assert not (tmp_path / "new.zip").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", ".x", "x" * 97, "a\tb", "ä", "a:b", "x~1", ""])
def test_a_hostile_name_is_refused_before_the_first_byte(machine, craft, name):
    def alter(text):
        manifest = json.loads(text)
        uki = manifest["payloads"][0]
        manifest["payloads"].append(uki | {"type": "credential", "name": name, "file": "c.zst",
                                           "index": uki["index"] | {"file": "c.index"}})
        return json.dumps(manifest).encode()
    refuse_install(machine, DATAERR, ["payloads[2].name must"], craft(alter=alter))


def test_a_confext_is_for_a_stub_that_knows_them(built, bundled, files):  # noqa: F811
    made = bundled(built(cmdline="quiet", stub=b"255"), *files[0])
    assert made.returncode == DATAERR and "would take the confext site.confext.raw for a sysext" in made.stderr


def test_a_slot_has_its_addon_and_the_rest(machine, built, bundled, files, tmp_path):  # noqa: F811
    lines = [f"--addon={slot}={addon(tmp_path / f'{slot}.addon.efi', f'root=PARTUUID={slot}')}" for slot in "ab"]
    assert bundled(built(cmdline="quiet"), *files[0], *lines).returncode == 0
    machine.check("install", tmp_path / "new.zip", NONE)
    assert sorted(beside(machine)) == ["app_1.0.raw", "site.confext.raw", "slotboot.addon.efi", "wifi@2.cred"]
