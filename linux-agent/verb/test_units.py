# SPDX-License-Identifier: MIT
"""docs/units: the units that confirm a slot or give it up, taken by systemd as they are.

A systemd of its own (systemd --user, in a private mount namespace) runs them; slotctl works on files, the reboot
is written down instead of done."""
import os
import re
import shlex
import shutil
import subprocess

import pytest
from test_dryrun import SLOTCTL, TOP, create, identities, machine, parts  # noqa: F401

UNITS = TOP / "docs/units"
NAMES = sorted(path.name for path in UNITS.iterdir())
GUIDE = (TOP / "docs/GUIDE.md").read_text()
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")


def units_in(directory, **programs):
    """Copies whose programs are others."""
    directory.mkdir(parents=True)
    for name in NAMES:
        text = (UNITS / name).read_text()
        for path, instead in programs.items():
            text = re.sub(rf"/usr/(local/)?s?bin/{path}\b", str(instead), text)
        (directory / name).write_text(text)
    return directory


@needs_systemd
def test_systemd_has_nothing_to_say_about_the_units(tmp_path):
    directory = units_in(tmp_path / "units", slotctl="/bin/true", **{"gateway-check": "/bin/true"})
    (directory / "gateway.service").write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *(directory / name for name in NAMES)],
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_the_guide_names_each_unit_and_shows_those_lines_that_are_in_it(name):
    text = (UNITS / name).read_text()
    link = re.escape(f"[`units/{name}`](units/{name})")
    shown = re.search(rf"{link}(?s:.*?)\n\n((?:    .*\n|\n)+)", GUIDE)
    assert shown, "the guide does not name it"
    lines = [line.strip() for line in shown[1].splitlines() if line.strip()]
    assert lines and [line for line in lines if line not in text.splitlines()] == []


# --- what they do ---

class Boot:
    """One boot of a machine whose check is this program, by a systemd of its own, until all is settled."""

    def __init__(self, machine, check):
        self.top, self.machine = machine.top, machine
        wrapper = self.program("slotctl", f"exec {SLOTCTL} \"$@\" --config={self.top}/slotboot.conf")
        reboot = self.program("systemctl", f"echo \"$@\" >> {self.top}/reboots")
        shutil.rmtree(self.top / "systemd", ignore_errors=True)
        units = units_in(self.top / "systemd/user", slotctl=wrapper, systemctl=reboot, **{"gateway-check": check})
        for name in ("boot-complete.target", "sysinit.target"):     # a user's systemd has neither
            shutil.copy(f"/usr/lib/systemd/system/{name}", units)
        (units / "gateway.service").write_text("[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
        (units / "boot-complete.target.requires").mkdir()
        (units / "boot-complete.target.requires/gateway-check.service").symlink_to("../gateway-check.service")
        (units / "default.target").write_text("[Unit]\nWants=slotboot-confirm.service end.service\n")
        (units / "end.service").write_text("[Unit]\nAfter=slotboot-confirm.service slotboot-giveup.service\n"
                                           "SuccessAction=exit-force\n[Service]\nType=oneshot\nExecStart=/bin/true\n")
        self.run()

    def program(self, name, text):
        path = self.top / f"{name}-stub"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def run(self):
        top = shlex.quote(str(self.top))
        script = (f"mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user && "
                  f"XDG_RUNTIME_DIR=/run/user XDG_CONFIG_HOME={top} HOME={top} EFIVARFS_PATH={top}/vars/ "
                  "exec /usr/lib/systemd/systemd --user --unit=default.target --log-target=console")
        done = subprocess.run(["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c",
                               script], capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.skip(f"no systemd can be started here: {done.stderr}")

    @property
    def reboots(self):
        return (self.top / "reboots").exists()


@pytest.fixture
def trial(machine, create):
    """Slot b runs on trial; a is good."""
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    assert machine.status()["slots"]["b"]["status"] == "trial"
    return machine


def status_of(machine, slot):
    return machine.status()["slots"][slot]["status"]


@needs_systemd
@needs_jq
def test_a_trial_whose_check_succeeds_is_confirmed(trial):
    boot = Boot(trial, "/bin/true")
    assert (status_of(trial, "b"), boot.reboots) == ("good", False)


@needs_systemd
@needs_jq
def test_a_trial_whose_check_fails_is_rebooted(trial):
    boot = Boot(trial, "/bin/false")
    assert (status_of(trial, "b"), boot.reboots) == ("trial", True)


@needs_systemd
@needs_jq
def test_a_good_slot_whose_check_fails_is_not_rebooted(machine):
    boot = Boot(machine, "/bin/false")
    assert (status_of(machine, "a"), boot.reboots) == ("good", False)


@needs_systemd
@needs_jq
def test_a_bad_slot_whose_check_fails_is_not_rebooted(trial):
    trial.check("mark-bad", "b")
    assert not Boot(trial, "/bin/false").reboots


@needs_systemd
@needs_jq
def test_without_a_status_nothing_is_rebooted(trial):
    trial.configure("no such line")
    assert not Boot(trial, "/bin/false").reboots
