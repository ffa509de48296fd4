# SPDX-License-Identifier: MIT
"""docs/GUIDE.md does what it says: its commands are taken from the text and run, as an ordinary user, on files.

What they print must be what is printed there, but for sizes, hashes and dates, which are another pair's."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from test_dryrun import BUILD, TOP, parts  # noqa: F401

sys.path.insert(0, str(TOP / "ovmf-test"))
import images  # noqa: E402

GUIDE = (TOP / "docs/GUIDE.md").read_text()
ORDINARY = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
VARIES = ((r"\b[0-9a-f]{64}\b", "HASH"), (r"\b[0-9]+ (bytes|blocks|ms)", r"N \1"),
          (r"(fetch|read|decode|hash|write|sync|check) [0-9]+", r"\1 N"),
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


@pytest.fixture
def tree():
    """As the source tree after make, in a directory that is an ordinary user's: pytest's own is closed to others."""
    top = Path(tempfile.mkdtemp(prefix="slotboot-guide-"))
    try:
        (top / "build/efi").mkdir(parents=True)
        shutil.copy(BUILD / "san/slotctl", top / "build/slotctl")
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
                          timeout=300, env={**os.environ, "LC_ALL": "C", "HOME": str(top), **variables})
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
            printed = re.sub(r" +roothash .*\n", "", printed)
        assert plain(said) == plain(printed), command
        assert (status != 0) == printed.startswith("slotctl: ") or not command.startswith("slotctl "), command
