# SPDX-License-Identifier: MIT
"""A file of linux-agent/ includes from its own room and from those that its room sees; another include does not compile."""
import os
import shlex
import subprocess

import pytest
from drymachine import BUILD, TOP

MAKE = ["make", "-s", f"BUILD={os.path.relpath(BUILD, TOP)}"]


def table():
    """make rooms: what each room sees."""
    said = subprocess.run([*MAKE, "rooms"], cwd=TOP, check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in said.splitlines()]
    return {room: [] if sees == ["nothing"] else sees for room, _, *sees in lines}


ROOMS = table()


def files(room, suffix):
    return sorted(path for path in (TOP / "linux-agent" / room).glob(f"*{suffix}")
                  if not path.name.startswith(("test_", "fuzz_")))


def compiles(room, header):
    """As make compiles the first file of the room, with this include alone in it."""
    source = files(room, ".c")[0].relative_to(TOP)
    goal = f"{os.path.relpath(BUILD, TOP)}/{source.with_suffix('.o')}"
    said = subprocess.run([*MAKE, "-n", "-W", source, goal], cwd=TOP, check=True, capture_output=True, text=True).stdout
    words = shlex.split(next(line for line in said.splitlines() if line.endswith(f" {source}")))
    assert words[-4:] == ["-c", "-o", goal, str(source)]
    words = [word for word in words[:-4] if word not in ("-MMD", "-MP")]        # no file is made
    done = subprocess.run([*words, "-fsyntax-only", "-x", "c", "-"], cwd=TOP, input=f'#include "{header}"\n',
                          capture_output=True, text=True)
    assert done.returncode == 0 or f"{header}: No such file" in done.stderr, done.stderr
    return done.returncode == 0


def test_every_source_is_in_a_room():
    assert {path.parent.name for path in (TOP / "linux-agent").rglob("*.c")} == {*ROOMS, "proof"}
    assert not list((TOP / "linux-agent").glob("*.[ch]"))


@pytest.mark.parametrize("room", ROOMS)
def test_an_include_from_above_does_not_compile(room):
    above = [other for other in ROOMS if other != room and other not in ROOMS[room]]
    assert compiles(room, files(room, ".h")[0].name)
    for other in above[:1]:
        assert not compiles(room, files(other, ".h")[0].name)
