# SPDX-License-Identifier: MIT
"""slotctl provision on image files, as an ordinary user: what other programs see of the result, and every refusal."""
import hashlib
import json
import os
import re
import subprocess
import uuid

import pki
import pytest
import record
import uki
from drymachine import BUILD, CONFIG, DATAERR, NOINPUT, SLOTCTL, USAGE
from paths import SFDISK
from esp import Esp
from test_schema import check

MIB = 1 << 20
ROOTFS = 3 * MIB


class Parts:
    """A bundle, its keyring, and a loader that is any EFI program."""

    def __init__(self, work):
        self.work = work
        identities = pki.identities(work / "pki")
        self.keyring = identities["signer"].cert
        self.strangers = identities["stranger"].cert
        (work / "linux").write_bytes(b"kernel" * 1000)
        (work / "initrd").write_bytes(b"initrd" * 1000)
        self.uki = work / "good.efi"
        uki.build(self.uki, work, work / "linux", work / "initrd", "quiet slotboot.slot={slot}", "ID=test\n", "6.1")
        (work / "rootfs.img").write_bytes(os.urandom(ROOTFS))
        self.rootfs = (work / "rootfs.img").read_bytes()
        self.signer = identities["signer"]
        self.bundle = self.make("bundle.zip", f"--image=rootfs={work / 'rootfs.img'}")
        (work / "slotboot.conf").write_text(f"[slotboot]\nkeyring = {self.keyring}\ntries = 4\n")
        (work / "text").write_text("no EFI program")

    def make(self, name, *options):
        out = self.work / name
        if not any(option.startswith("--uki=") for option in options):
            options = (f"--uki={self.uki}", *options)
        subprocess.run([SLOTCTL, "bundle", "create", f"--output={out}", "--compatible=acme", "--version=7",
                        f"--key={self.signer.key}", f"--cert={self.signer.cert}", *options],
                       check=True, capture_output=True)
        return out


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    return Parts(tmp_path_factory.mktemp("provision"))


@pytest.fixture
def provision(parts, tmp_path):
    """Runs it on disk.img, in the test's directory; (status, output, errors)."""
    def provision(*options, disk="disk.img", bundle=None, environment=(), loader=True):
        process = subprocess.run(
            [SLOTCTL, "provision", disk, f"--bundle={bundle or parts.bundle}", *([f"--loader={parts.uki}"] if loader else []),
             f"--config={parts.work / 'slotboot.conf'}", *options],
            capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "LC_ALL": "C", **dict(environment)})
        assert "Sanitizer" not in process.stderr, process.stderr
        return process.returncode, process.stdout, process.stderr
    provision.image = tmp_path / "disk.img"
    return provision


def blank(image):
    """A disk with nothing on it, as a hole."""
    with open(image, "wb") as f:
        f.truncate(100 * MIB)


def good(result):
    assert result[0] == 0, result[2]
    return result[1]


def table(image, sector=512):
    """The partitions as partx has them: name, type, uuid, flags; start and size in bytes."""
    lines = subprocess.run(["partx", "--pairs", f"--sector-size={sector}", "--output=NAME,TYPE,UUID,FLAGS,START,SECTORS", image],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in lines]
    return [{key.lower(): int(row[key]) * 512 if key in ("START", "SECTORS") else row[key] for key in row} for row in rows]


def part(image, start, size):
    with open(image, "rb") as f:
        f.seek(start)
        return f.read(size)


def digest(path):
    """Of what is not zero, and where: a disk of these is mostly holes."""
    sum, at = hashlib.sha256(), 0
    with open(path, "rb") as f:
        while f.seek(0, os.SEEK_END) > at:
            try:
                at = f.seek(at, os.SEEK_DATA) // 65536 * 65536
            except OSError:     # there are no more data
                break
            block = part(path, at, 65536)
            if block.strip(b"\0"):
                sum.update(b"%d " % at + block)
            at += 65536
        return sum.hexdigest(), f.seek(0, os.SEEK_END)


@pytest.mark.parametrize("sector", [512, 4096])
def test_other_programs_see_a_sound_disk(parts, provision, tmp_path, sector):
    good(provision("--size=100M", f"--sector-size={sector}", "--esp-size=20M", "--data=10M"))
    partitions = table(provision.image, sector)
    assert [p["name"] for p in partitions] == ["esp", "slotboot-a", "slotboot-b", "slotboot-data"]
    assert [p["sectors"] // MIB for p in partitions] == [20, 34, 34, 10]
    assert all(p["start"] % MIB == 0 for p in partitions)
    assert [p["type"] for p in partitions] == [
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "0fc63daf-8483-4772-8e79-3d69d8477de4"]
    assert [int(p["flags"], 16) for p in partitions] == [0, 1 << 63, 1 << 63, 1 << 59]
    start, size = partitions[0]["start"], partitions[0]["sectors"]
    (tmp_path / "esp.img").write_bytes(part(provision.image, start, size))
    checked = subprocess.run(["/usr/sbin/fsck.fat", "-n", tmp_path / "esp.img"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert part(provision.image, partitions[1]["start"], ROOTFS) == parts.rootfs


def test_what_was_on_the_disk_is_in_no_table_of_the_new_file_system(parts, provision, tmp_path):
    provision.image.write_bytes(b"\xff" * (100 * MIB))
    good(provision("--esp-size=20M"))
    (tmp_path / "esp.img").write_bytes(part(provision.image, MIB, 20 * MIB))
    checked = subprocess.run(["/usr/sbin/fsck.fat", "-n", tmp_path / "esp.img"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert Esp(provision.image, MIB).read("EFI/slotboot/a/uki.efi") == parts.uki.read_bytes()
    assert subprocess.run(["/usr/sbin/sfdisk", "--verify", provision.image], capture_output=True).returncode == 0


def test_the_table_has_no_faults_that_a_checker_knows(provision):
    good(provision("--size=100M"))
    # Both headers and both tables are read here; with a fault it says so and exits with 1.
    out = subprocess.run(["/usr/sbin/sfdisk", "--verify", provision.image], capture_output=True, text=True)
    assert out.returncode == 0 and "No errors detected" in out.stdout, out.stdout + out.stderr


def test_the_protective_mbr_tells_a_bios_user_what_is_wrong(provision):
    good(provision("--size=100M"))
    mbr = part(provision.image, 0, 512)
    assert b"this disk boots by UEFI\r\n\0" in mbr[:440]
    assert (mbr[450], mbr[510:]) == (0xEE, b"\x55\xaa")


def test_the_loader_that_the_bundle_brings_is_the_one_unless_a_file_is_named(parts, provision):
    brought = parts.work / "loader.efi"
    brought.write_bytes((BUILD / "efi/slotbootx64.efi").read_bytes().replace(b"slotboot,0.1,", b"slotboot,0.7,"))
    bundle = parts.make("loader.zip", f"--image=rootfs={parts.work / 'rootfs.img'}", f"--loader={brought}")
    said = good(provision("--size=100M", bundle=bundle, loader=False))
    assert "the loader: version 0.7, which the bundle brings" in said
    esp = Esp(provision.image, MIB)
    assert esp.read("EFI/BOOT/BOOTX64.EFI") == esp.read("EFI/slotboot/slotbootx64.efi") == brought.read_bytes()
    provision.image.unlink()
    assert f"the loader: {parts.uki}, and not the one that the bundle brings" in good(provision("--size=100M", bundle=bundle))
    assert Esp(provision.image, MIB).read("EFI/BOOT/BOOTX64.EFI") == parts.uki.read_bytes()


def test_the_esp_has_what_an_install_leaves_and_the_loader(parts, provision):
    good(provision("--size=100M"))
    esp = Esp(provision.image, MIB)
    loader = parts.uki.read_bytes()
    assert esp.read("EFI/BOOT/BOOTX64.EFI") == esp.read("EFI/slotboot/slotbootx64.efi") == loader
    assert esp.read("EFI/slotboot/a/uki.efi") == parts.uki.read_bytes()
    for name in ("manifest.json", "manifest.p7s", "uki.index"):
        assert esp.read(f"EFI/slotboot/a/{name}")
    assert esp.exists("EFI/slotboot/b")
    for slot in "ab":
        lines = esp.read(f"loader/entries/slotboot-{slot}.conf").decode().splitlines()
        assert f"efi /EFI/slotboot/{slot}/uki.efi" in lines and f"uki /EFI/slotboot/{slot}/uki.efi" in lines


def test_what_the_bundle_has_for_beside_the_uki_is_on_the_esp(parts, provision, tmp_path):
    (tmp_path / "wifi").write_bytes(b"secret")
    bundle = parts.make("beside.zip", f"--image=rootfs={parts.work / 'rootfs.img'}", f"--credential=wifi={tmp_path / 'wifi'}")
    good(provision("--size=100M", bundle=bundle))
    assert Esp(provision.image, MIB).read("EFI/slotboot/a/uki.efi.extra.d/wifi.cred") == b"secret"


def test_the_record_says_that_slot_a_is_on_trial_and_b_is_empty(parts, provision):
    good(provision("--size=100M"))
    state = Esp(provision.image, MIB).read("EFI/slotboot/state.bin")
    assert len(state) == 8192 and state[:320] == state[4096:4416]
    found = record.Record.decode(state[:320])
    assert (found.a.status, found.a.tries_left, found.b.status) == (record.TRIAL, 4, record.EMPTY)
    assert (found.a.uki_size, found.a.uki_sha256) == (parts.uki.stat().st_size, hashlib.sha256(parts.uki.read_bytes()).digest())
    # More than a variable that an earlier installation has counted up to, and not so far ahead that it is damage.
    assert 1 << 28 < found.sequence < 1 << 32
    # Of this ESP: the loader believes no other.
    assert state[32:48] == uuid.UUID(table(provision.image)[0]["uuid"]).bytes_le


def test_a_seed_makes_the_same_bytes(provision, tmp_path):
    good(provision("--size=100M", "--seed=one", disk="x.img"))
    good(provision("--size=100M", "--seed=one", disk="y.img", environment={"TZ": "Asia/Tokyo", "PATH": "/nowhere"}.items()))
    good(provision("--size=100M", "--seed=two", disk="z.img"))
    assert digest(tmp_path / "x.img") == digest(tmp_path / "y.img") != digest(tmp_path / "z.img")


def test_without_a_seed_no_two_disks_have_a_guid_in_common(provision, tmp_path):
    for name in ("x.img", "y.img"):
        good(provision("--size=100M", disk=name))
    uuids = [p["uuid"] for name in ("x.img", "y.img") for p in table(tmp_path / name)]
    assert len(set(uuids)) == len(uuids) == 6


ROOT = "6d2f7e1c-3a50-4b8e-9f47-52c0d1e8b39"


@pytest.fixture(scope="module")
def rooted(parts):
    """A bundle whose UKI has this root=."""
    def make(root):
        name = f"rooted-{hashlib.sha256(root.encode()).hexdigest()[:8]}"
        image = parts.work / f"{name}.efi"
        uki.build(image, parts.work, parts.work / "linux", parts.work / "initrd", f"root={root} slotboot.slot={{slot}}",
                  "ID=test\n", "6.1")
        return parts.make(f"{name}.zip", f"--uki={image}", f"--image=rootfs={parts.work / 'rootfs.img'}")
    return make


@pytest.mark.parametrize("root, ends", [(f"PARTUUID={ROOT}{{slot}}", "eabc"), (f"PARTUUID={ROOT.upper()}{{SLOT}}", "eabc"),
                                        ("PARTUUID=6d2f7e1c-3a50-4b8e-9f47-52c0d1e8b{slot}90", None),
                                        (f"PARTUUID={ROOT}{{slot}}/PARTNROFF=1", "")])
def test_the_partitions_are_those_that_the_command_line_asks_for(provision, rooted, root, ends):
    good(provision("--size=64M", "--data=8M", "--seed=x", bundle=rooted(root)))
    found = [part["uuid"] for part in table(provision.image)]
    if ends:
        assert found == [ROOT + end for end in ends]
    elif ends == "":
        assert len({guid[:8] for guid in found}) == 4, "it names another partition"
    else:
        assert found[1:3] == [f"6d2f7e1c-3a50-4b8e-9f47-52c0d1e8b{slot}90" for slot in "ab"]
        assert len({guid[:8] for guid in found}) == 3, "the others come from the seed"


@pytest.mark.parametrize("root, words", [
    (f"PARTUUID={ROOT}1", "the same root=PARTUUID= in both slots"),
    ("PARTUUID={slot}", "root=PARTUUID=a in slot a, which is no GUID of a partition")])
def test_a_root_that_fits_no_partitions_is_refused(provision, rooted, root, words):
    status, _, errors = provision("--size=64M", bundle=rooted(root))
    assert status == DATAERR and words in errors and not provision.image.exists(), errors


def test_where_the_command_line_names_no_partitions_the_guid_is_given(provision, rooted):
    good(provision("--size=64M", "--data=8M", f"--guid={ROOT}0", bundle=rooted("/dev/mapper/root")))
    assert [part["uuid"] for part in table(provision.image)] == [ROOT + end for end in "eabc"]


@pytest.mark.parametrize("root, guid, words", [
    ("/dev/mapper/root", "6d2f7e1c", "--guid=6d2f7e1c: must be a GUID"),
    ("/dev/mapper/root", ROOT + "g", "must be a GUID"),
    (f"PARTUUID={ROOT}{{slot}}", "7" + ROOT[1:] + "0", "the UKI's command line names other partitions")])
def test_a_guid_that_is_none_or_contradicts_the_command_line_is_refused(provision, rooted, root, guid, words):
    status, _, errors = provision("--size=64M", f"--guid={guid}", bundle=rooted(root))
    assert status == USAGE and words in errors and not provision.image.exists(), errors


def test_partitions_that_are_kept_must_be_those_that_the_command_line_asks_for(provision, rooted):
    bundle = rooted(f"PARTUUID={ROOT}{{slot}}")
    good(provision("--size=64M", "--seed=x"))
    before = digest(provision.image)
    status, _, errors = provision("--wipe=disk.img", bundle=bundle)
    assert status == CONFIG and f"has root=PARTUUID={ROOT}a: sfdisk --part-uuid" in errors, errors
    assert digest(provision.image) == before
    for number, slot in ((2, "a"), (3, "b")):
        subprocess.run([*SFDISK, "--part-uuid", provision.image, str(number), ROOT + slot], check=True, capture_output=True)
    good(provision("--wipe=disk.img", bundle=bundle))


def test_a_dry_run_prints_the_plan_and_writes_nothing(provision):
    out = good(provision("--size=100M", "--dry-run"))
    assert "slotboot-b" in out and "version 7 for acme, signed by CN=slotboot test signer" in out
    assert "was not written: --dry-run" in out and not provision.image.exists()
    blank(provision.image)
    before = digest(provision.image)
    good(provision("--dry-run"))
    assert digest(provision.image) == before


def test_each_line_of_json_is_as_its_schema_says(provision):
    out = good(provision("--size=64M", "--json"))
    for line in out.splitlines():
        check("progress", json.loads(line))


def test_a_bundle_without_an_image_gets_no_slots(parts, provision):
    good(provision("--size=100M", bundle=parts.make("uki.zip")))
    assert [p["name"] for p in table(provision.image)] == ["esp"]


# --- several images in a slot ---

APP = 2 * MIB


@pytest.fixture(scope="module")
def two(parts):
    """A bundle whose second image comes first, and what that is."""
    (parts.work / "app.img").write_bytes(os.urandom(APP))
    return parts.make("two.zip", f"--image=app={parts.work / 'app.img'}", f"--image=rootfs={parts.work / 'rootfs.img'}")


@pytest.fixture
def configured(parts, tmp_path):
    """An option that names the partitions of the image app."""
    def configured(a, b):
        (tmp_path / "slotboot.conf").write_text(f"[slotboot]\nkeyring = {parts.keyring}\n[image app]\na = {a}\nb = {b}\n")
        return f"--config={tmp_path / 'slotboot.conf'}"
    return configured


def labels(image):
    return [part["name"] for part in table(image)]


def test_each_image_has_a_partition_in_each_slot(parts, provision, two):
    said = good(provision("--size=100M", "--data=10M", bundle=two))
    partitions = table(provision.image)
    assert labels(provision.image) == ["esp", "slotboot-a", "slotboot-b", "slotboot-a-app", "slotboot-b-app", "slotboot-data"]
    assert [p["type"][:8] for p in partitions] == ["c12a7328", "4f68bce3", "4f68bce3", "0fc63daf", "0fc63daf", "0fc63daf"]
    assert [int(p["flags"], 16) >> 63 for p in partitions] == [0, 1, 1, 1, 1, 0]
    assert len({p["uuid"] for p in partitions}) == 6
    assert re.search(r"4: slotboot-a-app +\d+ MiB at \d+ MiB, [-0-9a-f]+, written", said), said
    assert re.search(r"5: slotboot-b-app +\d+ MiB at \d+ MiB, [-0-9a-f]+, empty", said), said
    assert part(provision.image, partitions[1]["start"], ROOTFS) == parts.rootfs
    assert part(provision.image, partitions[3]["start"], APP) == (parts.work / "app.img").read_bytes()
    assert partitions[1]["sectors"] > partitions[3]["sectors"] >= APP


def test_a_first_image_that_is_not_the_root_needs_a_word_in_the_machines_configuration(parts, provision, two):
    needed = "[image app] with a = /dev/disk/by-partlabel/slotboot-a"
    assert needed in good(provision("--size=100M", "--dry-run", bundle=parts.make(
        "app.zip", f"--image=app={parts.work / 'app.img'}", f"--image=data={parts.work / 'app.img'}")))
    assert "[image " not in good(provision("--size=100M", "--dry-run", bundle=two))


def test_sizes_are_those_asked_for(provision, two):
    good(provision("--size=100M", "--esp-size=20M", "--slot-size=10M", "--image-size=app=5M", "--data=rest", bundle=two))
    assert [p["sectors"] // MIB for p in table(provision.image)] == [20, 10, 10, 5, 5, 48]
    provision.image.unlink()
    good(provision("--size=100M", "--esp-size=20M", "--image-size=rootfs=12M", "--image-size=app=5M", bundle=two))
    assert [p["sectors"] // MIB for p in table(provision.image)] == [20, 12, 12, 5, 5]


def test_a_seed_makes_the_same_bytes_of_several_images(provision, two, tmp_path):
    for name in ("x.img", "y.img"):
        good(provision("--size=64M", "--seed=one", disk=name, bundle=two))
    assert digest(tmp_path / "x.img") == digest(tmp_path / "y.img")


def test_the_configuration_names_labels_or_guids(provision, two, configured):
    option = configured("/dev/disk/by-partlabel/app_1", f"/dev/disk/by-partuuid/{ROOT}7")
    good(provision("--size=100M", option, bundle=two))
    assert labels(provision.image)[3:] == ["app_1", "slotboot-b-app"]
    assert table(provision.image)[4]["uuid"] == ROOT + "7"
    # They are found again by the same.
    good(provision("--wipe=disk.img", option, bundle=two))


def test_both_slots_cannot_have_one_guid(provision, two, configured):
    option = configured(*2 * [f"/dev/disk/by-partuuid/{ROOT}7"])
    refused(provision, CONFIG, "slotboot-a-app and slotboot-b-app would have the same GUID", "--size=100M", option, bundle=two)
    blank(provision.image)
    script = ("label: gpt\nsize=20M, type=uefi\nsize=10M, name=slotboot-a\nsize=10M, name=slotboot-b\n"
              f"size=10M, name=app, uuid={ROOT}7\n")
    subprocess.run([*SFDISK, provision.image], input=script.encode(), check=True)
    refused(provision, CONFIG, "slotboot-a-app and slotboot-b-app would have the same GUID", option, bundle=two)


def test_a_path_that_says_nothing_of_another_disk_is_not_looked_at(provision, two, configured):
    good(provision("--size=100M", configured("/dev/sda7", "/dev/sda8"), bundle=two))
    assert labels(provision.image)[3:] == ["slotboot-a-app", "slotboot-b-app"]


def test_a_root_and_its_hash_tree_have_their_types(parts, provision):
    """As mkosi has them; the tree has room for one of a root as large as its partition."""
    (parts.work / "root").write_bytes(os.urandom(8 * MIB))
    said = subprocess.run(["/usr/sbin/veritysetup", "format", parts.work / "root", parts.work / "tree"], check=True,
                          capture_output=True, text=True).stdout
    root_hash = re.search(r"Root hash:\s*([0-9a-f]+)", said)[1]
    image = parts.work / "verity.efi"
    uki.build(image, parts.work, parts.work / "linux", parts.work / "initrd", f"root=/dev/mapper/root roothash={root_hash}",
              "ID=test\n", "6.1")
    bundle = parts.make("verity.zip", f"--uki={image}", f"--image=rootfs={parts.work / 'root'}",
                        f"--image=rootfs-verity={parts.work / 'tree'},roothash={root_hash}")
    good(provision("--size=100M", "--esp-size=20M", "--slot-size=16M", "--data=rest", bundle=bundle))
    partitions = table(provision.image)
    assert labels(provision.image)[3:5] == ["slotboot-a-rootfs-verity", "slotboot-b-rootfs-verity"]
    assert partitions[3]["type"] == partitions[4]["type"] == "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"
    assert [p["sectors"] // MIB for p in partitions] == [20, 16, 16, 2, 2, 42]
    tree = (parts.work / "tree").read_bytes()
    assert part(provision.image, partitions[3]["start"], len(tree)) == tree


def test_partitions_of_several_images_are_kept(parts, provision, two):
    """Also in another order, and between foreign ones."""
    blank(provision.image)
    script = ("label: gpt\nsize=5M, type=linux, name=slotboot-b-app\nsize=20M, type=uefi\nsize=5M, type=linux, name=mine\n"
              "size=10M, name=slotboot-b\nsize=5M, name=slotboot-a-app\nsize=10M, name=slotboot-a\n")
    subprocess.run([*SFDISK, provision.image], input=script.encode(), check=True)
    before = table(provision.image)
    assert "whose partitions are kept" in good(provision(bundle=two))
    assert table(provision.image) == before
    assert part(provision.image, before[4]["start"], APP) == (parts.work / "app.img").read_bytes()
    assert part(provision.image, before[5]["start"], ROOTFS) == parts.rootfs


def test_kept_partitions_with_something_in_them_or_without_one_of_an_image_are_refused(provision, two, tmp_path):
    good(provision("--size=100M"))
    refused(provision, CONFIG, "has no partition for the image app (slotboot-a-app)", "--wipe=disk.img", bundle=two)
    good(provision("--size=100M", disk="two.img", bundle=two))
    at = table(tmp_path / "two.img")[4]["start"]
    provision.image.write_bytes(part(tmp_path / "two.img", 0, MIB) + bytes(at - MIB))
    with open(tmp_path / "two.img", "rb") as whole, open(provision.image, "ab") as image:
        whole.seek(at)
        image.write(whole.read())
        image.seek(0)
    with open(provision.image, "r+b") as image:
        image.seek(at)
        image.write(b"LUKS\xba\xbe\0\1" + bytes(584))
    refused(provision, CONFIG, "has something on it: crypto_LUKS in partition 5 (slotboot-b-app)", bundle=two)


def test_what_lies_behind_a_small_partition_that_is_kept_stays(parts, provision):
    """Less than what is zeroed of a slot's larger ones, and no multiple of 4096 bytes."""
    (parts.work / "tiny").write_bytes(b"t" * 5000)
    bundle = parts.make("tiny.zip", f"--image=rootfs={parts.work / 'rootfs.img'}", f"--image=tiny={parts.work / 'tiny'}")
    blank(provision.image)
    script = ("label: gpt\nsize=20M, type=uefi\nsize=10M, name=slotboot-a\nsize=10M, name=slotboot-b\nsize=1M, name=slotboot-a-tiny\n"
              "size=25, name=slotboot-b-tiny\nstart=86056, size=10M, name=slotboot-data\n")
    subprocess.run([*SFDISK, provision.image], input=script.encode(), check=True)
    small, data = table(provision.image)[4:]
    assert (small["sectors"], data["start"] - small["start"]) == (25 * 512, 40 * 512)
    with open(provision.image, "r+b") as f:
        f.seek(small["start"])
        f.write(b"o" * (small["sectors"] + MIB))
    good(provision(bundle=bundle))
    content = part(provision.image, small["start"], small["sectors"] + MIB)
    assert content == bytes(12288) + b"o" * (small["sectors"] - 12288 + MIB)


@pytest.mark.parametrize("a,b,words", [("10M", "2M", "a slot of 2 MiB has no room for the image"),
                                       ("2M", "10M", "a slot of 2 MiB has no room for the image")])
def test_kept_partitions_of_either_slot_must_have_room(provision, a, b, words):
    blank(provision.image)
    script = f"label: gpt\nsize=20M, type=uefi\nsize={a}, name=slotboot-a\nsize={b}, name=slotboot-b\n"
    subprocess.run([*SFDISK, provision.image], input=script.encode(), check=True)
    refused(provision, DATAERR, words)


@pytest.mark.parametrize("status,words,options", [
    (USAGE, "--image-size=app: must be an image's name and a size", ["--image-size=app"]),
    (USAGE, "--image-size=5x: must be a size", ["--image-size=app=5x"]),
    (USAGE, "--image-size=other: the bundle has no image of that name", ["--size=100M", "--image-size=other=5M"]),
    (USAGE, "--image-size=rootfs: the image has a size already", ["--size=100M", "--slot-size=9M", "--image-size=rootfs=9M"]),
    (USAGE, "--data=rest needs --image-size=app=SIZE", ["--size=100M", "--slot-size=9M", "--data=rest"]),
    (DATAERR, "slotboot-a-app, of 1 MiB, has no room for the image app", ["--size=100M", "--image-size=app=1M"]),
])
def test_sizes_that_do_not_go_with_the_images_are_refused(provision, two, status, words, options):
    refused(provision, status, words, *options, bundle=two)


@pytest.mark.parametrize("place,words", [
    ("/dev/disk/by-partlabel/a b", "a b is no label that a partition can be given here"),
    ("/dev/disk/by-partlabel/" + 37 * "x", "is no label that a partition can be given here"),
    ("/dev/disk/by-partlabel/slotboot-b", "two partitions would have the label slotboot-b"),
    ("/dev/disk/by-partuuid/12", "12 is no GUID of a partition"),
])
def test_a_name_in_the_configuration_that_no_partition_can_have_is_refused(provision, two, configured, place, words):
    refused(provision, CONFIG, words, "--size=100M", configured(place, "/dev/disk/by-partlabel/other"), bundle=two)


def test_a_name_that_is_too_long_for_a_label_wants_another(parts, provision):
    bundle = parts.make("long.zip", f"--image=rootfs={parts.work / 'rootfs.img'}", f"--image={26 * 'x'}={parts.work / 'text'}")
    refused(provision, CONFIG, "has too long a name for a label", "--size=100M", bundle=bundle)


# --- what is on the disk already ---

def test_partitions_with_the_right_labels_are_kept(parts, provision):
    blank(provision.image)
    script = ("label: gpt\nsize=20M, type=uefi, name=efi\nsize=5M, type=linux, name=mine\n"
              "size=30M, type=linux, name=slotboot-a\nsize=30M, type=linux, name=slotboot-b\n")
    subprocess.run([*SFDISK, provision.image], input=script.encode(), check=True)
    before = table(provision.image)
    with open(provision.image, "r+b") as f:
        f.seek(before[1]["start"])
        f.write(b"mine" * 1000)
    assert "whose partitions are kept" in good(provision())
    assert table(provision.image) == before
    assert part(provision.image, before[1]["start"], 4000) == b"mine" * 1000
    assert part(provision.image, before[2]["start"], ROOTFS) == parts.rootfs
    assert Esp(provision.image, MIB).read("EFI/slotboot/a/uki.efi") == parts.uki.read_bytes()


def refused(provision, status, words, *options, **more):
    before = digest(provision.image) if provision.image.exists() else None
    got, out, errors = provision(*options, **more)
    assert (got, words in errors) == (status, True), errors
    assert (digest(provision.image) if provision.image.exists() else None) == before


def test_what_is_provisioned_is_written_again_only_when_the_disk_is_named(provision):
    good(provision("--size=100M", "--data=10M"))
    before = table(provision.image)
    refused(provision, CONFIG, "has something on it: vfat in partition 1 (esp); if that may go, --wipe=disk.img")
    good(provision("--wipe=disk.img"))
    assert table(provision.image) == before


@pytest.mark.parametrize("what,words", [
    (["/usr/sbin/mkfs.fat", "-F", "16"], "has something on it: vfat"),
    (["/usr/sbin/mkswap", "-q"], "has something on it: swap"),
    (SFDISK, "has something on it: a partition table (dos)"),
])
def test_a_disk_with_something_on_it_is_refused_and_named(provision, what, words):
    blank(provision.image)
    subprocess.run([*what, provision.image], input=b"label: dos\nsize=10M\n", check=True, capture_output=True)
    refused(provision, CONFIG, words)
    refused(provision, USAGE, "--wipe=/dev/sda is not disk.img", "--wipe=/dev/sda")
    good(provision("--wipe=disk.img"))
    assert len(table(provision.image)) == 3


def test_half_of_our_labels_is_no_layout(provision):
    blank(provision.image)
    subprocess.run([*SFDISK, provision.image], check=True,
                   input=b"label: gpt\nsize=20M, type=uefi\nsize=20M, name=slotboot-a\n")
    refused(provision, CONFIG, "no whole set: one ESP, slotboot-a and slotboot-b are needed", "--wipe=disk.img")


def test_a_run_that_was_cut_off_is_said_and_starts_over(provision):
    provision.image.write_bytes(b"slotboot: provisioning was begun here and not finished\n" + bytes(100 * MIB - 55))
    assert "was being provisioned when that was cut off; starting over" in good(provision())


# --- the firmware ---

GLOBAL, OURS = "8be4df61-93ca-11d2-aa0d-00e098032b8c", "a44b7925-64fe-4f5f-9e3a-49b0319efd7d"


@pytest.fixture
def firmware(provision, tmp_path):
    """A variable store in a directory, and provisioning for it."""
    (tmp_path / "vars").mkdir()
    environment = {"EFIVARFS_PATH": f"{tmp_path}/vars/"}.items()

    def firmware(*options, **more):
        return provision(*options, "--boot-entries", environment=environment, **more)
    firmware.names = lambda: {path.name.split("-")[0] for path in (tmp_path / "vars").iterdir()}
    firmware.get = lambda name, guid=GLOBAL: (tmp_path / "vars" / f"{name}-{guid}").read_bytes()
    firmware.put = lambda name, guid, content, attributes=7: \
        (tmp_path / "vars" / f"{name}-{guid}").write_bytes(bytes([attributes, 0, 0, 0]) + content)
    return firmware


def test_the_firmware_is_told_of_the_record_and_the_loader(firmware, provision):
    good(firmware("--size=100M"))
    assert firmware.names() == {"SlotState", "Boot0001", "BootOrder"}
    state = Esp(provision.image, MIB).read("EFI/slotboot/state.bin")
    assert firmware.get("SlotState", OURS) == b"\7\0\0\0" + state[:320]
    assert "slotbootx64.efi".encode("utf-16le") in firmware.get("Boot0001")
    assert firmware.get("BootOrder") == b"\7\0\0\0\1\0"


def test_a_dry_run_tells_the_firmware_nothing(firmware):
    good(firmware("--size=100M", "--dry-run"))
    assert firmware.names() == set()


@pytest.mark.parametrize("attributes", [7, 3])
def test_the_record_of_an_earlier_installation_is_replaced_and_said(firmware, attributes):
    firmware.put("SlotState", OURS, b"of another disk", attributes)
    assert "slot record of an earlier installation: replaced" in good(firmware("--size=100M"))
    assert firmware.get("SlotState", OURS)[:12] == b"\7\0\0\0SLOTBOOT"


def test_entries_of_the_esp_that_was_there_go_and_foreign_ones_stay(firmware, provision):
    good(firmware("--size=100M"))
    firmware.put("Boot0009", GLOBAL, b"\1\0\0\0\4\0o\0\0\0\x7f\xff\4\0")
    firmware.put("BootOrder", GLOBAL, b"\1\0\x09\0")
    before = firmware.get("Boot0001")
    # Another table without our labels, but with the old ESP.
    uuid_of = table(provision.image)[0]["uuid"]
    blank(provision.image)
    subprocess.run([*SFDISK, provision.image], check=True,
                   input=f"label: gpt\nsize=20M, type=uefi, uuid={uuid_of}\n".encode())
    assert "Boot0001 is of the ESP that was on the disk: removed" in good(firmware("--wipe=disk.img"))
    assert firmware.names() == {"SlotState", "Boot0002", "Boot0009", "BootOrder"}
    assert firmware.get("BootOrder") == b"\7\0\0\0\2\0\x09\0"
    assert firmware.get("Boot0002") != before


# --- without the loader ---

@pytest.fixture
def direct(parts):
    """An option: a configuration that does without the loader."""
    path = parts.work / "direct.conf"
    path.write_text((parts.work / "slotboot.conf").read_text() + "activation = direct\n")
    return f"--config={path}"


def test_without_the_loader_the_firmware_is_told_of_slot_a_and_nothing_lies_in_the_fallback_path(
        parts, provision, firmware, direct, tmp_path):
    said = good(firmware("--size=100M", direct, loader=False))
    assert "no loader, and nothing in EFI/BOOT (activation = direct)" in said
    esp = Esp(provision.image, MIB)
    assert not esp.exists("EFI/BOOT") and not esp.exists("EFI/slotboot/slotbootx64.efi")
    assert esp.read("EFI/slotboot/a/uki.efi") == parts.uki.read_bytes() and esp.exists("EFI/slotboot/b")
    state = esp.read("EFI/slotboot/state.bin")
    found = record.Record.decode(state[:320])
    assert (found.a.status, found.a.tries_left, found.b.status) == (record.TRIAL, 1, record.EMPTY)
    assert firmware.names() == {"SlotState", "Boot0001", "BootOrder"}
    assert firmware.get("SlotState", OURS) == b"\7\0\0\0" + state[:320]
    entry = firmware.get("Boot0001")
    assert "\\EFI\\slotboot\\a\\uki.efi\0".encode("utf-16le") in entry and entry[4] & 1
    # As the loader would have filled it in.
    assert entry.endswith("quiet slotboot.slot=a\0".encode("utf-16le"))


def test_without_the_loader_a_loader_that_the_bundle_brings_is_left_out(parts, provision, direct):
    bundle = parts.make("brings.zip", f"--image=rootfs={parts.work / 'rootfs.img'}", f"--loader={BUILD / 'efi/slotbootx64.efi'}")
    good(provision("--size=100M", direct, bundle=bundle, loader=False))
    assert not Esp(provision.image, MIB).exists("EFI/BOOT")


@pytest.mark.parametrize("status,words,options", [
    (CONFIG, "--tries=5: without the loader (activation = direct) a trial has one try", ["--tries=5"]),
    (USAGE, "the configuration does without the loader", ["--loader=any"])])
def test_what_goes_with_the_loader_alone_is_refused_without_it(provision, direct, status, words, options):
    refused(provision, status, words, "--size=100M", direct, *options, loader=False)
    assert not provision.image.exists()
    good(provision("--size=100M", direct, "--tries=1", loader=False))


# --- refusals ---

@pytest.mark.parametrize("status,words,options", [
    (USAGE, "provision: --slot-size=12x: must be a size", ["--size=100M", "--slot-size=12x"]),
    (USAGE, "--size=0: must be a size", ["--size=0"]),
    (USAGE, "--size=99999999T: must be a size", ["--size=99999999T"]),
    (USAGE, "--sector-size=520: must be 512 or 4096", ["--size=100M", "--sector-size=520"]),
    (USAGE, "--tries=256: must be", ["--size=100M", "--tries=256"]),
    (USAGE, "--data=rest needs --slot-size", ["--size=100M", "--data=rest"]),
    (USAGE, "the smallest is 17M", ["--size=100M", "--esp-size=10M", "--sector-size=4096"]),
    (USAGE, "unknown option --frob", ["--frob"]),
    (USAGE, "--seed needs a value", ["--seed"]),
    (USAGE, "one disk or image file", ["another"]),
    (NOINPUT, "disk.img does not exist; with --size it is made", []),
    (NOINPUT, "failed to read the loader", ["--size=100M", "--loader=nowhere"]),
    (DATAERR, "MiB are needed", ["--size=20M"]),
    (DATAERR, "has no room for the image", ["--size=100M", "--slot-size=2M"]),
    (DATAERR, "the bundle is for acme, this machine is other", ["--size=100M", "--compatible=other"]),
    (CONFIG, "keyring", ["--size=100M", "--keyring=nowhere"]),
])
def test_a_refusal_names_its_cause_and_makes_no_file(provision, status, words, options):
    refused(provision, status, words.removeprefix("provision: "), *options)
    assert not provision.image.exists()


def test_a_bundle_that_a_stranger_signed_is_refused(parts, provision):
    refused(provision, DATAERR, "", "--size=100M", f"--keyring={parts.strangers}")
    assert not provision.image.exists()


def test_a_loader_that_is_no_efi_program_is_refused(parts, provision):
    refused(provision, DATAERR, "is no EFI program for this architecture", "--size=100M", f"--loader={parts.work / 'text'}")


def test_a_damaged_bundle_is_refused_before_the_disk_is_touched(parts, provision):
    damaged = bytearray(parts.bundle.read_bytes())
    at = damaged.index(b"\x28\xb5\x2f\xfd", damaged.index(b"rootfs.img.zst")) + 200000
    damaged[at] ^= 1
    (parts.work / "damaged.zip").write_bytes(damaged)
    refused(provision, DATAERR, "", "--size=100M", bundle=parts.work / "damaged.zip")
    assert not provision.image.exists()


def test_two_esps_in_the_configuration_are_told_of_and_one_is_made(parts, provision, tmp_path):
    config = tmp_path / "two.conf"
    config.write_text(f"[slotboot]\nkeyring = {parts.keyring}\nesp = /efi1 /efi2\n"
                      "[image rootfs]\na = /dev/md/slot-a\nb = /dev/md/slot-b\n")
    out = good(provision("--size=100M", "--dry-run", f"--config={config}"))
    assert "names two ESPs: disk.img gets one of them" in out and out.count(": esp ") == 1
    assert "two ESPs" not in good(provision("--size=100M", "--dry-run"))


def test_a_device_that_is_not_there_does_not_become_a_file(provision):
    refused(provision, NOINPUT, "/dev/no-such-disk does not exist", "--size=100M", disk="/dev/no-such-disk")


def test_neither_a_directory_nor_a_terminal_is_a_disk(provision, tmp_path):
    for name in (tmp_path, "/dev/null"):
        refused(provision, USAGE, "is neither a block device nor a regular file", disk=name)


def test_shim_stands_in_front_of_the_loader_where_the_configuration_names_it(provision, parts, tmp_path):
    blank(provision.image)
    config, shim = tmp_path / "shim.conf", tmp_path / "shim.efi"
    config.write_text((parts.work / "slotboot.conf").read_text() + "shim = shimx64.efi\n")
    shim.write_bytes(parts.uki.read_bytes() + b"shim")
    (tmp_path / "vars").mkdir()
    out = good(provision(f"--config={config}", f"--shim={shim}", "--boot-entries",
                         environment={"EFIVARFS_PATH": f"{tmp_path}/vars/"}))
    assert f"shim: {shim}, by which the firmware starts the loader" in out
    esp = Esp(provision.image, MIB)
    assert esp.read("EFI/slotboot/shimx64.efi") == esp.read("EFI/BOOT/BOOTX64.EFI") == shim.read_bytes()
    assert esp.read("EFI/slotboot/slotbootx64.efi") == esp.read("EFI/BOOT/grubx64.efi") == parts.uki.read_bytes()
    entry, = (path.read_bytes() for path in (tmp_path / "vars").glob("Boot0*"))
    assert "\\EFI\\slotboot\\shimx64.efi\0".encode("utf-16le") in entry
    assert entry.endswith("\\EFI\\slotboot\\slotbootx64.efi\0".encode("utf-16le"))


def test_a_shim_that_is_none_or_that_nobody_has_named_is_refused(provision, parts, tmp_path):
    blank(provision.image)
    config = tmp_path / "shim.conf"
    config.write_text((parts.work / "slotboot.conf").read_text() + "shim = shimx64.efi\n")
    status, _, errors = provision(f"--shim={parts.uki}")
    assert status == USAGE and "shim = shimx64.efi" in errors
    status, _, errors = provision(f"--config={config}", f"--shim={parts.work / 'text'}")
    assert status == DATAERR and "is no EFI program" in errors
    status, _, errors = provision(f"--config={config}", f"--shim={tmp_path / 'none'}")
    assert status == NOINPUT and "failed to read the shim " in errors
