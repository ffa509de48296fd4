# SPDX-License-Identifier: MIT
"""What scripts, logins, the journal and the service manager are told: /run of the dry run's sysroot, and sockets
in the places of theirs."""
import json
import os
import re
import socket
import shutil
import subprocess
import threading

import pytest

from test_confirm import put_check, trial  # noqa: F401 (fixture)
from drymachine import SLOTCTL, TOP

IDS = dict(re.findall(r'#define EVENT_(\w+) "(\w{32})"', (TOP / "linux-agent/base/systemd.h").read_text()))


class Listener:
    """A datagram socket at a path, which may be longer than an address: bound by way of its directory."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        at = os.open(path.parent, os.O_RDONLY)
        self.socket.bind(f"/proc/self/fd/{at}/{path.name}")
        os.close(at)
        self.path, self.texts = path, []
        self.start()

    def start(self):
        """Reads all the while: a queue holds ten."""
        self.thread = threading.Thread(target=lambda: self.texts.extend(iter(self.receive, "end")), daemon=True)
        self.thread.start()

    def receive(self):
        return self.socket.recv(65536).decode()

    def heard(self):
        at = os.open(self.path.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"end", f"/proc/self/fd/{at}/{self.path.name}")
        os.close(at)
        self.thread.join()
        texts, self.texts = self.texts, []
        self.start()
        return texts


def journal(machine):
    return Listener(machine.top / "sysroot/run/systemd/journal/socket")


def events(listener):
    return [dict(line.split("=", 1) for line in text.splitlines()) for text in listener.heard()]


def run_of(machine, name):
    return machine.top / "sysroot/run" / name


def exported(machine):
    return json.loads(run_of(machine, "slotboot/status.json").read_text())


def links(machine):
    return {name: os.readlink(run_of(machine, "slotboot/slots") / name) for name in ("running", "other")}


def test_export_writes_what_status_prints_and_links_to_the_slots(machine):
    before = machine.bytes()
    assert machine.check("status", "--export") == ""
    assert exported(machine) == machine.status() and machine.bytes() == before
    assert links(machine) == {"running": f"{machine.top}/a.img", "other": f"{machine.top}/b.img"}
    machine.boot_by("firmware", "b")
    machine.check("status", "--export")
    assert links(machine) == {"running": f"{machine.top}/b.img", "other": f"{machine.top}/a.img"}
    assert sorted(p.name for p in run_of(machine, "slotboot").iterdir()) == ["slots", "status.json"]
    assert run_of(machine, "slotboot/status.json").stat().st_mode & 0o777 == 0o644


def test_where_the_running_slot_is_unknown_there_are_no_links(machine):
    machine.check("status", "--export")
    (machine.top / "sysroot/proc/cmdline").write_text("quiet\n")
    machine.check("status", "--export")
    assert exported(machine)["running"] is None and not list(run_of(machine, "slotboot/slots").iterdir())


@pytest.mark.parametrize("verb", ["install", "mark-good", "mark-bad", "mark-active", "rollback", "rehearse"])
def test_every_change_is_exported(machine, create, verb):
    machine.check("install", create(), "--activate=none")
    if verb == "rehearse":
        machine.boot_by("kexec", "b")
        machine.change_record((144, "B", 3), (145, "B", 0))
        machine.boot_by("kexec", "b")
        machine.check("mark-good")
    if verb == "rollback":
        machine.check("mark-active", "b")
        machine.boot_by("firmware", "b")
    (run_of(machine, "slotboot/status.json")).unlink()
    machine.check(verb, *{"install": [create("3"), "--activate=none"], "mark-bad": ["b"], "mark-active": ["b"],
                          "rollback": ["--activate=none"], "rehearse": ["--activate=none"]}.get(verb, []))
    assert exported(machine) == machine.status()


def test_a_login_sees_that_a_slot_was_left_until_it_is_installed_anew(trial, create):  # noqa: F811
    motd = run_of(trial, "motd.d/slotboot")
    put_check(trial, "50-gateway", "echo down; exit 1")
    trial.run("confirm")
    trial.boot_by("firmware", "a")
    trial.check("status", "--export")
    assert motd.read_text() == ("slotboot: slot b was left: its health check failed (50-gateway: status 1: down). "
                                "Slot a runs; see slotctl status.\n")
    trial.check("install", create("3"), "--activate=none")
    assert not motd.exists()
    trial.check("mark-bad", "b")
    assert not motd.exists()


def test_a_run_that_cannot_be_written_is_an_error_of_the_export_alone(machine):
    shutil.rmtree(run_of(machine, "slotboot"), ignore_errors=True)
    run_of(machine, "").mkdir(exist_ok=True)
    run_of(machine, "slotboot").write_text("a file")
    status, _, errors = machine.run("status", "--export")
    assert status == 74 and "failed to write" in errors and "Not a directory" in errors
    machine.check("mark-good")


def test_events_have_their_id_and_fields(trial, create):  # noqa: F811
    listener = journal(trial)
    put_check(trial, "50-gateway", "printf 'do\\033wn'; exit 1")
    trial.run("confirm")
    told, = events(listener)
    assert told == {"MESSAGE": "slot b, version 2 failed its health check: 50-gateway: status 1: do?wn",
                    "MESSAGE_ID": IDS["UNHEALTHY"], "PRIORITY": "3", "SYSLOG_IDENTIFIER": "slotctl", "SLOT": "b",
                    "VERSION": "2", "REASON": "health"}
    trial.boot_by("firmware", "a")
    trial.check("status", "--export")
    trial.check("status", "--export")
    told, = events(listener)
    assert (told["MESSAGE_ID"], told["SLOT"], told["REASON"], told["PRIORITY"]) == (IDS["FELL_BACK"], "b", "health", "4")
    trial.check("install", create("3"), "--activate=none")
    told, = events(listener)
    assert (told["MESSAGE_ID"], told["SLOT"], told["VERSION"]) == (IDS["INSTALLED"], "b", "3") and "REASON" not in told
    trial.check("mark-active", "b")
    trial.boot_by("firmware", "b")
    assert events(listener) == []
    trial.check("mark-good")
    trial.check("mark-good")
    told, = events(listener)
    assert (told["MESSAGE_ID"], told["SLOT"], told["VERSION"]) == (IDS["CONFIRMED"], "b", "3")


def test_slotctl_8_has_the_ids(machine):
    text = (TOP / "docs/slotctl.8").read_text()
    assert len(IDS) == 4 and [name for name, value in IDS.items() if value not in text] == []


def test_the_service_manager_is_told_how_an_install_gets_on(machine, create):
    listener = Listener(machine.top / "notify")
    done = subprocess.run([SLOTCTL, "install", create(), "--activate=none", f"--config={machine.top}/slotboot.conf"],
                          cwd=machine.top, capture_output=True, text=True,
                          env={**os.environ, "EFIVARFS_PATH": f"{machine.top}/vars/", "NOTIFY_SOCKET": "notify"})
    assert done.returncode == 0, done.stderr
    told = listener.heard()
    assert told[0].startswith("STATUS=reading /") and told[-1] == "STATUS=installed version 2 in slot b"
    assert any(re.fullmatch(r"STATUS=write: \d+\.\d of \d+\.\d MB", text) for text in told)
    assert "MB" not in done.stdout
