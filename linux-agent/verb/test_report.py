# SPDX-License-Identifier: MIT
"""slotctl report: an archive for a bug tracker, without secrets, and with what there is."""
import json
import os
import zipfile

import pytest
from drymachine import GLOBAL, OURS, USAGE, IOERR, refuse

SECRETS = ["hunter2", "abcdef", "sig=1", "t0ken"]


@pytest.fixture
def talkative(machine):
    """A machine whose configuration, kernel and journal have more to say than a bug tracker should know."""
    machine.configure("proxy = http://me:hunter2@proxy:8080")
    sysroot = machine.top / "sysroot"
    (sysroot / "dev").mkdir()
    (sysroot / "dev/kmsg").write_text("6,1,2,-;efi: EFI v2.70 by EDK II\n6,2,3,-;usb 1-1: new device\n"
                                      "4,3,4,-;iTCO_wdt: initialized, url http://x/?sig=1\n")
    (sysroot / "usr/bin").mkdir(parents=True)
    journalctl = sysroot / "usr/bin/journalctl"
    journalctl.write_text("#!/bin/sh\necho \"$@\"\necho 'reading https://me:hunter2@host/b.zip?sig=1'\n"
                          "echo 'Authorization: Bearer abcdef'\necho 'token=t0ken'\necho 'confirmed slot a'\n")
    journalctl.chmod(0o755)
    return machine


def contents(path):
    with zipfile.ZipFile(path) as archive:
        assert all(m.external_attr >> 16 == 0o100600 and not m.filename.startswith(("/", ".."))
                   for m in archive.infolist())
        return {m.filename: archive.read(m) for m in archive.infolist()}


def test_the_archive_has_what_is_needed_and_no_secret(talkative):
    path = talkative.top / "report.zip"
    before = talkative.bytes()
    assert "look it through" in talkative.check("report", path)
    assert talkative.bytes() == before and path.stat().st_mode & 0o777 == 0o600
    found = contents(path)
    assert json.loads(found["status.json"])["running"] == "a"
    assert {f["id"] for f in json.loads(found["doctor.json"])} >= {"loader-damaged"}
    assert found[f"variables/SlotState-{OURS}"] == talkative.variable("SlotState", OURS)
    assert found[f"variables/BootOrder-{GLOBAL}"] == talkative.variable("BootOrder", GLOBAL)
    assert found["esp/state.bin"] == (talkative.top / "esp/EFI/slotboot/state.bin").read_bytes()
    assert b"/EFI/slotboot/a/uki.efi" in found["esp.txt"]
    assert b"EDK II" in found["kernel.txt"] and b"iTCO_wdt" in found["kernel.txt"] and b"usb" not in found["kernel.txt"]
    assert b"confirmed slot a" in found["journal.txt"] and b"--unit=slotboot-*" in found["journal.txt"]
    assert b"compatible = acme" in found["slotboot.conf"]
    everything = b"\n".join(found.values()).decode(errors="replace")
    assert [secret for secret in SECRETS if secret in everything] == []
    assert "left out" not in found["README"].decode()


def test_what_cannot_be_had_is_left_out_and_said(machine, tmp_path):
    """No kernel log, no journal, no variables; and a configuration that nobody can read as one."""
    os.rename(machine.top / "vars", machine.top / "gone")
    out = machine.check("report", machine.top / "one.zip")
    assert all(f"left out: {part}" in out for part in ("status.json", "variables", "kernel.txt", "journal.txt"))
    readme = contents(machine.top / "one.zip")["README"].decode()
    assert "left out: kernel.txt: No such file" in readme and "no EFI variables" in readme
    (machine.top / "slotboot.conf").write_text("[slotboot]\nnonsense = 1\n")
    machine.check("report", machine.top / "two.zip")
    assert b"nonsense" in contents(machine.top / "two.zip")["slotboot.conf"]


def test_a_file_that_is_there_is_not_written_over(machine):
    path = machine.top / "mine.zip"
    path.write_bytes(b"mine")
    refuse(machine, IOERR, ["File exists"], "report", path)
    assert path.read_bytes() == b"mine"


def test_another_name_leaves_nothing_behind(machine):
    refuse(machine, USAGE, ["must end with .zip"], "report", machine.top / "report.tar")
    assert not (machine.top / "report.tar").exists()
