# SPDX-License-Identifier: MIT
"""What slotctl kexec explain foretells, and what the kernel then does."""
import json
import struct

import pytest

import kernel
import siglist
from paths import ARCH, run
from varstore import SIGNED_UPDATES, VarStore

NOPERM, UNAVAILABLE, DATAERR = 77, 69, 65
by_debian = pytest.mark.skipif(kernel.DEFAULT == "own", reason="Debian has signed its own kernels alone")


def certificate_table(image):
    """(where the PE header names it, its offset, its size); it is the image's end."""
    entry = struct.unpack_from("<I", image, 0x3C)[0] + 24 + 112 + 8 * 4
    table, size = struct.unpack_from("<II", image, entry)
    assert size and table + size == len(image)
    return entry, table, size


def unsigned(image):
    """A PE image without its signature."""
    entry, table, _ = certificate_table(image)
    return image[:entry] + bytes(8) + image[entry + 8:table]


def signer_certificate(image):
    """The certificate in a PE image's signature, DER."""
    _, table, _ = certificate_table(image)
    length = struct.unpack_from("<I", image, table)[0]
    pem = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", stdin=image[table + 8:table + length])
    return run("openssl", "x509", "-outform", "DER", stdin=pem)


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


def lock_down(machine):
    machine.check("mount -t securityfs securityfs /sys/kernel/security")
    machine.check("echo integrity >/sys/kernel/security/lockdown")


def explain(machine, slot):
    """(exit status, will_work, findings by check)"""
    status, output = machine.run(f"slotctl kexec explain {slot} --json 2>/dev/null")
    told = json.loads(output)
    assert told["slot"] == slot
    return status, told["will_work"], {found["check"]: found for found in told["checks"]}


def assert_no(machine, slot, check, exit_status):
    """explain blames that check, and the load itself fails with the very same cause."""
    status, will_work, checks = explain(machine, slot)
    assert (status, will_work) == (UNAVAILABLE, "no"), checks
    assert [name for name, found in checks.items() if found["verdict"] == "fail"] == [check]
    assert checks[check]["fix"]
    status, output = machine.run(f"slotctl kexec load {slot}")
    assert status == exit_status, output
    assert checks[check]["evidence"] in output and checks[check]["fix"] in output
    assert machine.check("cat /sys/kernel/kexec_loaded").strip() == "0"
    return checks[check]


def test_yes_is_followed_by_a_jump_that_leaves_a_clean_esp(machine, install):
    machine.check(install("y.zip", "none"))
    before = machine.snapshot()
    status, will_work, checks = explain(machine, "b")
    assert (status, will_work) == (0, "yes"), checks
    assert {found["verdict"] for found in checks.values()} == {"pass"}
    assert "manifest signed by CN=slotboot test signer" in checks["image"]["evidence"]
    assert machine.check("cat /sys/kernel/kexec_loaded").strip() == "0"
    assert machine.snapshot() == before
    print(machine.check("slotctl kexec explain b"))
    boot = machine.run_to_boot("slotctl kexec exec b")
    assert (boot.variant, boot.slot) == ("y", "b")
    # The new kernel complains when it mounts a FAT that was not left in order.
    log = machine.check("dmesg")
    assert "kexec" in machine.status()["boot"] and "not properly unmounted" not in log
    machine.check("slotctl mark-good")


def test_uki_changed_on_the_esp_is_refused(machine):
    file = "/efi/EFI/slotboot/b/uki.efi"
    machine.check(f"cp {file} /tmp/uki && printf X | dd of={file} bs=1 seek=3000000 conv=notrunc && sync")
    status, will_work, checks = explain(machine, "b")
    assert (status, will_work, checks["image"]["verdict"]) == (UNAVAILABLE, "no", "fail")
    status, output = machine.run("slotctl kexec load b")
    assert status == DATAERR and "is not the UKI that was installed" in output, output
    machine.check(f"cp /tmp/uki {file} && sync")
    assert explain(machine, "b")[0] == 0


def test_command_line_too_long_for_the_kernel(machine, install, other):
    machine.check(install(other("toolong", pad_to=2040), "none", "--allow-downgrade"))
    found = assert_no(machine, "a", "command-line", DATAERR)
    assert f"takes at most {2047 if ARCH.name == 'aa64' else 2046}" in found["evidence"]


@by_debian
def test_under_lockdown_an_unsigned_kernel_does_not_go(machine, install, other):
    unsigned_zip = other("unsigned", linux=unsigned(kernel.image().read_bytes()))
    machine.check(install(unsigned_zip, "none", "--allow-downgrade"))
    status, will_work, checks = explain(machine, "a")
    assert (status, will_work) == (0, "yes"), checks
    assert "is not signed, and no signature is demanded" in checks["signature"]["evidence"]
    lock_down(machine)
    found = assert_no(machine, "a", "signature", NOPERM)
    assert "is not signed; kernel lockdown is integrity" in found["evidence"]


@by_debian
def test_under_lockdown_a_signed_kernel_goes_if_its_key_is_enrolled(machine):
    found = assert_no(machine, "b", "signature", NOPERM)
    assert "signed by CN=Debian Secure Boot Signer" in found["evidence"] and "no key for it" in found["evidence"]
    machine.shutdown()
    # Without a platform key Secure Boot stays off; Linux takes the keys of db all the same.
    VarStore(machine.vars).set("db", siglist.of_certificate(signer_certificate(kernel.image().read_bytes())),
                               siglist.SECURITY, SIGNED_UPDATES)
    assert machine.cold_boot().slot == "b"
    lock_down(machine)
    status, will_work, checks = explain(machine, "b")
    assert (status, will_work) == (0, "yes"), checks
    assert "the key for it is in .platform" in checks["signature"]["evidence"]
    boot = machine.run_to_boot("slotctl kexec exec b")
    assert (boot.variant, boot.slot) == ("y", "b")


def test_loads_switched_off(machine):
    assert explain(machine, "b")[0] == 0
    machine.check("echo 1 >/proc/sys/kernel/kexec_load_disabled")
    found = assert_no(machine, "b", "load-disabled", NOPERM)
    assert found["evidence"] == "kernel.kexec_load_disabled is 1"
