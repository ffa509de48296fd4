# SPDX-License-Identifier: MIT
"""Disks that slotctl provision made, in sectors of either size, booted by firmware that has never seen them."""
import shutil

import pytest

import disk
import images
import pki
from machine import Machine
from paths import LOADER, SLOTCTL, WORK, run


@pytest.fixture(scope="module", params=["virtio", "virtio-4k"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def machine(one_at_a_time, kind):
    with one_at_a_time():
        bundle = images.bundle(images.build("x"))
    directory = WORK / "run" / f"provisioned-{kind}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    image = directory / "disk.img"
    run(SLOTCTL, "provision", image, f"--bundle={bundle}", f"--keyring={pki.identities()['signer'].cert}",
        f"--loader={LOADER}", f"--sector-size={4096 if kind == 'virtio-4k' else 512}", *disk.SIZES)
    machine = Machine(directory, image, kind)
    machine.first = machine.cold_boot()
    yield machine
    machine.power_cut()
    image.unlink()


def test_a_provisioned_disk_boots_slot_a_through_the_loader(machine):
    assert (machine.first.variant, machine.first.slot) == ("x", "a")
    status = machine.status()
    assert status["loader"].startswith("slotboot ")
    assert (status["running"], status["slots"]["a"]["status"], status["slots"]["b"]["status"]) == ("a", "trial", "empty")
    assert not status["state"]["provisional"]
    # The one try that this boot has cost, of three.
    assert status["slots"]["a"]["tries_left"] == 2


def test_the_record_that_came_with_the_disk_is_the_one_it_goes_by(machine):
    assert "slotboot: the slot record was read from the mirror (variable: missing; mirror: ok)" in machine.console()
    assert "lost" not in machine.status()["why"]


def test_it_is_confirmed_as_any_other(machine):
    machine.check("slotctl mark-good")
    status = machine.status()
    assert status["slots"]["a"]["status"] == "good"
    assert (status["state"]["source"], status["slots"]["a"]["version"]) == ("variable", "1")
