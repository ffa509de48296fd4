# SPDX-License-Identifier: MIT
"""A new loader: tried once by BootNext, kept by mark-good, its copy with it; one that gives up leaves the old one. One
machine, in order."""

import pefile
import pytest

from paths import LOADER, TOP, WORK, run
from varstore import GLOBAL, VarStore

HOME, TRIAL, FALLBACK = "EFI/slotboot/slotbootx64.efi", "EFI/slotboot/slotbootx64.new.efi", "EFI/BOOT/BOOTX64.EFI"
REBOOT = "sh /etc/rc.shutdown; reboot -f"
RETURNS_LOAD_ERROR = bytes.fromhex("48b80100000000000080c3")   # movabs rax, EFI_LOAD_ERROR; ret


def build(version):
    directory = WORK / f"loader-{version}"
    run("make", "-s", "-C", TOP, "loader", f"BUILD={directory}", f"VERSION={version}", env={"MAKEFLAGS": ""})
    return (directory / "efi" / LOADER.name).read_bytes()


def broken(loader):
    """The same, but it returns at once."""
    pe = pefile.PE(data=loader)
    at = pe.get_offset_from_rva(pe.OPTIONAL_HEADER.AddressOfEntryPoint)
    return loader[:at] + RETURNS_LOAD_ERROR + loader[at + len(RETURNS_LOAD_ERROR):]


@pytest.fixture(scope="module")
def new(one_at_a_time):
    with one_at_a_time():
        return build("0.2")


@pytest.fixture(scope="module")
def machine(confirmed, new):
    return confirmed([("new.efi", new), ("broken.efi", broken(new))])


def identifier(machine):
    """By which file the firmware started the loader."""
    name = "/sys/firmware/efi/efivars/LoaderImageIdentifier-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
    return machine.check(f"tail -c +5 {name} | tr -d '\\000'").strip().replace("\\", "/").lstrip("/")


def files(machine):
    return machine.check(f"cd /efi && sha256sum {HOME} {FALLBACK} | cut -c1-64 | uniq | wc -l; ls {TRIAL} 2>&1 || true").split()


def test_a_loader_that_gives_up_leaves_the_old_one_without_a_hand(machine):
    assert "will be tried" in machine.check("slotctl loader install /efi/broken.efi")
    boot = machine.run_to_boot(REBOOT)
    assert (boot.variant, boot.slot) == ("x", "a") and machine.firmware_entries() == 2
    assert machine.status()["loader"] == "slotboot 0.1" and identifier(machine) == HOME
    assert "version 0.2 was tried and is dropped" in machine.check("slotctl mark-good")
    status = machine.status()["loader_file"]
    assert (status["file"]["version"], status["kept"], status["dropped"]["why"]) == ("0.1", True, "not-started")
    assert files(machine)[0] == "1" and "No" in files(machine)


def test_a_new_loader_is_tried_by_bootnext_and_kept_and_its_copy_follows(machine, new):
    before = VarStore(machine.vars).get("BootOrder", GLOBAL)
    machine.check("slotctl loader install /efi/new.efi")
    boot = machine.run_to_boot(REBOOT)
    assert (boot.variant, boot.slot) == ("x", "a")
    assert machine.status()["loader"] == "slotboot 0.2" and identifier(machine) == TRIAL
    assert "version 0.2 has started this machine, and is kept" in machine.check("slotctl mark-good")
    boot = machine.run_to_boot(REBOOT)
    assert machine.status()["loader"] == "slotboot 0.2" and identifier(machine) == HOME
    assert files(machine)[0] == "1"
    assert "loader" not in machine.check("slotctl mark-good")
    machine.shutdown()
    assert machine.disk.esp.read(FALLBACK) == new
    store = VarStore(machine.vars)
    assert store.get("BootOrder", GLOBAL) == before and store.get("BootNext", GLOBAL) is None
    assert not any(TRIAL.replace("/", "\\").encode("utf-16-le") in v.data for v in store.all().values())


def test_the_copy_of_the_new_loader_starts_a_machine_that_has_lost_its_entries(machine):
    store = VarStore(machine.vars)
    for (name, guid), _ in list(store.all().items()):
        if guid == GLOBAL and name.startswith("Boot"):
            store.delete(name, guid)
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("x", "a")
    assert machine.status()["loader"] == "slotboot 0.2" and identifier(machine) == FALLBACK
    status, said = machine.run("slotctl loader install /efi/broken.efi")
    assert status == 78 and "was started by \\EFI\\BOOT" in said
