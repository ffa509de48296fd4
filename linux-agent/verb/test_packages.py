# SPDX-License-Identifier: MIT
"""debian/ names what is there."""
import re

import pytest
from drymachine import TOP

CONTROL = (TOP / "debian/control").read_text()
UNITS = sorted((TOP / "docs/units").glob("slotboot-*"))


def listed(file):
    return {line for line in (TOP / file).read_text().splitlines() if line and not line.startswith("#")}


def test_what_the_packages_need_to_be_built_is_what_install_deps_installs():
    needed = set(re.findall(r"^ ([a-z0-9+.-]+)(?::native|:any)?[ ,<\n]", CONTROL.split("Build-Depends:")[1].split("\n\n")[0], re.M))
    assert len(needed) > 15
    assert needed - {"debhelper-compat"} <= listed("ovmf-test/packages.txt") | listed("debian/packages.txt")


def test_the_packages_have_the_version_of_the_makefile():
    (version,) = re.findall(r"^VERSION := (.*)$", (TOP / "Makefile").read_text(), re.M)
    assert (TOP / "debian/changelog").read_text().startswith(f"slotboot ({version})")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_does_nothing_where_slotboot_is_not(unit):
    """The package enables it on each machine where it is installed."""
    assert re.search(r"^ConditionPathExists=\|?/sys/firmware/efi/efivars/Slot", unit.read_text(), re.M)
