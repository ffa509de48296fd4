# SPDX-License-Identifier: MIT
"""slotctl against files: what works."""
import json
import struct
import subprocess
import zipfile

import pytest
from drymachine import (ATTRIBUTES, CONFIG, GLOBAL, LOADER, OF_THIS_BOOT, OURS, SLOTCTL, add_watchdog, load_option,
                        mount, refuse_install, start_by_loader)


def test_a_loader_variable_that_outlives_a_reset_is_nobodys_word(machine):
    for attributes, loader in ((OF_THIS_BOOT, "slotboot 9"), (ATTRIBUTES, None)):
        (machine.top / "vars" / f"LoaderInfo-{LOADER}").write_bytes(attributes + "slotboot 9\0".encode("utf-16le"))
        assert machine.status()["loader"] == loader


def test_a_plain_boot_is_known_by_the_entry_that_our_loader_selected(machine):
    def wide(text):
        return (text + "\0").encode("utf-16le")

    def why(info, entry):
        machine.set_variable("LoaderInfo", LOADER, wide(info))
        machine.set_variable("LoaderEntrySelected", LOADER, wide(entry))
        return machine.status()["why"] or ""

    machine.check("mark-good")
    assert "without the loader" in machine.status()["why"]
    assert why("slotboot 0.1", "slotboot-a.efi") == "Slot a was started: it was the preferred slot."
    assert why("systemd-boot 252", "slotboot-a.efi").startswith("Slot a was booted by the firmware without")
    assert why("slotboot 0.1", "slotboot-c.efi").startswith("Slot a was booted by the firmware without")
    # It is all that a system without a slot's device or word goes by.
    cmdline = machine.top / "sysroot/proc/cmdline"
    words = cmdline.read_text()
    cmdline.write_text("quiet\n")
    assert why("slotboot 0.1", "slotboot-a.efi") == "Slot a was started: it was the preferred slot."
    assert machine.status()["running"] == "a"
    cmdline.write_text(words)
    # What SlotTrace says goes first, also where it makes no sense.
    start_by_loader(machine, 1, 1)
    assert why("slotboot 0.1", "slotboot-a.efi").startswith("The hardware watchdog had reset")
    machine.set_variable("SlotTrace", OURS, b"?")
    assert why("slotboot 0.1", "slotboot-a.efi").startswith("Slot a was booted by the firmware without")


def test_the_watchdog_that_linux_drives_goes_into_the_record(machine, create):
    assert machine.status()["watchdog"]["hardware"] == "none"
    add_watchdog(machine, "iTCO_wdt")
    machine.configure("watchdog = always\nwatchdog-timeout = 40")
    machine.check("install", create(), "--activate=none")
    status = machine.status()["watchdog"]
    assert status == {"hardware": "itco", "timeout": 40, "trial": True, "good": True, "driver": "iTCO_wdt",
                      "this_boot": None, "last_reset": None}
    assert "watchdog   itco, 40 s, for all boots\n" in machine.check("status")
    add_watchdog(machine, "Software Watchdog")
    machine.check("install", create("3"), "--activate=none")
    assert machine.status()["watchdog"]["hardware"] == "none"
    assert "none that the loader can arm (Linux drives Software Watchdog)" in machine.check("status")


def test_status_says_what_the_loader_did_with_the_watchdog(machine):
    add_watchdog(machine, "i6300ESB timer")
    machine.check("mark-good")
    for watchdog, reset, words in ((0, 0, ("off", "unknown")), (1, 1, ("armed", "watchdog")),
                                   (2, 2, ("not-found", "other")), (3, 0, ("failed", "unknown"))):
        start_by_loader(machine, watchdog, reset)
        status = machine.status()
        assert (status["watchdog"]["this_boot"], status["watchdog"]["last_reset"]) == words
        assert ("The hardware watchdog had reset the machine." in status["why"]) == (reset == 1)
    machine.boot_by("kexec", "a")
    assert machine.status()["watchdog"]["this_boot"] is None


def test_mark_good_stops_the_watchdog_that_the_loader_armed(machine):
    device = machine.top / "sysroot/dev/watchdog0"
    add_watchdog(machine, "iTCO_wdt")
    machine.check("mark-good")
    assert device.read_bytes() == b""
    start_by_loader(machine, 1, 0)
    assert "watchdog: iTCO_wdt is stopped\n" in machine.check("mark-good")
    assert device.read_bytes() == b"V"
    add_watchdog(machine, "iTCO_wdt", "active")
    assert "watchdog: iTCO_wdt is left to the process that feeds it\n" in machine.check("mark-good")
    assert device.read_bytes() == b""
    machine.boot_by("kexec", "a")
    add_watchdog(machine, "iTCO_wdt")
    assert "watchdog: iTCO_wdt is stopped\n" in machine.check("mark-good")


def test_mark_good_warns_of_an_armed_watchdog_without_a_driver(machine):
    add_watchdog(machine, "iTCO_wdt")
    machine.check("mark-good")
    add_watchdog(machine, "Software Watchdog")
    start_by_loader(machine, 1, 0)
    out = machine.check("mark-good")
    assert "warning: the loader started the watchdog (itco)" in out and "modprobe iTCO_wdt" in out
    # From the next boot on it is not armed: this image would be reset while healthy.
    assert machine.status()["watchdog"]["hardware"] == "none"
    assert (machine.top / "sysroot/dev/watchdog0").read_bytes() == b""


def test_an_install_fills_the_idle_slot_and_confirms_step_by_step(machine, create, parts):
    bundle = create()
    machine.check("install", bundle, "--activate=none")
    assert (machine.top / "b.img").read_bytes() == (parts / "rootfs.img").read_bytes()
    directory = machine.top / "esp/EFI/slotboot/b"
    assert (directory / "uki.efi").read_bytes() == (parts / "good.efi").read_bytes()
    with zipfile.ZipFile(bundle) as z:
        for name in ("uki.index", "manifest.json", "manifest.p7s"):
            assert (directory / name).read_bytes() == z.read(name), name
    status = machine.status()
    assert status["slots"]["b"]["status"] == "trial" and status["slots"]["b"]["version"] == "2"
    assert status["preferred"] == "a"
    machine.check("mark-active", "b")
    assert machine.status()["preferred"] == "b"
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    assert machine.status()["slots"]["b"]["status"] == "good"


def test_the_foreign_boot_entry_stays_where_it_was(machine, create):
    machine.check("install", create(), "--activate=none")
    order = struct.unpack("<4H", machine.variable("BootOrder", GLOBAL))
    assert order[3] == 0 and len(set(order)) == 4
    assert machine.variable("Boot0000", GLOBAL) == load_option("Other OS")
    names = [machine.variable(f"Boot{n:04X}", GLOBAL)[6:] for n in order[:3]]
    for name, text in zip(names, ("slotboot", "slotboot a", "slotboot b")):
        assert name.startswith(text.encode("utf-16le") + b"\0\0")


def test_a_second_mark_good_writes_nothing(machine):
    machine.check("mark-good")
    before = machine.bytes()
    machine.check("mark-good")
    assert machine.bytes() == before


def test_good_after_a_kexec_is_a_trial_and_good_only_after_a_firmware_boot(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.boot_by("kexec", "b")
    machine.check("mark-good")
    status = machine.status()
    assert status["boot"] == "kexec" and status["preferred"] == "b"
    assert status["slots"]["b"]["status"] == "trial" and status["slots"]["b"]["confirmed"]
    machine.boot_by("firmware", "b")
    refuse_install(machine, CONFIG, ["not confirmed"], create("3"))
    machine.check("mark-good")
    assert machine.status()["slots"]["b"]["status"] == "good"


def test_mark_good_does_not_undo_a_choice_made_since(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.check("mark-good")
    assert machine.status()["preferred"] == "b"


def test_mark_bad_hands_the_preference_to_the_other(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.check("mark-bad", "b")
    status = machine.status()
    assert status["preferred"] == "a" and status["slots"]["b"]["reason"] == "operator"


def test_rollback_goes_back_and_leaves_the_unconfirmed_slot_bad(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("rollback", "--activate=none")
    status = machine.status()
    assert status["preferred"] == "a" and status["slots"]["b"]["reason"] == "rolled-back"


def test_an_equal_version_and_an_allowed_downgrade_install(machine, create):
    machine.check("install", create("2"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    machine.check("install", create("2"), "--activate=none")
    machine.check("install", create("1"), "--activate=none", "--allow-downgrade")


def test_json_progress_is_one_object_a_line(machine, create):
    out = machine.check("install", create(), "--activate=none", "--json")
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert events[0] == "fetch" and events[-1] == "done"


def test_the_mirror_stands_in_for_a_lost_variable(machine):
    (machine.top / "vars" / f"SlotState-{OURS}").unlink()
    status = machine.status()
    assert status["state"]["source"] == "mirror" and status["slots"]["a"]["status"] == "good"
    machine.check("mark-good")
    assert machine.status()["state"]["source"] == "variable"


def test_the_slot_below_an_overlay_runs(machine):
    (machine.top / "sysroot/proc/cmdline").write_text("quiet\n")
    mount(machine, "20 1 7:0 / /media/root-ro ro - erofs /dev/loop0 ro\n21 1 0:30 / / rw - overlay overlay "
          "rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/o,workdir=/media/root-rw/w\n", ["a.img"])
    assert machine.status()["running"] == "a"
    assert "slot a is mounted on /, below an overlay" in machine.check("status")


@pytest.mark.parametrize("verb", ["status", "install", "mark-good", "mark-bad", "mark-active", "rollback", "kexec",
                                  "bundle"])
def test_every_verb_has_help(verb):
    done = subprocess.run([SLOTCTL, verb, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"Usage: slotctl {verb}"), done
