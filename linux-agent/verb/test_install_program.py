# SPDX-License-Identifier: MIT
"""slotctl against files: the machine's own program, before and after an install."""
import os
import signal
import time

import pytest

from drymachine import CONFIG, TEMPFAIL, refuse

NONE = "--activate=none"


@pytest.fixture
def program(machine):
    """Makes it of a shell script."""
    def program(script, more=""):
        path = machine.top / "migrate"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        machine.configure(f"install-program = {path}\n{more}")
        return path
    return program


def test_it_is_told_what_is_installed_where_and_when(machine, create, program):
    notes = machine.top / "notes"
    program(f"echo $1 $SLOTBOOT_PHASE $SLOTBOOT_SLOT $SLOTBOOT_VERSION $SLOTBOOT_COMPATIBLE >>{notes}\n"
            f"ls {machine.top}/esp/EFI/slotboot/b/uki.efi >>{notes} 2>&1 || true\nprintf 'two\\033[1m words\\n'")
    out = machine.check("install", create(), NONE)
    lines = notes.read_text().splitlines()
    assert lines[0] == "before before b 2 acme" and lines[2] == "after after b 2 acme"
    assert "No such file" in lines[1] and lines[3].endswith("b/uki.efi")
    assert out.count("two?[1m words\n") == 2 and f"running {machine.top}/migrate before\n" in out
    assert machine.status()["slots"]["b"]["status"] == "trial" or machine.status()["slots"]["b"]["version"] == "2"


@pytest.mark.parametrize("script, limit, words", [
    ("echo no room; exit 3", 3600, "migrate before: status 3; nothing has been written"),
    ("kill -9 $$", 3600, "migrate before: signal 9; nothing has been written"),
    ("sleep 1000 & wait", 1, "migrate before: no end within 1 s; nothing has been written")])
def test_if_it_fails_before_nothing_is_written(machine, create, program, script, limit, words):
    program(script, f"install-program-timeout = {limit}\n")
    refuse(machine, CONFIG, [words], "install", create(), NONE)


def test_if_it_is_not_there_nothing_is_written(machine, create, program):
    program("true").unlink()
    refuse(machine, CONFIG, ["failed to run: No such file or directory"], "install", create(), NONE)


def test_if_it_fails_after_the_slot_is_not_used(machine, create, program):
    program('[ "$1" = before ]')
    status, _, errors = machine.run("install", create(), "--activate=reboot")
    assert status == CONFIG and "migrate after: status 1; the slot is written and not used: install again" in errors
    found = machine.status()
    assert found["slots"]["b"]["status"] == "writing" and found["preferred"] == "a"
    program("true")
    machine.check("install", create(), NONE)
    assert machine.status()["slots"]["b"]["version"] == "2"


@pytest.mark.parametrize("phase, left", [("before", "empty"), ("after", "writing")])
def test_a_signal_ends_it_and_the_install(machine, create, program, phase, left):
    marks = machine.top / "marks"
    program(f'[ "$1" = {phase} ] || exit 0\necho $$ >{marks}\nsleep 1000 & wait')
    process = machine.start("install", create(), NONE)
    deadline = time.monotonic() + 300
    while not marks.exists() or not marks.read_text().strip():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=1800)
    assert process.returncode == TEMPFAIL and "cancelled by a signal" in errors
    with pytest.raises(ProcessLookupError):
        os.kill(int(marks.read_text()), 0)
    assert machine.status()["slots"]["b"]["status"] == left


def test_a_path_must_be_full(machine, create):
    machine.configure("install-program = migrate\n")
    refuse(machine, CONFIG, ["install-program must be a full path"], "install", create(), NONE)
