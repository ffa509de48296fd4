# SPDX-License-Identifier: MIT
"""docs/GUIDE.md does what it says: its commands are taken from the text and run, as an ordinary user, on files.

What they print must be what is printed there, but for sizes, hashes and dates, which are another pair's."""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import images
import pytest
from drymachine import BUILD, SLOTCTL, TOP

GUIDE = (TOP / "docs/GUIDE.md").read_text()
ORDINARY = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
VARIES = ((r"SHA-256 [0-9a-f]{16}", "SHA-256 X"), (r"\b[0-9a-f]{64}\b", "HASH"), (r"\b[0-9]+ (bytes|blocks|ms)", r"N \1"),
          (r"what binds is [a-z]+", "what binds is X"), (r"(fetch|read|decode|hash|write|sync|check) [0-9]+", r"\1 N"),
          (r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC", "DATE"))


def section(title):
    """The text below that heading, down to the next one of its rank."""
    return re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", GUIDE, re.M | re.S)[2]


def fenced(text):
    return re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)


def session(block):
    """A block with prompts as [command, what it prints]; a here-document belongs to its command."""
    steps, end = [], None
    for line in block.splitlines():
        if end:
            steps[-1][0] += "\n" + line
            end = None if line == end else end
        elif line.startswith("$ "):
            steps.append([line[2:], ""])
            here = re.search(r"<<'(\w+)'", line)
            end = here and here[1]
        elif line.startswith("> "):
            steps[-1][0] += "\n" + line[2:]
        else:
            steps[-1][1] += line + "\n"
    return steps


def plain(text):
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text


def indented(title, word):
    """The indented blocks below that heading that have this word, as one text without the indent."""
    blocks = re.findall(r"(?:^    .*\n)+", section(title), re.M)
    return re.sub(r"^    ", "", "".join(block for block in blocks if word in block), flags=re.M)


@pytest.fixture
def tree():
    """As the source tree after make, in a directory that is an ordinary user's: pytest's own is closed to others."""
    top = Path(tempfile.mkdtemp(prefix="slotboot-guide-"))
    try:
        (top / "build/efi").mkdir(parents=True)
        shutil.copy(SLOTCTL, top / "build/slotctl")
        shutil.copy(BUILD / "efi/slotbootx64.efi", top / "build/efi")
        yield top
    finally:
        shutil.rmtree(top)


def give_away(top):
    if not os.geteuid():
        for path in (top, *top.rglob("*")):
            os.chown(path, 65534, 65534)


def outputs(top, commands, **variables):
    """What each command prints, both streams, all of them in one shell."""
    give_away(top)
    script = "exec 2>&1\n" + "".join(f"{command}\necho \"[status $?]\"\n" for command in commands)
    done = subprocess.run([*ORDINARY, "bash", "-c", script], cwd=top, capture_output=True, text=True, check=True,
                          timeout=1800, env={**os.environ, "LC_ALL": "C", "HOME": str(top), **variables})
    said = re.split(r"\[status (\d+)\]\n", done.stdout)
    return list(zip(said[::2], map(int, said[1::2])))


def pair_of_the_demo(top, _):
    """What make demo leaves in build/ovmf-test/images, as the guide says: its command line has roothash=."""
    made = images.build("y", top / "build/ovmf-test/images", BUILD / "slotctl")
    assert f"`{made.uki.name}` and `{made.rootfs.name}`" in section("Dry run")
    return made.uki, made.rootfs


def pair_without_root_hash(top, parts):
    return shutil.copy(parts / "good.efi", top), shutil.copy(parts / "rootfs.img", top)


@pytest.mark.parametrize("pair", [pair_of_the_demo, pair_without_root_hash])
def test_the_dry_run_goes_as_it_is_printed(tree, parts, pair):
    uki, rootfs = pair(tree, parts)
    has_root_hash = pair is pair_of_the_demo
    (block,) = fenced(section("Dry run"))
    steps = session(block)
    got = outputs(tree, [command for command, _ in steps], UKI=str(uki), ROOTFS=str(rootfs))
    for (command, printed), (said, status) in zip(steps, got, strict=True):
        if not has_root_hash:
            printed = re.sub(r"( +roothash|image ) .*\n", "", printed)
            # Each has its own command line, one for each slot.
            printed, said = (re.sub(r"slot [ab]: .*slotboot.slot=.*\n", "", text) for text in (printed, said))
        assert plain(said) == plain(printed), command
        assert (status != 0) == printed.startswith("slotctl: ") or not command.startswith("slotctl "), command


def test_doctor_finds_on_the_broken_machines_what_is_printed(tree, parts):
    shutil.copy(parts / "good.efi", tree)
    (block,), (broken, *_) = fenced(section("Dry run")), fenced(section("slotctl doctor"))
    setup, steps = [], session(broken)
    for command, _ in session(block):
        setup.append(command)
        if command.startswith("slotctl mark-good"):
            break
    got = outputs(tree, setup + [command for command, _ in steps], UKI=str(tree / "good.efi"))[len(setup):]
    assert len(steps) > 12
    for (command, printed), (said, status) in zip(steps, got, strict=True):
        assert said.replace(str(tree), "/home/me/slotboot") == printed, command
        assert status == (1 if "faults found" in printed else 0), command


def test_the_disk_can_be_made_as_printed_and_the_command_line_finds_its_slots(tree, parts):
    commands = indented("3. The disk", "sfdisk").replace("/dev/vda", "disk.img")
    (said, status), = outputs(tree, [f"PATH=$PATH:/usr/sbin; truncate -s 12G disk.img; set -e\n{commands}"])
    assert status == 0, said
    # What sfdisk --dump says of each partition: label to UUID.
    (dump, _), = outputs(tree, ["/usr/sbin/sfdisk --dump disk.img"])
    uuids = {label: uuid.lower() for uuid, label in re.findall(r"uuid=([0-9A-F-]+), name=\"([^\"]+)\"", dump)}
    assert list(uuids) == ["esp", "slotboot-a", "slotboot-b", "var"]
    line = indented("4. The UKI's command line", "panic=10 slotboot.slot={slot}\n").splitlines()[0]
    for slot in "ab":
        assert line.replace("{slot}", slot).startswith(f"root=PARTUUID={uuids[f'slotboot-{slot}']} ")
    assert f"PARTUUID={uuids['esp']}  /efi" in section("5. slotboot.conf")
    assert f"PARTUUID={uuids['var']}  /var" in section("What an update keeps")


def test_what_is_in_a_uki_is_shown_by_objcopy_as_printed(tree, parts):
    shutil.copy(parts / "good.efi", tree / "uki.efi")
    (said, status), = outputs(tree, [indented("4. The UKI's command line", "objcopy")])
    assert (said.rstrip("\0"), status) == ("quiet slotboot.slot={slot}", 0)
    dump = re.search(r"`(objcopy --dump-section [^`]*)`", GUIDE)[1]
    (said, status), = outputs(tree, [dump])
    assert (said, status, (tree / "linux").read_bytes()) == ("", 0, (parts / "linux").read_bytes())


def test_the_manifest_can_be_signed_elsewhere_by_one_and_by_two_as_printed(tree, parts):
    shutil.copy(parts / "good.efi", tree / "uki.efi")
    shutil.copy(parts / "rootfs.img", tree)
    keys = indented("2. A signing key", "openssl req")
    second = keys.replace("signer.", "second.").replace("/CN=Example updates", "/CN=Second")
    create = indented("9. A bundle", "--image=rootfs=rootfs.img").split(" --key=")[0]
    elsewhere = indented("9. A bundle", "--manifest").replace("# there", "")
    lines = elsewhere.replace("slotctl bundle create ...", create.strip().replace("update-2", "update-3"))
    resign = indented("9. A bundle", "cms -resign")
    got = outputs(tree, ["slotctl() { build/slotctl \"$@\"; }", keys, second, lines,
                         "slotctl bundle verify --keyring=signer.pem update-3.zip",
                         lines.replace(" -noattr", "") + resign,
                         "slotctl bundle sign --signature=both.p7s update-3.zip",
                         "slotctl bundle verify --keyring=second.pem update-3.zip"])
    for said, status in got:
        assert status == 0, said
    assert "signed by O=Example, CN=Example updates" in got[4][0] and "signed by O=Example, CN=Second" in got[7][0]


def test_no_command_of_the_guide_has_a_device_as_its_output():
    assert re.findall(r"^ .*objcopy.*/dev/|`objcopy[^`]*/dev/", GUIDE, re.M) == []
