# SPDX-License-Identifier: MIT
"""What differs between the architectures of test machines: which one it is, the loader in the build directory says."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Arch:
    name: str               # in the names of EFI files
    qemu: str
    machine: str            # its -machine, for firmware without Secure Boot
    secure_machine: tuple   # its options for firmware with Secure Boot
    cpu: str                # emulated
    firmware: str           # in the directory of firmware
    variables: str          # likewise: an empty store
    secure_firmware: str    # with Secure Boot once there are keys
    secure_variables: str   # likewise, to be emptied
    console: str            # its serial port, as Linux has it
    root_type: str          # of a root file system's partition (Discoverable Partitions Specification)
    objcopy: str
    runner: tuple           # runs its programs on the build machine
    libraries: tuple        # lists those of a program as ldd does
    kexec: bool             # whether Debian's kernel has kexec_file_load(2)


# x86-64. Without what no case uses: the firmware would wait for a keyboard and for disks, in real time. The processor
# is not "max": its five-level paging and wide vectors only make emulation slower. With SVM udev would load KVM.
X64 = Arch(name="x64", qemu="qemu-system-x86_64", machine="q35,i8042=off,sata=off",
           cpu="qemu64,-svm,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+rdrand",
           secure_machine=("-machine", "q35,i8042=off,sata=off,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
                           "-global", "ICH9-LPC.disable_s3=1"),
           firmware="OVMF_CODE_4M.fd", variables="OVMF_VARS_4M.fd", console="ttyS0",
           secure_firmware="OVMF_CODE_4M.secboot.fd", secure_variables="OVMF_VARS_4M.fd",
           root_type="4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", objcopy="objcopy", runner=(), libraries=("ldd",),
           kexec=True)

# arm64, emulated. AAVMF_VARS.fd is zeros, of which the first boot makes a store; the other is one.
AA64 = Arch(name="aa64", qemu="qemu-system-aarch64", machine="virt", cpu="cortex-a57",
            secure_machine=("-machine", "virt"),
            firmware="AAVMF_CODE.fd", variables="AAVMF_VARS.fd", console="ttyAMA0",
            secure_firmware="AAVMF_CODE.fd", secure_variables="AAVMF_VARS.snakeoil.fd",
            root_type="B921B045-1DF0-41C3-AF44-4C6F280D3FAE", objcopy="aarch64-linux-gnu-objcopy",
            runner=("qemu-aarch64-static",), libraries=("qemu-aarch64-static", "-E", "LD_TRACE_LOADED_OBJECTS=1"),
            kexec=False)


def of(build):
    return AA64 if (build / "efi" / "slotbootaa64.efi").exists() else X64
