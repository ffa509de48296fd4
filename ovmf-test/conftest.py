# SPDX-License-Identifier: MIT
"""What the cases share: the variants and their bundles, a web server, and machines that boot them.

Cases of one file share a machine where they say so and run in the order written: a boot under TCG
takes 7 s, and boots are what this suite costs (pytest --durations=0). Machines may run side by side
(pytest -n 2 --dist loadgroup): what they share is made by one process at a time."""
import fcntl
import os
import re
import shutil
from contextlib import contextmanager

import pytest

import disk
import images
from httpd import HttpServer
from machine import Machine
from paths import LOADER, SLOTCTL, WORK, copy, work_alone


# What takes longest begins first, so that no worker is left alone with it at the end.
LONGEST = ("test_watchdog", "test_soak", "test_systemd")


def group(item):
    """The cases of one machine: those of a file, or of a file and one of its parameters for a machine."""
    parameters = getattr(item, "callspec", None)
    kind = parameters and parameters.params.get("kind")
    return f"{item.path.stem}-{kind}" if kind else item.path.stem


# Before xdist's own, which looks at the mark.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    missing = [str(path) for path in (SLOTCTL, LOADER) if not path.exists()]
    if missing and items:
        pytest.exit(f"build first (make): {' and '.join(missing)} missing", returncode=2)


def pytest_terminal_summary(terminalreporter):
    """The rows that cases enter as the property "boot", below the results."""
    rows = [value for report in terminalreporter.getreports("passed")
            for name, value in report.user_properties if name == "boot"]
    if not rows:
        return
    terminalreporter.section("what each boot did")
    terminalreporter.write_line(f"{'case':<62} slot  boots  why, by slotctl status")
    for case, slot, entries, why in rows:
        terminalreporter.write_line(f"{case:<62} {slot:<4}  {entries:<5}  {why}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A case that fails shows how the console of each machine that it uses ended."""
    report = (yield).get_result()
    if not report.failed:
        return
    for value in list(item.funcargs.values()):
        if isinstance(value, Machine):
            report.sections.append((f"console ({value.directory}/serial.log)", value.console_tail()))


# Under xdist the cases run in workers, for which the process that started them holds the directory.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def pytest_sessionstart(session):
    session.config.alone = None if WORKER else work_alone()


@pytest.fixture(scope="session")
def one_at_a_time():
    """A context in which no other worker makes what all share."""
    with open(WORK / "making", "w") as lock:
        @contextmanager
        def alone():
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)
        yield alone


@pytest.fixture(scope="session")
def variants(one_at_a_time):
    with one_at_a_time():
        return {name: images.build(name) for name in images.VERSIONS}


@pytest.fixture(scope="session")
def bundles(one_at_a_time, variants):
    """Bundles by file name; all in one directory, which the web server serves."""
    with one_at_a_time():
        made = [images.bundle(variants[name]) for name in ("x", "y", "z")]
        made += [images.bundle(variants["y"], signer) for signer in ("stranger", "expired")]
    return {path.name: path for path in made}


@pytest.fixture(scope="session")
def server(bundles):
    directory = next(iter(bundles.values())).parent
    server = HttpServer(WORK / f"httpd{WORKER}", directory).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def new_machine(request, variants, bundles):
    """Makes machines with X, or another variant, in slot A and nothing else; they are off, and go with their module."""
    made = []

    def make(storage="virtio", variant=None, watchdog=None, guest_time=False):
        name = re.sub(r"\W", "-", request.node.name.removesuffix(".py"))
        name = "-".join([name, *([watchdog] if watchdog else []), str(len(made))])
        directory = WORK / "run" / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        made_disk = disk.make(directory / "disk.img", variant or variants["x"], None if variant else bundles["x.zip"])
        made.append(Machine(directory, made_disk, storage, watchdog, guest_time))
        return made[-1]

    yield make
    for machine in made:
        machine.power_cut()
        # 226 MiB each; the console's log stays for whoever looks into a failure.
        machine.disk.path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def confirmed(new_machine):
    """Makes a machine that is on, runs X in slot A and has confirmed it."""
    def make(storage="virtio"):
        machine = new_machine(storage)
        boot = machine.cold_boot()
        assert (boot.variant, boot.slot) == ("x", "a")
        machine.check("slotctl mark-good")
        return machine
    return make


@pytest.fixture(scope="module")
def furnished(confirmed, server):
    """X good in slot A, Y on trial in slot B and preferred, installed and chosen by slotctl; off, and a copy of
    its disk and of its variable store."""
    machine = confirmed()
    machine.check(f"slotctl install {server.url('y.zip')} --activate=none && slotctl mark-active b")
    machine.shutdown()
    kept = {path: path.with_suffix(".kept") for path in (machine.disk.path, machine.vars)}
    for path, keep in kept.items():
        copy(path, keep)
    yield machine, kept
    for keep in kept.values():
        keep.unlink()


@pytest.fixture
def machine(furnished):
    """That machine, off and as it was."""
    machine, kept = furnished
    for path, keep in kept.items():
        copy(keep, path)
    yield machine
    machine.power_cut()


@pytest.fixture
def install(server):
    """The command line that installs a bundle from the web server."""
    def command(name, activate, *options):
        return " ".join(["slotctl install", server.url(name), f"--activate={activate}", *options])
    return command
