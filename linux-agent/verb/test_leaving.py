# SPDX-License-Identifier: MIT
"""slotctl against files: how it asks for a reboot, and what it says when that is refused; and what it inherits
from whoever started it. The reboot program is a script in the dry run's sysroot."""
import os
import signal
import subprocess

import pytest

from drymachine import BUILD, CONFIG, SLOTCTL, refuse

OSERR, NOINPUT = 71, 66


def put_reboot(machine, last="", systemd=True):
    """Notes its arguments and what newer versions of systemctl look at, then runs `last`."""
    root = machine.top / "sysroot"
    program = root / ("usr/bin/systemctl" if systemd else "usr/sbin/reboot")
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text('#!/bin/sh\necho "$(basename "$0") $*" '
                       '"kexec=$SYSTEMCTL_SKIP_AUTO_KEXEC soft=$SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT" '
                       f'>> {machine.top}/asked\n{last}\n')
    program.chmod(0o755)
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True, exist_ok=True)


def asked(machine):
    file = machine.top / "asked"
    text = file.read_text() if file.exists() else ""
    file.unlink(missing_ok=True)
    return text


@pytest.mark.parametrize("systemd", [True, False])
def test_every_verb_asks_for_a_reboot_through_the_firmware(machine, create, systemd):
    put_reboot(machine, systemd=systemd)
    want = "systemctl reboot kexec=1 soft=1\n" if systemd else "reboot  kexec= soft=\n"
    machine.check("install", create(), "--activate=reboot")
    assert asked(machine) == want
    machine.boot_by("kexec", "b")
    machine.check("mark-good")
    machine.check("rehearse", "--activate=reboot")
    assert asked(machine) == want
    machine.check("rollback", "--activate=reboot")
    assert asked(machine) == want


def test_a_refused_reboot_is_told_from_a_failed_install(machine, create):
    put_reboot(machine, "echo 'Operation inhibited by \"backup\"' >&2; exit 1")
    status, out, errors = machine.run("install", create(), "--activate=reboot")
    assert status == OSERR and "installed version 2 in slot b" in out
    assert "slot b is installed and will be tried at the next boot: the reboot was refused: " in errors
    assert 'Operation inhibited by "backup"' in errors
    told = machine.status()
    assert told["slots"]["b"]["status"] == "trial" and told["preferred"] == "b"
    machine.boot_by("firmware", "b")
    status, _, errors = machine.run("rollback", "--activate=reboot")
    assert status == OSERR and "slot a will be booted next: the reboot was refused: " in errors
    assert machine.status()["preferred"] == "a"


def test_a_reboot_by_hand_after_a_refused_one_is_not_measured_from_it(machine, create):
    boot_id = machine.top / "sysroot/proc/sys/kernel/random/boot_id"
    boot_id.parent.mkdir()
    boot_id.write_text("00000000-0000-0000-0000-000000000001\n")
    put_reboot(machine, "exit 1")
    assert machine.run("install", create(), "--activate=reboot")[0] == OSERR
    boot_id.write_text("00000000-0000-0000-0000-000000000002\n")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    assert machine.status()["timing_ms"] == {}


@pytest.mark.parametrize("closed", [{1}, {0, 1}, {1, 2}, {0, 1, 2}])
def test_what_is_printed_never_goes_into_a_file_that_slotctl_opened(machine, create, parts, closed):
    bundle = create()

    def close():
        for fd in closed:
            os.close(fd)

    done = subprocess.run([SLOTCTL, "install", bundle, "--activate=none", f"--config={machine.top}/slotboot.conf"],
                          env={**os.environ, "EFIVARFS_PATH": f"{machine.top}/vars/"}, preexec_fn=close)
    assert done.returncode == 0
    assert (machine.top / "run/lock").read_text().strip().isdigit()
    assert (machine.top / "b.img").read_bytes() == (parts / "rootfs.img").read_bytes()


def test_an_ignored_sigchld_makes_no_failure_of_a_reboot(machine, create):
    put_reboot(machine)
    done = subprocess.run([SLOTCTL, "install", create(), "--activate=reboot", f"--config={machine.top}/slotboot.conf"],
                          env={**os.environ, "EFIVARFS_PATH": f"{machine.top}/vars/"},
                          preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.returncode == 0 and asked(machine)


@pytest.mark.parametrize("content, words", [(b"[slotboot]\ncompatible = acme\n\0\0\0\0", ["NUL bytes"]), (None, ["Is a directory"])])
def test_a_configuration_that_cannot_be_read_is_no_empty_one(machine, create, tmp_path, content, words):
    bundle, config = create(), tmp_path / "damaged.conf"
    if content is None:
        config.mkdir()
    else:
        config.write_bytes(content)
    for argv in (["install", bundle, "--activate=none"], ["mark-good"], ["status"], ["bundle", "verify", bundle]):
        refuse(machine, CONFIG, ["damaged.conf", *words], *argv, config=config)


def in_journal(machine, *argv):
    """Standard output and error are the journal's, as far as JOURNAL_STREAM says so: its text."""
    log = machine.top / "journal"
    with log.open("w") as f:
        st = os.fstat(f.fileno())
        done = subprocess.run([SLOTCTL, *argv, f"--config={machine.top}/slotboot.conf"], stdout=f, stderr=f,
                              env={**os.environ, "EFIVARFS_PATH": f"{machine.top}/vars/",
                                   "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"})
    return done.returncode, log.read_text()


def test_errors_have_their_priority_in_the_journal_and_no_second_name(machine):
    status, text = in_journal(machine, "install", "/nowhere.zip", "--activate=none")
    assert status == NOINPUT and "\n<3>failed to open" in text
    assert "slotctl: " not in text
    assert machine.run("install", "/nowhere.zip", "--activate=none")[2].startswith("slotctl: failed to open")


def test_mark_good_says_that_it_undoes_a_mark_bad(machine, create):
    machine.check("mark-bad", "a")
    out = machine.check("mark-good")
    assert "warning: slot a had been marked bad" in out and "has undone that" in out
    assert "undone" not in machine.check("mark-good")


def test_mark_bad_of_the_last_slot_warns(machine, create):
    machine.check("install", create(), "--activate=none")
    assert "no slot is fit" not in machine.check("mark-bad", "b")
    assert "warning: no slot is fit to boot any more" in machine.check("mark-bad", "a")


def test_the_published_program_is_hardened():
    program = BUILD / "slotctl"
    if not program.exists():
        pytest.skip("build/slotctl is not there: make all")
    text = subprocess.run(["readelf", "-Wlhnd", program], check=True, capture_output=True, text=True).stdout
    symbols = subprocess.run(["readelf", "-W", "--dyn-syms", program], check=True, capture_output=True, text=True).stdout
    assert "DYN (Position-Independent" in text and "GNU_RELRO" in text and "BIND_NOW" in text
    assert "GNU_STACK" in text and "RWE" not in text
    if "X86-64" in text:     # of an object: the C library's own have no mark, so that the program has none
        notes = subprocess.run(["readelf", "-Wn", BUILD / "linux-agent/verb/main.o"], check=True, capture_output=True,
                               text=True).stdout
        assert "IBT, SHSTK" in notes
    assert "__stack_chk_fail" in symbols and "_chk@" in symbols
