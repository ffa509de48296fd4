# SPDX-License-Identifier: MIT
"""Systems that did not come as slotctl meant them to: what mark-good makes of them, and the next cold boot.
The cases share one machine, and go on from each other."""
import pytest

import uki
from paths import HERE, WORK, newer_than, run

CONFIG = 78
OTHER_NONCE = "slotboot.nonce=00000000deadbeef"


@pytest.fixture(scope="module")
def raw_kexec(variants):
    program, source = WORK / "raw-kexec", HERE / "guest/raw-kexec.c"
    if not newer_than(program, source):
        run("cc", "-static", "-O", "-Wall", "-o", program, source)
    return program.read_bytes()


@pytest.fixture(scope="module")
def machine(confirmed, raw_kexec):
    return confirmed([("raw-kexec", raw_kexec)])


def raw_jump(variant, slot, nonce, then=""):
    """The command for it: into a slot's kernel with its UKI's command line, and for a nonce this word, or none."""
    image = variant.uki.read_bytes()
    _, offset, size = uki.section(image, b".cmdline")
    line = image[offset:offset + size].rstrip(b"\0").decode().strip().replace("{slot}", slot)
    parts = []
    for name in ("linux", "initrd"):
        _, offset, size = uki.section(image, b"." + name.encode())
        parts.append(f"tail -c +{offset + 1} /efi/EFI/slotboot/{slot}/uki.efi | head -c {size} >/tmp/{name}")
    return " && ".join([*parts, "cp /efi/raw-kexec /tmp", "chmod +x /tmp/raw-kexec",
                        f'/tmp/raw-kexec /tmp/linux /tmp/initrd "{line} {nonce}" {then}'])


def jump(machine, variant, slot, nonce):
    return machine.run_to_boot(raw_jump(variant, slot, nonce))


def refused(machine):
    """mark-good refuses, by its words and exit status, and changes nothing that decides a boot."""
    before = machine.snapshot()
    status, output = machine.run("slotctl mark-good")
    assert status == CONFIG, output
    assert "slot b cannot be marked good: it does not run by the kexec that the slot record knows" in output
    assert "slotctl mark-active b, then reboot, has the firmware try it" in output
    assert machine.snapshot() == before
    return output


@pytest.mark.parametrize("nonce, said", [(OTHER_NONCE, "00000000deadbeef on the command line"),
                                         ("", "0000000000000000 on the command line")])
def test_a_jump_into_a_kexec_trial_that_slotctl_did_not_order(machine, install, variants, nonce, said):
    if machine.status()["slots"]["b"]["status"] == "empty":
        assert machine.run_to_boot(install("y.zip", "kexec")).slot == "b"
        assert machine.status()["jump"]["proven"]
    boot = jump(machine, variants["y"], "b", nonce)
    assert (boot.variant, boot.slot) == ("y", "b")
    status = machine.status()
    assert (status["boot"], status["preferred"], status["slots"]["b"]["status"]) == ("kexec", "a", "kexec-trial")
    assert status["jump"] == {"proven": False, "nonce": False, "bootloader": True, "boot_id": True}
    assert "jump       not proven: nonce is not the record's" in machine.check("slotctl status")
    assert said in refused(machine)


def test_the_next_cold_boot_lands_on_the_old_slot_and_condemns_the_new_one(machine):
    machine.power_cut()
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("x", "a")
    status = machine.status()
    assert (status["boot"], status["preferred"], status["kexec_failures"]) == ("firmware", "a", 1)
    assert (status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("bad", "kexec")
    words = machine.check("slotctl status")
    assert "1 in a row never came to mark-good; --activate=kexec needs --force" in words
    assert "slot a: good" in machine.check("slotctl mark-good")
    assert machine.status()["slots"]["b"]["status"] == "bad"


def test_a_jump_into_a_trial_that_nobody_ordered_is_refused_and_the_firmware_may_try_it(machine, install, variants):
    machine.check(install("y.zip", "none"))
    assert jump(machine, variants["y"], "b", "").slot == "b"
    assert machine.status()["slots"]["b"]["status"] == "trial"
    refused(machine)
    machine.check("slotctl mark-active b")
    boot = machine.run_to_boot("reboot -f")
    assert (boot.variant, boot.slot, machine.status()["boot"]) == ("y", "b", "firmware")
    machine.check("slotctl mark-good")
    machine.check("slotctl rollback --activate=none && slotctl mark-bad b")
    machine.power_cut()
    assert machine.cold_boot().slot == "a"


def test_what_another_program_staged_is_not_jumped_into(machine, variants):
    machine.check(raw_jump(variants["y"], "b", "", "stay"))
    before = machine.snapshot()
    status, output = machine.run("slotctl kexec exec")
    assert status == CONFIG and "slotctl did not stage the kernel that is loaded" in output
    assert "slotctl kexec exec a|b stages a slot" in output
    assert machine.snapshot() == before and machine.boots()[-1].slot == "a"
    machine.check("slotctl kexec unload && slotctl kexec load a")
    assert machine.run_to_boot("slotctl kexec exec").slot == "a"
    machine.power_cut()
    assert machine.cold_boot().slot == "a"


def test_a_jump_into_the_good_slot_proves_that_a_kexec_works_and_no_more(machine, variants):
    boot = jump(machine, variants["x"], "a", "")
    assert (boot.variant, boot.slot, machine.status()["boot"]) == ("x", "a", "kexec")
    assert not machine.status()["jump"]["proven"]
    assert "slot a: good, proven by the firmware and by kexec" in machine.check("slotctl mark-good")
    status = machine.status()
    assert (status["preferred"], status["kexec_failures"]) == ("a", 0)
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["good", "bad"]
    before = machine.snapshot()
    machine.check("slotctl mark-good")
    assert machine.snapshot() == before
    machine.power_cut()
    assert machine.cold_boot().slot == "a"
