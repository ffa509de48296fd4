# SPDX-License-Identifier: MIT
"""What Secure Boot would say of an image is known before the first byte is written, and seen in status and doctor; the
firmware's lists are files."""
import json
import shutil
import struct
import subprocess

import pytest
import siglist
import uki
from test_doctor import FALLBACK, LOADER_FILE, doctor, healthy  # noqa: F401 (fixture)
from drymachine import DATAERR, GLOBAL, addon, refuse, refuse_install
from test_loader import firmware, loader_of  # noqa: F401 (fixture)
from test_schema import check

VOLATILE = 6


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Of two signers, one of whom is in db: key, certificate (PEM), certificate (DER)."""
    place, made = tmp_path_factory.mktemp("keys"), {}
    for name in ("ours", "theirs"):
        key, pem, der = (place / f"{name}.{suffix}" for suffix in ("key", "pem", "der"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3000", "-subj", f"/CN={name}",
                        "-keyout", key, "-out", pem], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-in", pem, "-outform", "DER", "-out", der], check=True)
        made[name] = (key, pem, der.read_bytes())
    return made


@pytest.fixture
def sign(keys, tmp_path):
    """Signs an EFI file, once more if it is signed already."""
    def sign(path, who="ours"):
        out = tmp_path / f"signed-{path.name}"
        subprocess.run(["sbsign", "--key", keys[who][0], "--cert", keys[who][1], "--output", out, path], check=True,
                       capture_output=True)
        return out
    return sign


def put(machine, name, content, guid=siglist.SECURITY, attributes=0x27):  # noqa: F811
    (machine.top / "vars" / f"{name}-{guid}").write_bytes(struct.pack("<I", attributes) + content)


@pytest.fixture
def enforcing(machine, keys):  # noqa: F811
    """Secure Boot is on, and our certificate is in db. The slots are no business of these cases: their images are by
    nobody."""
    machine.set_variable("SecureBoot", GLOBAL, b"\1")
    put(machine, "db", siglist.of_certificate(keys["ours"][2]))
    return machine


@pytest.fixture
def built(tmp_path, parts):  # noqa: F811
    """A UKI that goes under Secure Boot: its root needs no slot."""
    def built(more=()):
        out = tmp_path / "built.efi"
        uki.build(out, tmp_path, parts / "linux", parts / "initrd", "quiet root=UUID=1", "ID=test\n", "6.1", more)
        return out
    return built


@pytest.fixture
def pack(bundled, tmp_path):  # noqa: F811
    def pack(file, *more):
        made = bundled(file, "--no-delta", "--level=1", *more)
        assert made.returncode == 0, made.stderr
        return tmp_path / "new.zip"
    return pack


def of_slot(machine, letter="b"):  # noqa: F811
    status = machine.status()
    check("status", status)
    return status["slots"][letter]["secure_boot"]


def test_a_uki_by_our_key_is_installed_and_its_signer_is_shown(enforcing, built, sign, pack):
    said = enforcing.check("install", pack(sign(built())), "--activate=none")
    assert "the firmware would start uki.efi.zst: it is signed by CN=ours, and CN=ours is in db" in said
    found = of_slot(enforcing)
    assert (found["answer"], found["rule"], found["signer"]) == ("starts", "db-certificate", "CN=ours")
    assert len(found["expires"]) == 10
    text = enforcing.check("status")
    assert "secureboot on\n" in text
    assert f"the firmware would start it: {found['words']}; its certificate expires on {found['expires']}\n" in text


def revoke_image(machine, file, keys):  # noqa: F811
    put(machine, "dbx", siglist.of_images(file.read_bytes()))


def revoke_key(machine, file, keys):  # noqa: F811
    put(machine, "dbx", siglist.of_certificate(keys["ours"][2]))


def raise_sbat(machine, file, keys):  # noqa: F811
    put(machine, "SbatLevelRT", b"sbat,1,2026\nsystemd,2\n", siglist.SHIM, VOLATILE)


REVOKED = [(revoke_image, "dbx-digest", "is in dbx: just this image is revoked"),
           (revoke_key, "dbx-certificate", "the certificate CN=ours is revoked: it is in dbx"),
           (raise_sbat, "sbat", "its systemd has the SBAT generation 1, and shim wants 2")]


@pytest.mark.parametrize("revoke, rule, words", REVOKED, ids=[row[1] for row in REVOKED])
def test_what_is_revoked_is_refused_and_what_was_revoked_since_is_found(enforcing, built, sign, pack, keys, revoke, rule,
                                                                       words):
    signed = sign(built())
    bundle = pack(signed)
    enforcing.check("install", bundle, "--activate=none")
    assert of_slot(enforcing)["answer"] == "starts"
    _, before = doctor(enforcing)
    assert all("slot b" not in found["what"] for found in before.values())
    revoke(enforcing, signed, keys)
    found = of_slot(enforcing)
    assert (found["answer"], found["rule"]) == ("refused", rule) and words in found["words"]
    assert "warning: the firmware would not start it" in enforcing.check("status")
    told = [f for f in json.loads(enforcing.run("doctor", "--json")[1])["findings"] if f["id"] == "slot-refused"]
    assert [words in f["cause"] for f in told if "slot b" in f["what"]] == [True]
    refuse_install(enforcing, DATAERR, ["Secure Boot is on", "would not start uki.efi.zst", words], bundle)


def test_without_secure_boot_nothing_is_refused(machine, built, pack):  # noqa: F811
    machine.set_variable("SecureBoot", GLOBAL, b"\0")
    file = built()
    put(machine, "dbx", siglist.of_images(file.read_bytes()))
    machine.check("install", pack(file), "--activate=none")
    assert of_slot(machine) is None
    assert machine.status()["secure_boot"] == {"on": False, "shim": False, "loader": None}
    assert "secureboot off\n" in machine.check("status")


@pytest.mark.parametrize("who, rule, words", [(None, "unsigned", "it is not signed, and its digest is not in db"),
                                              ("theirs", "signer", "signed by CN=theirs, certified by CN=theirs")])
def test_what_db_does_not_know_is_refused(enforcing, built, sign, pack, who, rule, words):
    file = sign(built(), who) if who else built()
    refuse_install(enforcing, DATAERR, [words, "whose certificate is in db"], pack(file))


def test_a_digest_in_db_will_do(enforcing, built, pack, keys):
    file = built()
    put(enforcing, "db", siglist.of_certificate(keys["theirs"][2]) + siglist.of_images(file.read_bytes()))
    enforcing.check("install", pack(file), "--activate=none")
    assert of_slot(enforcing)["rule"] == "db-digest"


def test_of_two_signatures_one_will_do_unless_the_other_is_revoked(enforcing, built, sign, pack, keys):
    bundle = pack(sign(sign(built(), "theirs")))
    enforcing.check("install", bundle, "--activate=none")
    assert of_slot(enforcing)["signer"] == "CN=ours"
    put(enforcing, "dbx", siglist.of_certificate(keys["theirs"][2]))
    refuse_install(enforcing, DATAERR, ["signed by CN=theirs", "is revoked"], bundle)
    put(enforcing, "SbatLevelRT", b"sbat,1,2026\n", siglist.SHIM, VOLATILE)
    enforcing.check("install", bundle, "--activate=none")
    assert "secureboot on, by shim\n" in enforcing.check("status")


def test_shims_keys_count_where_shim_was_the_way(enforcing, built, sign, pack, keys):
    bundle = pack(sign(built(), "theirs"))
    put(enforcing, "MokListRT", siglist.of_certificate(keys["theirs"][2]), siglist.SHIM, 7)
    refuse_install(enforcing, DATAERR, ["not in db"], bundle)
    put(enforcing, "MokListRT", siglist.of_certificate(keys["theirs"][2]), siglist.SHIM, VOLATILE)
    enforcing.check("install", bundle, "--activate=none")
    assert of_slot(enforcing)["rule"] == "mok-certificate"


def test_an_addon_that_would_be_refused_is_refused_too(enforcing, built, sign, pack, tmp_path):
    lines = {slot: addon(tmp_path / f"{slot}.addon.efi", f"root=PARTUUID={slot}") for slot in "ab"}
    image = built().read_bytes().replace(b"systemd-stub 252", b"systemd-stub 257")
    (tmp_path / "newer.efi").write_bytes(image)
    bundle = pack(sign(tmp_path / "newer.efi"), *[f"--addon={slot}={file}" for slot, file in lines.items()])
    refuse_install(enforcing, DATAERR, ["would not start slot-b.addon", "not signed"], bundle)


def test_lists_that_cannot_be_understood_are_a_warning(enforcing, built, sign, pack):
    put(enforcing, "dbx", b"\xff" * 40)
    said = enforcing.check("install", pack(sign(built())), "--activate=none")
    assert "it is not known whether the firmware would start" in said and "dbx has a signature list" in said
    assert of_slot(enforcing)["answer"] == "unknown"
    _, found = doctor(enforcing)
    assert found["slot-uncertain"]["level"] == "note"


def test_a_loader_that_would_be_refused_is_not_tried(firmware, machine, sign, tmp_path, keys):  # noqa: F811
    new = tmp_path / "new.efi"
    new.write_bytes(loader_of("0.2"))
    machine.set_variable("SecureBoot", GLOBAL, b"\1")
    put(machine, "db", siglist.of_certificate(keys["ours"][2]))
    refuse(machine, DATAERR, ["would not start the new loader", "not signed"], "loader", "install", new)
    assert "will be tried" in machine.check("loader", "install", sign(new))


def test_doctor_finds_a_loader_and_a_copy_that_would_be_refused(healthy, sign, keys):  # noqa: F811
    healthy.set_variable("SecureBoot", GLOBAL, b"\1")
    signed = sign(healthy.top / LOADER_FILE)
    put(healthy, "db", siglist.of_certificate(keys["ours"][2]) + siglist.of_images(
        (healthy.top / "esp/EFI/slotboot/a/uki.efi").read_bytes()))
    for name in (LOADER_FILE, FALLBACK):
        shutil.copy(signed, healthy.top / name)
    assert doctor(healthy) == (0, {})
    assert healthy.status()["secure_boot"]["loader"]["answer"] == "starts"
    put(healthy, "dbx", siglist.of_images(signed.read_bytes()))
    _, found = doctor(healthy)
    assert set(found) == {"loader-refused", "fallback-refused"}
    assert healthy.status()["secure_boot"]["loader"]["rule"] == "dbx-digest"
    assert "warning: the firmware would not start its file" in healthy.check("status")


def test_what_some_firmware_does_not_take_is_said_by_create_and_install(machine, bundled, tmp_path, parts):  # noqa: F811
    uki.build(tmp_path / "odd.efi", tmp_path, parts / "linux", parts / "initrd", "quiet root=UUID=1\nmore", "ID=test\n", "6.1",
              {f".x{i}": b"x" for i in range(13)})
    words = ("sections, and there is firmware that takes no more than 25", "the .cmdline section of")
    made = bundled(tmp_path / "odd.efi")
    assert made.returncode == 0 and all(word in made.stdout for word in words), made.stdout
    said = machine.check("install", tmp_path / "new.zip", "--activate=none")
    assert all(word in said for word in words), said
