# SPDX-License-Identifier: MIT
"""What the cases share: the variants and their bundles, a web server, and machines that boot them.

Cases of one file share a machine where they say so and run in the order written: a boot under TCG
takes 7 s, and boots are what this suite costs (pytest --durations=0). Machines may run side by side
(pytest -n 2 --dist loadgroup): what they share is made by one process at a time. Cases that begin with the
furnished machine are free: each runs on whichever worker is idle."""
import dataclasses
import fcntl
import os
import re
import shutil
from contextlib import contextmanager

import pytest

import disk
import images
import kernel
import rootfs
import uki
from httpd import HttpServer
from machine import Machine
from paths import ARCH, LOADER, SLOTCTL, WORK, copy, run, work_alone
from rows import print_quirks, print_rows


# For arm64 alone: what Debian has, and a kernel that it has not.
collect_ignore = [name for name, there in (("test_arm64.py", ARCH.name == "aa64"),
                                           ("test_arm64_kexec.py", kernel.DEFAULT == "own")) if not there]

# What takes longest begins first, and what goes to any worker comes last, so that none is left alone at the end.
LONGEST = ("test_debian", "test_debian_verity", "test_debian_roots", "test_watchdog", "test_soak", "test_systemd", "test_handover", "test_kexec")


# What make check runs, in about a third of its time: for each thing that can go wrong the case that comes closest to
# a user's machine. The others are in make check-all. A name stands for all its parameters, unless one is given; None is the
# whole file. Cases that share a machine need those of their file that are named before them, and no others.
BRIEF = {
    "test_debian": ("test_the_first_boot_confirms_itself[12]", "test_other_programs_see_it_as_it_is[12]",
                    "test_the_units_are_as_systemd_wants_them[12]",
                    "test_a_broken_version_is_left_for_the_old_one[12-a failing check]"),
    "test_fallback": ("test_corrupt_trial_uki_fails_over_in_the_same_boot",),
    "test_forged": ("test_the_esp_alone_makes_no_uki_fit_for_kexec[1]",),
    "test_guest": ("test_variable_store_gives_back_what_was_set_replaced_and_deleted",
                   "test_wait_that_fails_shows_the_console"),
    "test_kexec": ("test_x_to_y_to_z_by_kexec_enters_the_firmware_once",),
    "test_provisioned": None,
    "test_refusal": ("test_altered_payload_is_never_written_nor_started",),
    "test_surroundings": ("test_variable_is_missing", "test_boot_order_is_deleted", "test_trial_kernel_panics[without a root]"),
    "test_update": ("test_x_to_y_to_z_by_reboot",
                    "test_the_loader_is_first_in_boot_order_and_the_firmwares_entries_keep_theirs"),
    "test_watchdog": ("test_healthy_trial_is_confirmed_and_not_reset[i6300esb]", "test_trial_init_hangs[i6300esb]"),
}


def is_brief(item):
    names = BRIEF.get(item.path.stem, ())
    return names is None or item.name in names or item.originalname in names


def is_free(item):
    """The case begins with a copy of the furnished machine: it needs no other case of its file, nor their worker."""
    return "furnished" in item.fixturenames


def position(item):
    order = LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)
    return is_free(item), order


def group(item):
    """The cases of one machine: those of a file, or of a file and one of its parameters for a machine."""
    parameters = getattr(item, "callspec", None)
    kind = parameters and parameters.params.get("kind")
    return f"{item.path.stem}-{kind}" if kind else item.path.stem


# Before xdist's own, which looks at the mark.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items.sort(key=position)
    for item in filter(is_brief, items):
        item.add_marker("brief")
    for item in filter(lambda item: not is_free(item), items):
        item.add_marker(pytest.mark.xdist_group(group(item)))
    missing = [str(path) for path in (SLOTCTL, LOADER) if not path.exists()]
    if missing and items:
        pytest.exit(f"build first (make): {' and '.join(missing)} missing", returncode=2)


def pytest_terminal_summary(terminalreporter):
    """The rows that cases enter as the properties "boot" and "quirk", below the results."""
    print_rows(terminalreporter, "boot", "what each boot did", ("case", "slot", "boots", "why, by slotctl status"))
    print_quirks(terminalreporter)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A case that fails shows how the console of each machine that it uses ended."""
    report = (yield).get_result()
    if not report.failed:
        return
    for value in list(item.funcargs.values()):
        if isinstance(value, Machine):
            report.sections.append((f"console ({value.directory}/serial.log)", value.console_tail()))


def arrivals(line):
    """Two functions for a machine whose configuration has this line, which the test OS forgets from boot to boot:
    arrive(machine, boot) puts it there and tells (variant, slot); go(machine, command) does so after a command
    that ends in a boot."""
    def arrive(machine, boot):
        machine.check("mkdir -p /run/slotboot/slotboot.conf.d && "
                      f"printf '[slotboot]\\n{line}\\n' >/run/slotboot/slotboot.conf.d/arrival.conf")
        return boot.variant, boot.slot

    def go(machine, command):
        return arrive(machine, machine.run_to_boot(command))
    return arrive, go


# Under xdist the cases run in workers, for which the process that started them holds the directory.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def pytest_sessionstart(session):
    session.config.alone = None if WORKER else work_alone()


@pytest.fixture(scope="session")
def one_at_a_time():
    """A context in which no other worker makes what all share; or that of this name, which few do."""
    @contextmanager
    def alone(what="making"):
        with open(WORK / what, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    return alone


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


@pytest.fixture(scope="session")
def other(variants, bundles):
    """Bundles of Y with another kernel, a longer command line, or more sections in its UKI; named for the web server."""
    def make(name, linux=None, pad_to=0, more=()):
        y = variants["y"]
        work = WORK / f"other{WORKER}"
        work.mkdir(exist_ok=True)
        run(ARCH.objcopy, "--dump-section", f".initrd={work / 'initrd'}", y.uki, work / "copy.efi")
        (work / "linux").write_bytes(linux or kernel.image().read_bytes())
        line = images.COMMAND_LINE.format(y.root_hash, "y")
        line += " " + "x" * (pad_to - len(line) - 1) if pad_to else ""
        uki.build(work / "uki.efi", work, work / "linux", work / "initrd", line,
                  rootfs.os_release("y", y.version), kernel.release(), more)
        out = images.BUNDLES / f"{name}.zip"
        images.create_bundle(out, dataclasses.replace(y, uki=work / "uki.efi"))
        return out.name
    return make


@pytest.fixture(scope="module")
def new_machine(request, variants, bundles):
    """Makes machines with X, or another variant, in slot A and nothing else, or one as a kept one; they are off, and
    go with their module."""
    made = []

    def make(storage="virtio", variant=None, watchdog=None, guest_time=None, begin=None):
        name = re.sub(r"\W", "-", request.node.name.removesuffix(".py"))
        name = "-".join([name, *([watchdog] if watchdog else []), str(len(made))])
        directory = fresh(WORK / "run" / name)
        made.append(Machine(directory, directory / "disk.img", storage, watchdog, guest_time))
        if begin:
            take(begin, made[-1])
        else:
            disk.make(made[-1].disk.path, variant or variants["x"], None if variant else bundles["x.zip"])
        return made[-1]

    yield make
    for machine in made:
        machine.power_cut()
        # 226 MiB each; the console's log stays for whoever looks into a failure.
        machine.disk.path.unlink(missing_ok=True)


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def keep(machine, directory):
    directory.mkdir()
    for path in (machine.disk.path, machine.vars):
        copy(path, directory / path.name)


def take(kept, machine):
    """The machine, which is off, has that disk and that variable store from here on."""
    for path in (machine.disk.path, machine.vars):
        copy(kept / path.name, path)


def make_kept(place, x, bundle, server):
    machine = Machine(fresh(place) / "making", disk.make(place / "disk.img", x, bundle))
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("x", "a")
    machine.check("slotctl mark-good")
    esp = machine.check("awk '$2 == \"/efi\" { print $1 }' /proc/mounts").strip()
    machine.check("umount /efi && sync")
    keep(machine, place / "confirmed")
    machine.check(f"mount -t vfat -o rw,noatime,umask=0077 {esp} /efi")
    machine.check(f"slotctl install {server.url('y.zip')} --activate=none && slotctl mark-active b")
    machine.shutdown()
    keep(machine, place / "furnished")
    machine.disk.path.unlink()


@pytest.fixture(scope="session")
def kept(one_at_a_time, variants, bundles, server):
    """Disks and variable stores that cases begin with: "confirmed", X good in slot A; "furnished", Y besides on trial
    in slot B and preferred, installed and chosen by slotctl. Made once a run, by the worker that comes first."""
    place = WORK / "kept"
    made_by = place / "run"
    this_run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    with one_at_a_time():
        if not made_by.exists() or made_by.read_text() != this_run:
            make_kept(place, variants["x"], bundles["x.zip"], server)
            made_by.write_text(this_run)
    return place


@pytest.fixture(scope="module")
def confirmed(new_machine, kept):
    """Makes a machine that is on, and runs X in slot A, which is confirmed."""
    def make(files=()):
        machine = new_machine(begin=kept / "confirmed")
        for name, content in files:
            machine.disk.esp.write(name, content)
        boot = machine.cold_boot()
        assert (boot.variant, boot.slot) == ("x", "a")
        return machine
    return make


@pytest.fixture(scope="session")
def furnished(kept):
    """A machine for the cases of this worker that begin with the furnished one."""
    machine = Machine(WORK / "run" / f"furnished{WORKER}", WORK / "run" / f"furnished{WORKER}" / "disk.img")
    yield machine
    machine.disk.path.unlink(missing_ok=True)


@pytest.fixture
def machine(furnished, kept):
    """The furnished machine, off and as it was."""
    take(kept / "furnished", furnished)
    yield furnished
    furnished.power_cut()


@pytest.fixture
def install(server):
    """The command line that installs a bundle from the web server."""
    def command(name, activate, *options):
        return " ".join(["slotctl install", server.url(name), f"--activate={activate}", *options])
    return command
