# SPDX-License-Identifier: MIT
"""slotctl confirm against files: real programs as checks, and a systemctl in the dry run's sysroot."""
import json
import struct

import pytest

from drymachine import CONFIG, GLOBAL, TEMPFAIL, UNAVAILABLE
from test_leaving import OSERR, asked, put_reboot

QUICK = "health-settle = 0\nhealth-deadline = 3600\n"
STRICT = "health-settle = 3600\nhealth-deadline = 3600\n"     # the first check that fails leaves too little time
TO_THE_OTHER = "systemctl --no-block --check-inhibitors=no reboot kexec=1 soft=1\n"


def put_check(machine, name, text, place="usr/lib"):
    path = machine.top / "sysroot" / place / "slotboot/health.d" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def put_systemctl(machine, units="", last=""):
    """systemd runs; `units` is a shell script that answers what is asked of units, with $* the question."""
    put_reboot(machine, last)
    program = machine.top / "sysroot/usr/bin/systemctl"
    reboot = program.read_text().removeprefix("#!/bin/sh\n")
    program.write_text(f'#!/bin/sh\ncase "$*" in list-units*|is-active*) {units or ":"}; exit;; esac\n{reboot}')


@pytest.fixture
def trial(machine, create):
    """Slot b runs on trial; a is good."""
    machine.configure(STRICT)
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    put_systemctl(machine)
    return machine


def slot(machine, name):
    return machine.status()["slots"][name]


def test_a_trial_whose_checks_hold_is_confirmed(trial):
    trial.configure(QUICK)
    put_check(trial, "10-one", f"echo one >> {trial.top}/ran")
    put_check(trial, "20-two", f"echo two >> {trial.top}/ran", "etc")
    out = trial.check("confirm")
    assert "all checks hold" in out and "slot b: good" in out
    assert slot(trial, "b")["status"] == "good" and slot(trial, "b")["health"] is None
    assert (trial.top / "ran").read_text() == "one\ntwo\n" and asked(trial) == ""


def test_a_trial_whose_check_fails_is_bad_and_the_other_slot_is_booted_at_once(trial):
    put_check(trial, "50-gateway", "echo trying; printf 'no route\\033[2J to host\\n\\n' >&2; exit 3")
    status, out, errors = trial.run("confirm")
    assert status == UNAVAILABLE and "not well: 50-gateway: status 3: no route?[2J to host" in out
    assert "slot b failed its health check (50-gateway: status 3: no route?[2J to host)" in errors
    assert "reboots into slot a" in errors and asked(trial) == TO_THE_OTHER
    told = trial.status()
    assert told["preferred"] == "a" and told["slots"]["a"]["health"] is None
    b = told["slots"]["b"]
    assert (b["status"], b["reason"]) == ("bad", "health")
    assert {**b["health"], "time": 0} == {"check": "50-gateway", "how": "status 3", "line": "no route?[2J to host", "time": 0}
    assert "slot b     bad: its health check failed (50-gateway: status 3: no route?[2J to host); version 2" \
        in trial.check("status")
    trial.boot_by("firmware", "a")
    assert slot(trial, "b")["health"]["check"] == "50-gateway"


def test_what_a_check_said_is_gone_with_the_next_install(trial, create):  # noqa: F811
    put_check(trial, "50-gateway", "exit 1")
    assert trial.run("confirm")[0] == UNAVAILABLE
    trial.boot_by("firmware", "a")
    trial.check("install", create("3"), "--activate=none")
    trial.check("mark-bad", "b")
    assert slot(trial, "b")["health"] is None and "gateway" not in trial.check("status")


@pytest.mark.parametrize("units, check", [
    ("echo 'nginx.service loaded failed failed A web server'", "unit nginx.service: failed"),
    ("[ $1 = is-active ] || exit 0; echo activating; exit 3", "unit app.service: status 3: activating"),
    ("echo 'Failed to connect to bus'; exit 1", "systemctl: status 1: Failed to connect to bus")])
def test_failed_units_and_named_ones_that_are_not_active_count(trial, units, check):
    trial.configure(STRICT + "health-units = app.service\n")
    put_systemctl(trial, units)
    status, _, errors = trial.run("confirm")
    assert status == UNAVAILABLE and f"slot b failed its health check ({check})" in errors


def test_units_that_the_configuration_ignores_and_our_own_do_not_count(trial):
    trial.configure(QUICK + "health-ignore = other.service nginx.service\n")
    put_systemctl(trial, "echo 'nginx.service loaded failed failed x'; echo 'slotboot-confirm.service loaded failed failed x'")
    assert "slot b: good" in trial.check("confirm")


def test_a_check_that_hangs_is_ended(trial):
    trial.configure(STRICT + "health-timeout = 1\n")
    put_check(trial, "60-hangs", "sleep 1000 & wait")
    status, _, errors = trial.run("confirm")
    assert status == UNAVAILABLE and "60-hangs: no end within 1 s" in errors


@pytest.mark.parametrize("other", ["bad", "empty", "writing"])
def test_with_no_other_slot_the_machine_stays_up_and_says_so(trial, other):
    if other == "bad":
        trial.check("mark-bad", "a")
    else:
        trial.change_record((64, "B", {"empty": 0, "writing": 1}[other]))
    put_check(trial, "50-gateway", "echo down; exit 1")
    status, _, errors = trial.run("confirm")
    assert status == CONFIG and asked(trial) == ""
    assert "50-gateway: status 1: down" in errors and f"no slot to go to: slot a is {other}" in errors
    assert slot(trial, "b")["status"] == "trial"


def test_a_slot_that_is_not_on_trial_is_left_alone(machine):
    machine.configure(STRICT)
    put_systemctl(machine)
    put_check(machine, "50-gateway", "exit 1")
    before = machine.bytes()
    status, _, errors = machine.run("confirm")
    assert status == UNAVAILABLE and "slot a is not well (50-gateway: status 1), and not on trial (good)" in errors
    assert machine.bytes() == before and asked(machine) == ""


def test_after_a_kexec_the_firmware_boots_the_other_slot_and_no_kexec_has_failed(trial):
    trial.boot_by("firmware", "a")
    trial.check("mark-active", "a")
    trial.change_record((144, "B", 3), (145, "B", 0))   # b: kexec-trial
    trial.boot_by("kexec", "b")
    put_check(trial, "50-gateway", "exit 1")
    assert trial.run("confirm")[0] == UNAVAILABLE and asked(trial) == TO_THE_OTHER
    told = trial.status()
    assert (told["slots"]["b"]["reason"], told["preferred"], told["kexec_failures"]) == ("health", "a", 0)


@pytest.mark.parametrize("how", ["kexec", "firmware"])
def test_boot_entries_that_cannot_be_written_keep_no_machine_in_a_slot_that_failed(trial, how):
    """What the record says is what the loader goes by."""
    trial.boot_by("firmware", "a")
    trial.check("mark-active", "a")
    if how == "kexec":
        trial.change_record((144, "B", 3), (145, "B", 0))   # b: kexec-trial
    trial.boot_by(how, "b")
    # Attributes that nobody may change.
    (trial.top / f"vars/BootOrder-{GLOBAL}").write_bytes(struct.pack("<I3H", 3, 0, 1, 2))
    put_check(trial, "50-gateway", "exit 1")
    status, out, errors = trial.run("confirm")
    assert (status, asked(trial)) == (UNAVAILABLE, TO_THE_OTHER), errors
    assert "warning: the slot record is stored, but the boot entries could not be brought in line" in out and "BootOrder" in out
    assert slot(trial, "b")["reason"] == "health" and trial.status()["preferred"] == "a"


def test_a_slot_that_was_confirmed_since_its_kexec_is_left_alone(trial):
    trial.boot_by("firmware", "a")
    trial.change_record((144, "B", 3), (145, "B", 0))
    trial.boot_by("kexec", "b")
    trial.configure(QUICK)
    trial.check("confirm")
    trial.configure(STRICT)
    put_check(trial, "50-gateway", "exit 1")
    assert trial.run("confirm")[0] == UNAVAILABLE and asked(trial) == ""
    assert slot(trial, "b")["status"] == "trial" and slot(trial, "b")["confirmed"]


def test_a_reboot_that_systemd_refuses_is_done_without_it(trial):
    """Nobody would ask for it again: the slot is bad already."""
    put_systemctl(trial, last='case "$1" in --force) ;; *) echo busy >&2; exit 1;; esac')
    put_check(trial, "50-gateway", "exit 1")
    status, _, errors = trial.run("confirm")
    assert status == UNAVAILABLE and "the machine reboots into slot a" in errors, errors
    assert asked(trial) == TO_THE_OTHER + "systemctl --force --force reboot kexec=1 soft=1\n"


def test_a_refused_reboot_is_told(trial):
    put_systemctl(trial, last="echo busy >&2; exit 1")
    put_check(trial, "50-gateway", "exit 1")
    status, _, errors = trial.run("confirm")
    assert status == OSERR and "slot b is marked bad (50-gateway: status 1) and slot a will be booted next" in errors
    assert "the reboot was refused" in errors and slot(trial, "b")["reason"] == "health"


def test_give_up_ends_a_trial_that_was_not_confirmed_in_time_and_nothing_else(trial):
    put_check(trial, "10-one", f"touch {trial.top}/ran")
    status, _, errors = trial.run("confirm", "--give-up")
    assert status == UNAVAILABLE and "boot-complete.target: not confirmed in time" in errors
    assert asked(trial) == TO_THE_OTHER and slot(trial, "b")["reason"] == "health"
    assert not (trial.top / "ran").exists()
    trial.boot_by("firmware", "a")
    before = trial.bytes()
    assert "nothing to give up" in trial.check("confirm", "--give-up")
    assert trial.bytes() == before and asked(trial) == ""


def test_give_up_names_the_unit_that_has_failed(trial):
    put_systemctl(trial, "echo 'gateway-check.service loaded failed failed x'")
    assert "unit gateway-check.service: failed" in trial.run("confirm", "--give-up")[2]


def test_only_one_at_a_time(trial):
    put_check(trial, "10-again", f"[ -e {trial.top}/twice ] && exit\n: > {trial.top}/twice\n"
              f"while [ ! -e {trial.top}/go ]; do sleep 0.01; done")
    trial.configure(QUICK)
    first = trial.start("confirm")
    while not (trial.top / "twice").exists():
        assert first.poll() is None
    status, _, errors = trial.run("confirm", "--give-up")
    (trial.top / "go").touch()
    out, said = first.communicate()
    assert status == TEMPFAIL and (first.returncode, "good" in out) == (0, True), (errors, said)


def test_a_note_that_is_damaged_or_huge_is_none(trial):
    put_check(trial, "50-gateway", "exit 1")
    assert trial.run("confirm")[0] == UNAVAILABLE
    note = trial.top / "esp/EFI/slotboot/health.json"
    kept = json.loads(note.read_text())
    for text in ("", "{", "[]", '{"b": 1}', '{"b": {"check": 5}}', "x" * 9000):
        note.write_text(text)
        assert slot(trial, "b")["health"] is None
    kept["b"]["check"], kept["b"]["line"] = "x" * 1000, "\x1b[2J\u202e"
    note.write_text(json.dumps(kept))
    health = slot(trial, "b")["health"]
    assert health["check"] == "x" * 255 and health["line"] == "?[2J?"
