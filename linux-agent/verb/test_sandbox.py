# SPDX-License-Identifier: MIT
"""The processes without rights that read from a server: what they are, and what becomes of an install without them."""
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from drymachine import CONFIG, TEMPFAIL, UNAVAILABLE
from test_engine import bundle, images, server  # noqa: F401 (fixtures)
from test_meanwhile import HANG, ended, start
from test_meanwhile import stalled  # noqa: F401 (fixture)

SOFTWARE = 70
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def children(process):
    """The gate first, then who fetches, then those who unpack."""
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in text.split()]


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}


@root
def test_who_reads_from_a_server_or_unpacks_has_no_rights_and_nothing_open(stalled):  # noqa: F811
    begin, resume = stalled
    process = begin()
    pids = children(process)
    assert len(pids) > 2
    for pid in pids:
        said = status_of(pid)
        assert said["CapEff"] == said["CapPrm"] == said["CapBnd"] == ["0000000000000000"]
        assert said["NoNewPrivs"] == ["1"] and said["Seccomp"] == ["2"] and "0" not in said["Uid"]
        # Not what is dumped into a core, or may be looked into by another process of that user.
        assert Path(f"/proc/{pid}/environ").stat().st_uid == 0
    for fd in (Path(f"/proc/{pid}/fd/{fd}") for pid in pids[1:] for fd in os.listdir(f"/proc/{pid}/fd")):
        where = os.readlink(fd)
        assert where == "/dev/null" or where.startswith(("socket:", "pipe:")) or fd.name == "2", where
    # Without Seccomp of its own: the parent is who writes.
    assert status_of(process.pid)["Seccomp"] == ["0"]
    resume()
    assert ended(process)[0] == 0


@pytest.mark.parametrize("which, expected, words", [
    (0, UNAVAILABLE, "the process that connects to servers is not there any more"),
    (1, SOFTWARE, "the process that reads from the server was killed by signal 9 (Killed)"),
])
def test_an_install_whose_reader_is_killed_ends_and_the_next_succeeds(machine, server, stalled, which,  # noqa: F811
                                                                      expected, words):
    begin, resume = stalled
    process = begin()
    os.kill(children(process)[which], signal.SIGKILL)
    resume()
    status, said = ended(process)
    assert status == expected and words in said, said
    slots = machine.status()["slots"]
    assert slots["a"]["status"] == "good" and slots["b"]["status"] == "writing"
    machine.check("install", server.url, "--activate=none")


def test_a_reader_that_is_killed_before_the_first_byte_leaves_every_byte(machine, stalled):  # noqa: F811
    begin, _ = stalled
    before = machine.bytes()
    process = begin(left=5000, status="empty")
    os.kill(children(process)[1], signal.SIGKILL)
    status, said = ended(process)
    assert status == SOFTWARE and "was killed by signal 9" in said, said
    assert machine.bytes() == before


def test_a_reader_that_hangs_keeps_nobody_from_cancelling(machine, stalled):  # noqa: F811
    begin, _ = stalled
    process = begin()
    os.kill(children(process)[1], signal.SIGSTOP)
    process.terminate()
    status, said = ended(process)
    assert status == TEMPFAIL and "cancelled by a signal" in said, said


def test_the_readers_end_with_slotctl_whatever_ends_it(stalled):  # noqa: F811
    begin, _ = stalled
    process = begin()
    readers = children(process)
    process.kill()
    end = time.monotonic() + HANG
    for pid in readers:
        while Path(f"/proc/{pid}").exists() and status_of(pid)["State"][0] != "Z":
            assert time.monotonic() < end


@root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv")
def test_a_sandbox_that_is_not_whole_is_said_or_the_end(machine, server, bundle, images):  # noqa: F811
    server.content = bundle(images[0], "2", "--no-delta").read_bytes()
    lack = "no other user: Operation not permitted"
    prefix = ("setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid")
    for mode, expected in (("require", CONFIG), ("auto", 0), ("no", 0)):
        machine.configure(f"sandbox = {mode}")
        before = machine.bytes()
        status, said = ended(start(machine, server.url, prefix))
        assert status == expected, said
        if mode == "require":
            assert f"failed to build the sandbox (sandbox = require): {lack}" in said
            assert machine.bytes() == before
        assert (f"what reads from the server has no full sandbox: {lack}" in said) == (mode == "auto")
