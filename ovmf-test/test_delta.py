# SPDX-License-Identifier: MIT
"""Updates over nginx that fetch only what the machine does not hold, also after the power went.

That the new root boots is the proof that every byte arrived: dm-verity hashes what is read of it."""
import re

import pytest

POLL = "do usleep 50000; done"


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


@pytest.fixture
def fetched(server):
    """Bytes of bodies and requests since the last call, from nginx's log."""
    log = server.directory / "access.log"
    seen = log.stat().st_size if log.exists() else 0

    def count():
        nonlocal seen
        text = log.read_text()[seen:]
        seen += len(text)
        bodies = [int(n) for n in re.findall(r'HTTP/1\.1" 20[06] (\d+)', text)]
        return sum(bodies), len(bodies)
    return count


def test_a_power_cut_midway_and_then_only_the_rest(machine, install, server, fetched, bundles):
    whole = bundles["y.zip"].stat().st_size
    machine.check(f"slotctl install {server.url('slow/y.zip')} --activate=none >/tmp/out 2>&1 &\n"
                  f"until slotctl status --json | grep -q '\"writing\"'; {POLL}")
    machine.power_cut()
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("x", "a")
    assert machine.status()["slots"]["b"]["status"] == "writing"
    fetched()
    boot = machine.run_to_boot(install("y.zip", "reboot"))
    assert (boot.variant, boot.slot) == ("y", "b")
    size, requests = fetched()
    # Of UKI and root image, 37 MB, a few blocks differ from what runs.
    assert 0 < size < whole / 10, (size, whole)
    assert requests < 40
    machine.check("slotctl mark-good")


def test_the_same_bundle_again_fetches_no_image(machine, install, fetched, bundles):
    machine.check(install("y.zip", "none"))
    size, _ = fetched()
    assert 0 < size < 400_000 < bundles["y.zip"].stat().st_size
