# SPDX-License-Identifier: MIT
"""docs/units: the units that confirm a slot or give it up, taken by systemd as they are.

A systemd of its own (systemd --user, in a private mount namespace) runs them; slotctl works on files, the reboot
is written down instead of done."""
import re
import shlex
import shutil
import subprocess

import pytest
from test_confirm import STRICT, TO_THE_OTHER, put_check, put_systemctl
from drymachine import OURS, OWN_MOUNTS, SLOTCTL, TOP
from test_leaving import asked

UNITS = TOP / "docs/units"
NAMES = sorted(path.name for path in UNITS.iterdir())
GUIDE = (TOP / "docs/GUIDE.md").read_text()
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
# A user's systemd cannot do these; what they cost slotctl a real system shows.
SANDBOX = re.compile(r"^(?:Protect|Private|Restrict|Read|Capability|NoNew|Lock|Memory|SystemCall|IPAddress|UMask)\w*=.*\n", re.M)


def units_in(directory, variables=None, **programs):
    """Copies whose programs are others, and whose variables are there; then also without a sandbox."""
    directory.mkdir(parents=True)
    for name in NAMES:
        text = (UNITS / name).read_text()
        for path, instead in programs.items():
            text = re.sub(rf"/usr/(local/)?s?bin/{path}\b", str(instead), text)
        if variables:
            text = SANDBOX.sub("", text.replace("/sys/firmware/efi/efivars/", f"{variables}/"))
        (directory / name).write_text(text)
    return directory


@needs_systemd
def test_systemd_has_nothing_to_say_about_the_units(tmp_path):
    directory = units_in(tmp_path / "units", slotctl="/bin/true", **{"gateway-check": "/bin/true"})
    (directory / "gateway.service").write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *(directory / name for name in NAMES)],
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# systemd-analyze's measure, of 10: what is not below this is open on purpose.
EXPOSURE = {"slotboot-giveup.service": 4.0, "slotboot-status.service": 4.0}


@needs_systemd
@pytest.mark.parametrize("name", EXPOSURE)
def test_what_slotctl_does_not_need_is_shut(name, tmp_path):
    directory = units_in(tmp_path / "units", slotctl="/bin/true")
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={int(EXPOSURE[name] * 10)}",
                           "--no-pager", directory / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("slotboot-")])
def test_where_slotboot_never_ran_a_unit_does_nothing(name):
    conditions = re.findall(r"^ConditionPathExists=\|/sys/firmware/efi/efivars/(\w+)-(.*)$", (UNITS / name).read_text(), re.M)
    assert conditions == [("SlotState", OURS), ("SlotTrace", OURS)]


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
    """One boot of a machine whose unit before boot-complete.target is this program, by a systemd of its own, until
    all is settled."""

    def __init__(self, machine, check):
        self.top, self.machine = machine.top, machine
        put_systemctl(machine)
        shutil.rmtree(self.top / "systemd", ignore_errors=True)
        wrapper = self.top / "slotctl-stub"
        wrapper.write_text(f"#!/bin/sh\nexec {SLOTCTL} \"$@\" --config={self.top}/slotboot.conf\n")
        wrapper.chmod(0o755)
        units = units_in(self.top / "systemd/user", self.top / "vars", slotctl=wrapper, **{"gateway-check": check})
        for name in ("boot-complete.target", "sysinit.target"):     # a user's systemd has neither
            shutil.copy(f"/usr/lib/systemd/system/{name}", units)
        (units / "gateway.service").write_text("[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
        (units / "boot-complete.target.requires").mkdir()
        (units / "boot-complete.target.requires/gateway-check.service").symlink_to("../gateway-check.service")
        (units / "default.target").write_text("[Unit]\nWants=slotboot-confirm.service end.service\n")
        (units / "end.service").write_text("[Unit]\nAfter=slotboot-confirm.service slotboot-giveup.service\n"
                                           "SuccessAction=exit-force\n[Service]\nType=oneshot\nExecStart=/bin/true\n")
        self.run()
        self.asked = asked(machine)

    def run(self):
        top = shlex.quote(str(self.top))
        script = (f"mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user && "
                  f"XDG_RUNTIME_DIR=/run/user XDG_CONFIG_HOME={top} HOME={top} EFIVARFS_PATH={top}/vars/ "
                  "exec /usr/lib/systemd/systemd --user --unit=default.target --log-target=console")
        done = subprocess.run([*OWN_MOUNTS, "sh", "-c", script], capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.skip(f"no systemd can be started here: {done.stderr}")


@pytest.fixture
def trial(machine, create):
    """Slot b runs on trial; a is good."""
    machine.configure("health-settle = 0\n")
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    assert machine.status()["slots"]["b"]["status"] == "trial"
    return machine


def status_of(machine, slot):
    return machine.status()["slots"][slot]["status"]


@needs_systemd
def test_a_trial_whose_checks_succeed_is_confirmed(trial):
    put_check(trial, "10-one", "true")
    boot = Boot(trial, "/bin/true")
    assert (status_of(trial, "b"), boot.asked) == ("good", "")


@needs_systemd
def test_a_trial_whose_check_fails_goes_to_the_other_slot(trial):
    trial.configure(STRICT)
    put_check(trial, "10-one", "echo down; exit 1")
    boot = Boot(trial, "/bin/true")
    assert (status_of(trial, "b"), boot.asked) == ("bad", TO_THE_OTHER)
    assert trial.status()["slots"]["b"]["health"]["line"] == "down"


@needs_systemd
def test_a_trial_that_never_comes_to_boot_complete_goes_to_the_other_slot(trial):
    boot = Boot(trial, "/bin/false")
    assert (status_of(trial, "b"), boot.asked) == ("bad", TO_THE_OTHER)
    assert trial.status()["slots"]["b"]["health"]["check"] == "boot-complete.target"


@needs_systemd
def test_a_good_slot_whose_check_fails_is_not_rebooted(machine):
    machine.configure(STRICT)
    put_check(machine, "10-one", "exit 1")
    for check in ("/bin/false", "/bin/true"):
        boot = Boot(machine, check)
        assert (status_of(machine, "a"), boot.asked) == ("good", "")


@needs_systemd
def test_a_bad_slot_whose_check_fails_is_not_rebooted(trial):
    trial.check("mark-bad", "b")
    assert not Boot(trial, "/bin/false").asked


@needs_systemd
def test_without_a_configuration_nothing_is_rebooted(trial):
    trial.configure("no such line")
    assert not Boot(trial, "/bin/false").asked


@needs_systemd
def test_without_a_record_and_a_trace_nothing_is_done(trial):
    (trial.top / f"vars/SlotState-{OURS}").unlink()
    before = trial.bytes()
    assert not Boot(trial, "/bin/true").asked and trial.bytes() == before
