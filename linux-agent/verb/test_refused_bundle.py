# SPDX-License-Identifier: MIT
"""Bundles that are refused: with the cause in words, the right exit status, and every byte of slots, ESP and variables
as it was; and what a bundle, and a slot, say of themselves."""
import json
import os
import struct
import subprocess
import zipfile

import pytest
import uki
from drymachine import (AT_DIGEST_A, AT_INSTALLED_A, AT_STATUS_A, CONFIG, DATAERR, GLOBAL, IOERR, NOINPUT, OURS,
                        SLOTCTL, UNAVAILABLE, USAGE, WRITING, refuse_install)


def test_an_unsigned_bundle(machine, craft):
    refuse_install(machine, DATAERR, ["manifest.p7s"], craft(signed=False))


@pytest.mark.parametrize("who, word", [("stranger", "slotboot test stranger"), ("expired", "expired")])
def test_a_wrong_signer_or_an_expired_certificate(machine, create, who, word):
    refuse_install(machine, DATAERR, [word], create(who=who))


def test_an_altered_manifest(machine, craft):
    refuse_install(machine, DATAERR, ["signature"], craft(tamper=lambda text: text.replace(b'"2"', b'"3"')))


@pytest.mark.parametrize("payload", ["uki.efi.zst", "rootfs.img.zst"])
def test_an_altered_payload(machine, craft, tmp_path, payload):
    bundle = craft()
    with zipfile.ZipFile(bundle) as z:
        files = {name: z.read(name) for name in z.namelist()}
    files[payload] = files[payload][:5000] + bytes([files[payload][5000] ^ 1]) + files[payload][5001:]
    with zipfile.ZipFile(tmp_path / "altered.zip", "w") as z:
        for name, content in files.items():
            z.writestr(name, content)
    refuse_install(machine, DATAERR, [payload], tmp_path / "altered.zip")


@pytest.mark.parametrize("at", [0.1, 0.5, 0.8, 0.99])
def test_a_chunk_that_is_damaged_anywhere_in_a_bundle_at_hand(machine, create, at):
    """Both slots are good: the fallback is not given up for it."""
    machine.check("install", create("2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    bundle = create("3")
    data = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as z:
        entry = z.getinfo("rootfs.img.zst")
    where = entry.header_offset + int(entry.compress_size * at)
    data[where:where + 64] = bytes(64)
    bundle.write_bytes(data)
    refuse_install(machine, DATAERR, ["rootfs.img.zst", "damaged"], bundle)
    assert machine.status()["slots"]["a"]["status"] == "good"


@pytest.mark.parametrize("payload", ["uki.efi.zst", "rootfs.img.zst"])
def test_a_missing_payload(machine, craft, payload):
    refuse_install(machine, DATAERR, [payload], craft(drop=[payload]))


@pytest.mark.parametrize("by", [-1, 1])
def test_a_payload_of_another_size(machine, craft, by):
    refuse_install(machine, DATAERR, ["rootfs.index"], craft(size={"rootfs.img.zst": (3 << 20) + by}))


def test_a_uki_that_is_not_the_manifests_though_every_chunk_is_the_indexs(machine, craft):
    """A builder may get this wrong that is not slotctl."""
    def other(text):
        manifest = json.loads(text)
        manifest["payloads"][0]["sha256"] = manifest["payloads"][1]["sha256"]
        return json.dumps(manifest).encode()
    refuse_install(machine, DATAERR, ["uki.efi.zst does not have the SHA-256 in the manifest"], craft(alter=other))


def test_a_bundle_for_another_machine(machine, create):
    refuse_install(machine, DATAERR, ["umbrella", "acme"], create(compatible="umbrella"))


def test_a_bundle_for_another_architecture_is_refused_by_its_manifest(machine, craft):
    """One that names none is judged by its UKI: craft()'s others."""
    refuse_install(machine, DATAERR, ["the bundle is for riscv64, this machine is"], craft(change={"architecture": "riscv64"}))


def test_a_bundle_names_the_architecture_of_its_uki(machine, create):
    bundle = create("3")
    native = {"x86_64": "x86-64"}.get(os.uname().machine, "aarch64")
    assert json.loads(machine.check("bundle", "info", "--manifest", bundle))["architecture"] == native
    assert f"arch        {native}\n" in machine.check("bundle", "info", bundle)


def test_a_lower_version(machine, create):
    machine.check("install", create("2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    refuse_install(machine, DATAERR, ["1.9", "--allow-downgrade"], create("1.9"))


@pytest.mark.parametrize("spoil", ["gone", "forged", "another"])
def test_a_running_version_that_no_signature_vouches_for_wants_allow_downgrade(machine, create, spoil):
    """A manifest.json that says version 0, one without its signature, and a genuine one of another UKI."""
    here = machine.top / "esp/EFI/slotboot/a"
    words = {"gone": "it has no signed manifest", "forged": "altered after it was signed",
             "another": "is not of the UKI that the slot record has for slot a"}[spoil]
    if spoil == "gone":
        (here / "manifest.p7s").unlink()
    elif spoil == "forged":
        (here / "manifest.json").write_text((here / "manifest.json").read_text().replace('"version": "1"',
                                                                                         '"version": "0"'))
    else:
        machine.change_record((AT_DIGEST_A, "B", machine.variable("SlotState", OURS)[AT_DIGEST_A] ^ 1))
    bundle = create("0.9")
    refuse_install(machine, CONFIG, ["whether version 0.9 is a downgrade", "running slot a is not known", words,
                                     "--allow-downgrade installs"], bundle)
    assert not machine.status()["slots"]["a"]["version_verified"]
    assert "(not verified)" in machine.check("status")
    machine.check("install", bundle, "--activate=none", "--allow-downgrade")
    assert machine.status()["slots"]["b"]["version_verified"]


def test_an_image_that_is_not_configured(machine, create):
    refuse_install(machine, CONFIG, ["[image usr]"], create(image="usr"))


@pytest.mark.parametrize("content", [b"", b"not a ZIP file", bytes(100000)], ids=["empty", "text", "zeros"])
def test_what_is_not_a_zip(machine, tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    refuse_install(machine, DATAERR, ["x.zip"], tmp_path / "x.zip")


def test_a_zip_of_a_million_entries(machine, tmp_path):
    count, local, entry = 1000000, b"PK\3\4" + bytes(26), b"PK\1\2" + bytes(42)
    end64 = len(local) + count * len(entry)
    with (tmp_path / "x.zip").open("wb") as f:
        f.write(local + count * entry)
        f.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, end64 - len(local), len(local)))
        f.write(struct.pack("<4sLQL", b"PK\6\7", 0, end64, 1))
        f.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0))
    refuse_install(machine, DATAERR, ["x.zip", "1000000 entries, more than any bundle"], tmp_path / "x.zip")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_zip(machine, create, part):
    bundle = create()
    content = bundle.read_bytes()
    bundle.write_bytes(content[:int(len(content) * part)])
    refuse_install(machine, DATAERR, ["bundle.zip"], bundle)


@pytest.mark.parametrize("name, words", [("text.efi", ["not a UKI", "PE"]), ("cut.efi", ["not a UKI"]),
                                         ("arm.efi", ["aarch64", "x86-64"]), ("headless.efi", [".linux"]),
                                         ("overlapping.efi", ["cannot be loaded", ".initrd", ".linux", "overlap"]),
                                         ("blank.efi", ["a .cmdline section with nothing in it"])])
def test_a_uki_that_is_none(machine, craft, name, words):
    refuse_install(machine, DATAERR, words, craft(name))


def create_uki(tmp_path, uki_file):
    return subprocess.run([SLOTCTL, "bundle", "create", f"--output={tmp_path / 'one.zip'}", "--compatible=acme",
                           "--version=1", f"--uki={uki_file}", "--unsigned"], capture_output=True, text=True)


@pytest.mark.parametrize("name, words", [("overlapping.efi", "overlap in memory"), ("blank.efi", "nothing in it")])
def test_a_uki_that_cannot_be_loaded_is_not_bundled(tmp_path, parts, name, words):
    got = create_uki(tmp_path, parts / name)
    assert got.returncode == DATAERR and words in got.stderr, got.stderr
    assert not (tmp_path / "one.zip").exists()


def test_a_uki_with_more_sections_than_some_firmware_takes_is_a_warning(machine, tmp_path, parts, craft):
    assert uki.section((parts / "many.efi").read_bytes(), b".x12")
    got = create_uki(tmp_path, parts / "many.efi")
    assert got.returncode == 0 and "26 sections" in got.stdout + got.stderr
    assert "26 sections" in machine.check("install", craft("many.efi"), "--activate=none")
    assert "sections" not in create_uki(tmp_path, parts / "good.efi").stdout


def test_no_such_bundle(machine, tmp_path):
    refuse_install(machine, NOINPUT, ["nothing.zip"], tmp_path / "nothing.zip")
    refuse_install(machine, NOINPUT, ["nothing.zip"], f"file://{tmp_path}/nothing.zip")


def test_a_server_that_is_not_there(machine):
    machine.configure("deadline = 1")
    refuse_install(machine, UNAVAILABLE, ["127.0.0.1"], "http://127.0.0.1:1/x.zip")


@pytest.fixture
def release(tmp_path, parts, identities):
    """A bundle of the good UKI and what else is given."""
    def release(version, *images, name="release.zip"):
        subprocess.run([SLOTCTL, "bundle", "create", f"--output={tmp_path / name}", "--compatible=acme",
                        f"--version={version}", f"--uki={parts / 'good.efi'}", *images,
                        f"--key={identities['signer'].key}", f"--cert={identities['signer'].cert}"],
                       check=True, capture_output=True)
        return tmp_path / name
    return release


@pytest.fixture
def updated(machine, create):
    """Slot b runs version 2, installed from a bundle; slot a is idle and holds something else."""
    machine.check("install", create("2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    return machine


def test_a_bundle_that_leaves_out_an_image_of_the_configuration(updated, release):
    """The idle slot's would be of the release before the running one, under the number of the new one."""
    refuse_install(updated, DATAERR, ["no image rootfs", "would keep an older one", "--image=rootfs=FILE",
                                      "--reference=rootfs=FILE"], release("6"))


BLOCK = 64 << 10


def half_and_half(machine, image):
    """The even chunks in one slot, the odd ones in the other."""
    for name, held in (("a", 0), ("b", 1)):
        (machine.top / f"{name}.img").write_bytes(b"".join(
            image[at:at + BLOCK] if at // BLOCK % 2 == held else bytes(BLOCK) for at in range(0, len(image), BLOCK)))


def by_hand(machine):
    """No manifest says what the running slot holds."""
    (machine.top / "esp/EFI/slotboot/b/manifest.json").unlink()


def cut_off(machine):
    machine.change_record((AT_STATUS_A, "B", WRITING))


@pytest.mark.parametrize("prepare, in_place", [
    (lambda m, image: None, 0), (lambda m, image: (m.top / "a.img").write_bytes(image), 48), (half_and_half, 24),
    (lambda m, image: (cut_off(m), half_and_half(m, image)), 24), (lambda m, image: by_hand(m), 0)],
    ids=["running", "target", "both", "cut-off", "by-hand"])
def test_an_image_by_reference_is_taken_from_where_it_is(updated, release, parts, prepare, in_place):
    image, copied = (parts / "rootfs.img").read_bytes(), (48 - in_place) * BLOCK
    prepare(updated, image)
    if (updated.top / "esp/EFI/slotboot/b/manifest.json").exists():     # then the UKI is sought there as well
        copied += (parts / "good.efi").stat().st_size
    bundle = release("3", f"--reference=rootfs={parts / 'rootfs.img'}", "--chunk-size=64K")
    assert bundle.stat().st_size < 200_000
    said = updated.check("install", bundle, "--activate=none", "--allow-downgrade")
    assert f"{in_place * BLOCK} were in place, {copied} copied" in said
    assert (updated.top / "a.img").read_bytes() == image
    assert updated.status()["slots"]["a"]["status"] == "trial"


def test_an_image_by_reference_that_is_not_here_leaves_every_byte(updated, release, parts):
    """One chunk is enough."""
    image = bytearray((parts / "rootfs.img").read_bytes())
    image[100 * 1024] ^= 1
    for slot in "ab":
        (updated.top / f"{slot}.img").write_bytes(image)
    refuse_install(updated, DATAERR, ["release.zip", "leaves out the image rootfs", "1 of its 48 chunks are in neither"],
                   release("3", f"--reference=rootfs={parts / 'rootfs.img'}", "--chunk-size=64K"))


def test_a_bundle_says_which_image_it_has_by_reference(machine, release, parts, identities):
    bundle = release("3", f"--reference=rootfs={parts / 'rootfs.img'}")
    said = machine.check("bundle", "info", bundle)
    assert "rootfs      not in the bundle, 3145728 bytes" in said and "by reference" in said
    for where in (bundle, f"file://{bundle}"):
        assert "good, signed by" in machine.check("bundle", "verify", where)
    got, _, errors = machine.run("bundle", "create", "--reference=rootfs")
    assert got == USAGE and "--reference=rootfs: must be NAME=FILE" in errors


@pytest.mark.parametrize("folder", ["d" * 200 + "/" + "e" * 200 + "/" + "f" * 200, "name\x1b[1m"], ids=["long", "escape"])
def test_bundle_info_opens_the_very_path_and_not_the_text_that_is_shown(machine, create, folder):
    bundle = machine.top / folder / "new.zip"
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(create("2").read_bytes())
    assert machine.check("bundle", "info", bundle).count(", frames ") >= 2
    assert "good, signed by" in machine.check("bundle", "verify", bundle)


@pytest.mark.parametrize("installed, shown", [(0, None), (1, 1), (2**63 - 1, 2**63 - 1), (2**63, None), (2**64 - 1, None)])
def test_a_time_that_is_none_is_not_shown_as_another(machine, installed, shown):
    machine.change_record((AT_INSTALLED_A, "<Q", installed))
    assert machine.status()["slots"]["a"]["installed"] == shown
    assert ("; installed 1970-01-01" in machine.check("status")) == (installed == 1)


def test_a_slot_in_writing_has_neither_the_version_nor_the_time_of_what_it_held(machine, create):
    machine.check("install", create("2"), "--activate=none")
    order = machine.top / "vars" / f"BootOrder-{GLOBAL}"
    order.write_bytes(struct.pack("<IH", 3, 0))
    assert machine.status()["slots"]["b"]["version"] == "2"
    assert machine.run("install", create("3"), "--activate=none")[0] == IOERR
    slot = machine.status()["slots"]["b"]
    assert (slot["status"], slot["version"], slot["installed"]) == ("writing", None, None)
    assert not any("version" in line or "installed" in line for line in machine.check("status").splitlines()
                   if line.startswith("slot b"))
