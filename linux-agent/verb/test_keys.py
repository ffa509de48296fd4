# SPDX-License-Identifier: MIT
"""Updates of KEK, db and dbx: brought by bundles, kept beside the UKI, applied by mark-good, one a boot, in order, and
none that would keep a slot or the loader from starting. A plain directory stands for the firmware, which looks at no
signature; what the firmware refuses is in test_key_updates.c and in ovmf-test/test_key_rotation.py."""
import json
import shutil
import subprocess
import uuid

import pytest
import siglist
from drymachine import AT_STATUS_A, DATAERR, GLOBAL, SLOTCTL, USAGE, refuse_install
from test_loader import loader_of
from test_schema import check
from test_signatures import VOLATILE, built, enforcing, keys, pack, put, sign  # noqa: F401 (fixtures)

NONE = "--activate=none"


@pytest.fixture
def update(keys, tmp_path):  # noqa: F811
    """A .auth file, by a KEK that is nobody's business here."""
    def update(variable, lists, append=True):
        file = tmp_path / f"{variable}-{uuid.uuid4().hex[:6]}.auth"
        file.write_bytes(siglist.update(variable, lists, keys["theirs"][0], keys["theirs"][1], append))
        return file
    return update


@pytest.fixture
def rotating(enforcing, keys):  # noqa: F811
    """Secure Boot is on; db has our certificate, and the digest of slot a's image."""
    enforcing.set_variable("SetupMode", GLOBAL, b"\0")
    uki = (enforcing.top / "esp/EFI/slotboot/a/uki.efi").read_bytes()
    put(enforcing, "db", siglist.of_certificate(keys["ours"][2]) + siglist.of_images(uki))
    put(enforcing, "KEK", siglist.of_certificate(keys["ours"][2]), GLOBAL)
    return enforcing


def boot(machine, slot, how="firmware"):
    """Another boot, and what mark-good says in it."""
    place = machine.top / "sysroot/proc/sys/kernel/random"
    place.mkdir(exist_ok=True)
    (place / "boot_id").write_text(f"{uuid.uuid4()}\n")
    machine.boot_by(how, slot)
    return machine.check("mark-good")


def doctors(machine):
    """What doctor finds of the keys: id, level, cause and remedy."""
    found = json.loads(machine.run("doctor", "--json")[1])
    check("doctor", found)
    return [(f["id"], f["level"], f["cause"], f["remedy"]) for f in found["findings"] if f["id"].startswith("key-")]


def states(machine):
    status = machine.status()
    check("status", status)
    return [(found["name"], found["state"], found["reason"]) for found in status["keys"]]


def words(machine, name):
    return next(found["words"] for found in machine.status()["keys"] if found["name"] == name)


def has(machine, name, lists, guid=siglist.SECURITY):
    return lists in machine.variable(name, guid)


def test_keys_rotate_one_a_boot_and_the_old_one_is_revoked_when_no_slot_needs_it(rotating, built, sign, pack, update,  # noqa: F811
                                                                                keys, tmp_path):  # noqa: F811
    old, new = (siglist.of_certificate(keys[who][2]) for who in ("ours", "theirs"))
    revoke = f"--efi-auth=dbx={update('dbx', old)}"
    first = shutil.copy(pack(sign(built()), revoke, f"--efi-auth=db={update('db', new)}",
                             f"--efi-auth=KEK={update('KEK', new)}"), tmp_path / "first.zip")
    rotating.check("install", first, NONE)
    assert states(rotating) == [(name, "waiting", "slot-status") for name in ("KEK-1", "db-1", "dbx-1")]
    assert "slot b, whose bundle has brought it, is trial, not good" in words(rotating, "db-1")
    second = shutil.copy(pack(sign(built(), "theirs"), revoke), tmp_path / "second.zip")

    assert "the firmware's KEK has KEK-1 of slot b's bundle now\n" in boot(rotating, "b")
    assert has(rotating, "KEK", new, GLOBAL) and not has(rotating, "db", new)
    assert states(rotating) == [("KEK-1", "applied", "none"), ("db-1", "waiting", "one-a-boot"), ("dbx-1", "waiting", "slot-b")]
    before = rotating.bytes()
    rotating.check("mark-good")
    assert rotating.bytes() == before
    refuse_install(rotating, DATAERR, ["would not start", "CN=theirs", "not in db"], second)

    assert "the firmware's db has db-1 of slot b's bundle now\n" in boot(rotating, "b")
    assert boot(rotating, "b") == "slot b: good\n"
    assert states(rotating)[1:] == [("db-1", "applied", "none"), ("dbx-1", "waiting", "slot-b")]
    (id, level, cause, remedy), = doctors(rotating)
    assert (id, level) == ("key-waits", "fault") and "would then not start slot b" in cause and "next version" in remedy
    assert ("keys       dbx-1 (of slot b) waits: the firmware would then not start slot b: it is signed by CN=ours, and the "
            "certificate CN=ours is revoked: it is in dbx\n") in rotating.check("status")

    rotating.check("install", second, NONE)
    assert boot(rotating, "a") == "slot a: good\n"
    assert states(rotating)[-1] == ("dbx-1", "waiting", "slot-b") and doctors(rotating) == []
    rotating.check("install", pack(sign(built(), "theirs")), NONE)
    assert "the firmware's dbx has dbx-1 of slot a's bundle now\n" in boot(rotating, "b")
    assert has(rotating, "dbx", old)
    assert states(rotating) == [("dbx-1", "applied", "none")] and doctors(rotating) == []
    assert rotating.status()["slots"]["a"]["secure_boot"]["answer"] == "starts"
    refuse_install(rotating, DATAERR, ["signed by CN=ours", "is revoked"], first)


def test_a_dbx_that_waits_holds_nothing_back_and_what_a_bad_slot_needs_does_not_count(rotating, built, sign, pack, update,  # noqa: F811
                                                                                     keys):  # noqa: F811
    """Slot a's image, by its digest."""
    image = (rotating.top / "esp/EFI/slotboot/a/uki.efi").read_bytes()
    rotating.check("install", pack(sign(built(), "ours"), f"--efi-auth=dbx={update('dbx', siglist.of_images(image))}",
                                   f"--efi-auth=dbx={update('dbx', siglist.of_certificate(keys['theirs'][2]))}"), NONE)
    assert "has dbx-2 of slot b's bundle now" in boot(rotating, "b")
    assert states(rotating) == [("dbx-1", "waiting", "slot-a"), ("dbx-2", "applied", "none")]
    assert not has(rotating, "dbx", siglist.of_images(image))
    for status in (2, 3):       # trial, kexec-trial
        rotating.change_record((AT_STATUS_A, "B", status))
        assert states(rotating)[0] == ("dbx-1", "waiting", "slot-a")
    rotating.check("mark-bad", "a")
    assert "has dbx-1 of slot b's bundle now" in boot(rotating, "b")


@pytest.mark.parametrize("place", ("EFI/slotboot/slotbootx64.efi", "EFI/BOOT/BOOTX64.EFI"))
def test_what_would_refuse_the_loader_waits(rotating, built, sign, pack, update, keys, tmp_path, place):  # noqa: F811
    """The slots are signed by others."""
    (tmp_path / "loader.efi").write_bytes(loader_of("0.1"))
    file = rotating.top / "esp" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(sign(tmp_path / "loader.efi"), file)
    put(rotating, "db", siglist.of_certificate(keys["ours"][2]) + siglist.of_certificate(keys["theirs"][2]))
    revoke = update("dbx", siglist.of_certificate(keys["ours"][2]))
    rotating.check("install", pack(sign(built(), "theirs"), f"--efi-auth=dbx={revoke}"), NONE)
    boot(rotating, "b")
    assert states(rotating) == [("dbx-1", "waiting", "loader")]
    assert f"{place}: it is signed by CN=ours" in words(rotating, "dbx-1")
    (id, level, cause, remedy), = doctors(rotating)
    assert (id, level) == ("key-waits", "fault") and place in cause and "slotctl loader install FILE" in remedy


def put_setup(machine, keys):  # noqa: F811
    machine.set_variable("SetupMode", GLOBAL, b"\1")


def put_off(machine, keys):  # noqa: F811
    machine.set_variable("SecureBoot", GLOBAL, b"\0")


def put_garbage(machine, keys):  # noqa: F811
    put(machine, "db", b"\xff" * 40)


def put_shim(machine, keys):  # noqa: F811
    put(machine, "MokListRT", siglist.of_certificate(keys["ours"][2]), siglist.SHIM, VOLATILE)


@pytest.mark.parametrize("change, variable, reason, said, level, remedy", [
    (put_setup, "db", "setup-mode", "has no PK", "note", "enroll a PK"),
    (put_off, "db", "secure-boot-off", "Secure Boot is off", "note", "turn Secure Boot on"),
    (put_garbage, "db", "unreadable", "db has a signature list", "fault", "efi-updatevar"),
    (put_shim, "dbx", "shim", "through shim", "fault", "shim = FILE")])
def test_what_cannot_be_foretold_waits_and_writes_nothing(rotating, built, sign, pack, update, keys, change, variable,  # noqa: F811
                                                         reason, said, level, remedy):
    rotating.check("install", pack(sign(built()), f"--efi-auth={variable}="
                                   f"{update(variable, siglist.of_certificate(keys['theirs'][2]))}"), NONE)
    change(rotating, keys)
    boot(rotating, "b")
    assert states(rotating) == [(f"{variable}-1", "waiting", reason)] and said in words(rotating, f"{variable}-1")
    assert doctors(rotating)[0][:2] == ("key-waits", level) and remedy in doctors(rotating)[0][3]
    before = rotating.bytes()
    rotating.check("mark-good")
    assert rotating.bytes() == before
    assert not (rotating.top / "esp/EFI/slotboot/keys.json").exists()


def test_after_a_kexec_nothing_is_applied(rotating, built, sign, pack, update, keys):  # noqa: F811
    new = siglist.of_certificate(keys["theirs"][2])
    rotating.check("install", pack(sign(built()), f"--efi-auth=db={update('db', new)}"), NONE)
    boot(rotating, "b")
    assert states(rotating) == [("db-1", "applied", "none")]
    put(rotating, "db", siglist.of_certificate(keys["ours"][2]))
    boot(rotating, "b", "kexec")
    assert states(rotating) == [("db-1", "waiting", "kexec")] and doctors(rotating) == []


def test_a_write_that_fails_is_tried_three_times_and_then_given_up(rotating, built, sign, pack, update, keys):  # noqa: F811
    """No file can be made where a directory is."""
    rotating.check("install", pack(sign(built()), f"--efi-auth=dbx={update('dbx', siglist.of_certificate(keys['theirs'][2]))}",
                                   f"--efi-auth=db={update('db', siglist.of_certificate(keys['theirs'][2]))}"), NONE)
    note = rotating.top / "esp/EFI/slotboot/keys.json"
    note.mkdir()
    assert "warning: failed to look after the firmware's keys: db-1 is not applied: " in boot(rotating, "b")
    assert not has(rotating, "db", siglist.of_certificate(keys["theirs"][2]))
    note.rmdir()
    for tries in (1, 2, 3):
        sha256 = next(k["sha256"] for k in rotating.status()["keys"] if k["name"] == "db-1")
        note.write_text(json.dumps({"format": 1, "boot_id": "", "tried": [{"sha256": sha256, "tries": tries, "why": "full"}]}))
        assert states(rotating)[0] == (("db-1", "ready", "none") if tries < 3 else ("db-1", "failed", "given-up"))
    assert "given up after 3 boots: the firmware's store of variables is full" in words(rotating, "db-1")
    assert "keys       db-1 (of slot b) warning: failed: given up" in rotating.check("status")
    (id, level, cause, remedy), = doctors(rotating)
    assert (id, level) == ("key-failed", "fault") and "store of variables is full" in cause and "keys.json" in remedy
    assert "has dbx-1 of slot b's bundle now" in boot(rotating, "b")
    assert [k["tries"] for k in json.loads(note.read_text())["tried"]] == [3, 1]
    note.write_bytes(b"\xff{")
    assert "has db-1 of slot b's bundle now" in boot(rotating, "b")


def test_a_file_that_is_not_the_manifests_is_not_applied(rotating, built, sign, pack, update, keys):  # noqa: F811
    ours = update("db", siglist.of_certificate(keys["theirs"][2]))
    rotating.check("install", pack(sign(built()), f"--efi-auth=db={ours}"), NONE)
    file = rotating.top / "esp/EFI/slotboot/b/uki.efi.extra.d/db-1.auth"
    other = update("db", siglist.of_images(built().read_bytes()))
    shutil.copy(other, file)
    boot(rotating, "b")
    assert states(rotating) == [("db-1", "failed", "damaged")]
    assert [(f[0], f[3]) for f in doctors(rotating)] == [("key-failed", "install the slot again")]
    file.unlink()
    assert states(rotating) == [("db-1", "failed", "damaged")]
    (rotating.top / "esp/EFI/slotboot/b/manifest.p7s").unlink()
    shutil.copy(other, file)
    assert states(rotating) == [("db-1", "failed", "damaged")]
    shutil.copy(ours, file)
    assert states(rotating) == [("db-1", "waiting", "unsigned")]


def test_without_a_signature_of_the_manifest_nothing_is_applied(rotating, built, sign, pack, update, keys):  # noqa: F811
    rotating.check("install", pack(sign(built()), f"--efi-auth=db={update('db', siglist.of_certificate(keys['theirs'][2]))}"), NONE)
    (rotating.top / "esp/EFI/slotboot/b/manifest.p7s").unlink()
    boot(rotating, "b")
    assert states(rotating) == [("db-1", "waiting", "unsigned")]
    assert doctors(rotating)[0][:2] == ("key-waits", "fault")


@pytest.mark.parametrize("option, change, status, said", [
    ("PK={}", None, USAGE, "must be KEK=FILE, db=FILE or dbx=FILE"), ("db=", None, USAGE, "must be NAME=FILE"),
    ("db", None, USAGE, "must be NAME=FILE"), ("dbx={}", None, DATAERR, "was signed for db, not for dbx"),
    ("KEK={}", None, DATAERR, "was signed for db, not for KEK"),
    ("db={}", lambda auth: auth[:-1], DATAERR, "signature list"), ("db={}", lambda auth: auth[:60], DATAERR, "are left"),
    ("db={}", lambda auth: auth[:-1] + b"\xff", DATAERR, "altered"),
    ("db={}", lambda auth: b"\0" * 8 + auth[8:], DATAERR, "altered"),
    ("db={}", lambda auth: auth[24:], DATAERR, "it is no .auth file")])
def test_what_is_no_update_is_not_bundled(built, sign, bundled, update, keys, option, change, status, said):  # noqa: F811
    file = update("db", siglist.of_certificate(keys["theirs"][2]))
    if change:
        file.write_bytes(change(file.read_bytes()))
    made = bundled(built(), f"--efi-auth={option.format(file)}")
    assert made.returncode == status and said in made.stderr, made.stderr


def test_an_update_that_was_signed_for_replacing_is_not_bundled(built, bundled, update, keys):  # noqa: F811
    file = update("dbx", siglist.of_certificate(keys["theirs"][2]), append=False)
    assert "for replacing dbx, not for appending to it: sign-efi-sig-list -a" in bundled(built(), f"--efi-auth=dbx={file}").stderr


def test_a_dbx_that_revokes_its_own_bundle_is_warned_of(built, sign, bundled, update, keys):  # noqa: F811
    ours, theirs = (f"--efi-auth=dbx={update('dbx', siglist.of_certificate(keys[who][2]))}" for who in ("ours", "theirs"))
    made = bundled(sign(built()), theirs, ours)
    assert made.returncode == 0 and made.stdout.count("is never applied while") == 1, made.stdout
    assert "dbx-2 is never applied while" in made.stdout and "signed by CN=ours" in made.stdout


def test_bundle_info_shows_them(built, bundled, update, keys, tmp_path):  # noqa: F811
    file = update("dbx", siglist.of_certificate(keys["theirs"][2]))
    assert bundled(built(), f"--efi-auth=dbx={file}", f"--efi-auth=dbx={file}").returncode == 0
    shown = subprocess.run([SLOTCTL, "bundle", "info", tmp_path / "new.zip"], capture_output=True, text=True).stdout
    assert "efi-auth, for the firmware's variables" in shown and "dbx-2.auth" in shown, shown
