# SPDX-License-Identifier: MIT
"""PCRs after a slot that was started and came back, on a machine with a TPM (swtpm): in the same boot they hold both slots,
with failover = reset only the one that runs, so that what is sealed to it opens."""
import record
from test_surroundings import UKI, install, no_kernel

RESET = 4       # a flag of the record: failover = reset


def pcrs(machine):
    """What the firmware and systemd-stub measure of what they start."""
    return machine.check("cat /sys/class/tpm/tpm0/pcr-sha256/4 /sys/class/tpm/tpm0/pcr-sha256/11 "
                         "/sys/class/tpm/tpm0/pcr-sha256/12").split()


def test_failover_in_the_same_boot_leaves_a_trace_in_the_pcrs_and_a_reset_none(machine):
    machine.tpm = machine.directory / "tpm"
    sound = machine.disk.esp.read(UKI["b"])
    seen = {}
    for case, broken, flags in (("good", False, 0), ("same boot", True, 0), ("reset", True, RESET)):
        install(machine, no_kernel(sound) if broken else sound)
        state = record.read(machine)
        state.preferred, state.flags = int(broken), flags
        record.write(machine, state)
        assert machine.cold_boot().slot == "a"
        assert machine.firmware_entries() == (2 if flags else 1)
        seen[case] = pcrs(machine)
        machine.power_cut()
    assert seen["same boot"] != seen["good"] and len(seen["good"]) == 3
    assert seen["reset"] == seen["good"]
