# SPDX-License-Identifier: MIT
"""A slot's own command line by a profile of its UKI, also on firmware with Secure Boot."""
import os
import subprocess
import sys

from boot import Boot, read
from common import EFI, LOADER, LOADER_PATH, case, machine
from emulated import ARCH, TOP
from machine import call
from states import FAILED, record, slot

from record import GOOD, LOAD

BOTH = ("ID=main\n", "TITLE=B\nID=\"slot-b\"\n", "TITLE=none\n", "ID=slot-a\n")


def built(folder, *profiles, base="root=x slot={slot}"):
    """The application that shows its options, as a UKI with these profiles; base: the common .cmdline."""
    os.makedirs(folder, exist_ok=True)
    sections = [(".cmdline", base)]
    for number, text in enumerate(profiles):
        sections += [(".profile", text), (".cmdline", f"profile={number}")]
    arguments = []
    for number, (name, text) in enumerate(sections):
        path = os.path.join(folder, f"section-{number}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        arguments.append(f"{name}={path}")
    out = os.path.join(folder, "uki.efi")
    call(sys.executable, os.path.join(TOP, "efi-app/elf2pe"), os.path.join(EFI, "test/show.elf"), out, *arguments)
    return out


def options(folder, uki, letter):
    state = record(slot(GOOD), slot(GOOD), preferred="ab".index(letter))
    boot = Boot(machine(folder, state, a=uki, b=uki))
    assert boot.path == f"\\EFI\\slotboot\\{letter}\\uki.efi"
    boot.silent()
    return boot.options


@case
def the_profile_of_slot_a_is_passed_by_its_number_alone(folder):
    assert options(folder, built(folder + "-uki", *BOTH), "a") == "@3"


@case
def the_profile_of_slot_b_is_passed_by_its_number_alone(folder):
    assert options(folder, built(folder + "-uki", *BOTH), "b") == "@1"


@case
def profiles_for_no_slot_leave_the_filled_in_command_line(folder):
    uki = built(folder + "-uki", "ID=main\n", base="root=x slot={slot}")
    # The command line of profile 0, which has no slot in it, is what counts.
    assert options(folder, uki, "b") == ""


@case
def of_two_profiles_for_a_slot_neither_is_passed(folder):
    assert options(folder, built(folder + "-uki", *BOTH, "ID=slot-b\n"), "b") == ""


def certificate(folder):
    key, cert, der = (os.path.join(folder, name) for name in ("key.pem", "cert.pem", "cert.der"))
    call("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=test",
         "-keyout", key, "-out", cert, stderr=subprocess.DEVNULL)
    call("openssl", "x509", "-in", cert, "-outform", "DER", "-out", der)
    return key, cert, read(der)


def signed(keys, path, name):
    """The program under another name beside the keys, signed by them; keys: certificate()'s."""
    out = os.path.join(os.path.dirname(keys[0]), name)
    call("sbsign", "--key", keys[0], "--cert", keys[1], "--output", out, path, stderr=subprocess.DEVNULL)
    return out


def secure(m, der, *more):
    """Give the machine firmware with Secure Boot, which starts what this certificate's key has signed."""
    m.qemu, m.firmware = ARCH.SECURE_QEMU, ARCH.SECURE_FIRMWARE
    m.store().enroll(der)
    m.seed(*more)


def secured(folder, uki, sign=True):
    """A machine whose firmware starts what the one key has signed: the loader, and with sign the UKIs."""
    os.makedirs(folder + "-uki", exist_ok=True)
    keys = certificate(folder + "-uki")
    by_us = signed(keys, uki, "signed.efi")
    m = machine(folder, record(slot(GOOD), slot(GOOD), preferred=1), a=by_us, b=by_us if sign else uki)
    m.put(LOADER_PATH.replace("\\", "/"), signed(keys, LOADER, "loader.efi"))
    secure(m, keys[2])
    return m


@case
def under_secure_boot_the_profile_is_passed_too(folder):
    boot = Boot(secured(folder, built(folder + "-uki", *BOTH)))
    assert boot.shown["SecureBoot"] == b"\1", "Secure Boot is off"
    assert boot.path == "\\EFI\\slotboot\\b\\uki.efi" and boot.options == "@1"
    boot.silent()


@case
def under_secure_boot_an_unsigned_uki_fails_over(folder):
    boot = Boot(secured(folder, built(folder + "-uki", *BOTH), sign=False))
    assert boot.path == "\\EFI\\slotboot\\a\\uki.efi" and boot.options == "@3"
    boot.steps((1, FAILED, LOAD))
    boot.says("slot b: the firmware could not load its UKI")
