# SPDX-License-Identifier: MIT
"""The same on another kind of disk: partitions have other names, the firmware another device path."""


def test_update_on_nvme(new_machine, install):
    machine = new_machine(storage="nvme")
    assert machine.cold_boot().slot == "a"
    machine.check("slotctl mark-good")
    boot = machine.run_to_boot(install("y.zip", "reboot"))
    assert (boot.variant, boot.slot) == ("y", "b")
    assert "/dev/nvme0n1p1 /efi " in machine.check("cat /proc/mounts")
    machine.check("slotctl mark-good")
    assert machine.status()["slots"]["b"]["status"] == "good"
