# SPDX-License-Identifier: MIT
"""Debian 13's systemd-stub and ukify, as install-deps unpacked them."""
import pytest

from paths import DEBIAN_13 as PLACE
from paths import run

needed = pytest.mark.skipif(
    not (PLACE / "root").exists(),
    reason="Debian 13's systemd-stub is not there: " +
           ((PLACE / "reason").read_text().strip() if (PLACE / "reason").exists() else "run ovmf-test/install-deps"))


def ukify(*arguments):
    run("/usr/bin/python3", PLACE / "root/usr/bin/ukify", "build", *arguments, env={"PYTHONDONTWRITEBYTECODE": "1"})


def stub(name):
    return PLACE / "root/usr/lib/systemd/boot/efi" / name
