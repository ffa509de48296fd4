# SPDX-License-Identifier: MIT
"""Cases: the loader as shim's second stage, it and the UKIs signed by a key of the machine's owner (MOK), which the
firmware does not know. Shims before 16 give their word through a protocol, later ones stand in for LoadImage."""
import os

from boot import Boot
from common import ERROR, LOADER, SHOW, SUCCESS, case, machine, skipped, x64_only
from emulated import UNPACKED
from profile import certificate, secure, signed
from states import FAILED, record, slot

import siglist
from record import BAD, GOOD, LOAD, RETURNED, TRIAL
from varstore import BS, NV

SHIM_16 = "/usr/lib/shim/shimx64.efi"
SHIM_15 = os.path.join(UNPACKED, "shim15/root/usr/lib/shim/shimx64.efi")
# Of Debian 11, as ovmf-test/install-deps unpacked it: 15.8.
case_of_15 = x64_only(case if os.path.exists(SHIM_15) else skipped)


def shimmed(folder, shim, b, by_owner=True):
    """Slot a good, and b on trial; with by_owner, b is signed as a is, else by nobody whom shim knows."""
    keys = {}
    for who in ("firmware", "owner", "stranger"):
        place = f"{folder}-{who}"
        os.makedirs(place, exist_ok=True)
        keys[who] = certificate(place)
    m = machine(folder, record(slot(GOOD), slot(TRIAL, 2), preferred=1), mirror=(b"", b""),
                a=signed(keys["owner"], SHOW, "a.efi"),
                b=signed(keys["owner" if by_owner else "stranger"], b, "b.efi"))
    m.put("/EFI/slotboot/shimx64.efi", signed(keys["firmware"], shim, "shim.efi"))
    m.put("/EFI/slotboot/grubx64.efi", signed(keys["owner"], LOADER, "loader.efi"))
    m.put("/EFI/test/last.efi", signed(keys["firmware"], SHOW, "last.efi"))     # where nothing else starts
    m.entries("\\EFI\\slotboot\\shimx64.efi", "\\EFI\\test\\last.efi")
    secure(m, keys["firmware"][2], ("MokList", siglist.of_certificate(keys["owner"][2]), siglist.SHIM, NV | BS))
    return m


def strangers_trial(folder, shim):
    boot = Boot(shimmed(folder, shim, SHOW, by_owner=False))
    assert boot.shown["SecureBoot"] == b"\1", "Secure Boot is off"
    boot.started("a")
    boot.steps((1, FAILED, LOAD))


@x64_only(case)
def under_shim_16_what_the_owner_signed_starts_and_a_strangers_fails_over(folder):
    strangers_trial(folder, SHIM_16)


@case_of_15
def under_shim_15_what_the_owner_signed_starts_and_a_strangers_fails_over(folder):
    strangers_trial(folder, SHIM_15)


@x64_only(case)
def under_shim_16_what_came_back_fails_over(folder):
    boot = Boot(shimmed(folder, SHIM_16, SUCCESS))
    boot.started("a")
    boot.steps((1, FAILED, RETURNED))


@case_of_15
def under_shim_15_what_came_back_with_an_error_fails_over(folder):
    boot = Boot(shimmed(folder, SHIM_15, ERROR))
    boot.started("a")
    boot.steps((1, FAILED, RETURNED))


@case_of_15
def under_shim_15_what_came_back_without_an_error_is_left_by_a_reset(folder):
    """shim has taken its protocol away by then."""
    boot = Boot(shimmed(folder, SHIM_15, SUCCESS), resets=True)
    boot.started("a")
    assert boot.record.status == [GOOD, BAD]
    boot.says("shim is not there any more; another image needs a reset")
