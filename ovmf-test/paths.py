# SPDX-License-Identifier: MIT
"""Where things are, and running a tool so that its failure says what it was."""
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import arch

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
BUILD = Path(os.environ.get("SLOTBOOT_BUILD", TOP / "build")).resolve()
ARCH = arch.of(BUILD)
WORK = BUILD / "ovmf-test"
SLOTCTL = BUILD / "slotctl"
BUNDLER = SLOTCTL if ARCH is arch.X64 else BUILD.parent / "slotctl"     # the build machine's
LOADER = BUILD / "efi" / f"slotboot{ARCH.name}.efi"
FALLBACK = f"EFI/BOOT/BOOT{ARCH.name.upper()}.EFI"
# Where the test OS's programs come from: the host, or what install-deps unpacked for another architecture.
PROGRAMS = Path("/") if ARCH is arch.X64 else WORK / "programs" / "root"
STUB = PROGRAMS / f"usr/lib/systemd/boot/efi/linux{ARCH.name}.efi.stub"
DEBIAN_13 = WORK / "debian13"       # what install-deps unpacked of it
# Debian 13's where it could be had: it starts in half the time of Debian 12's, which looks for a TPM for 2.3 s.
_NEWER = DEBIAN_13 / "root/usr/share/OVMF"
OVMF = Path(os.environ.get("OVMF") or (_NEWER if _NEWER.exists() else "/usr/share/OVMF"))
FIRMWARE = OVMF if ARCH is arch.X64 else Path("/usr/share/AAVMF")

# Debian keeps veritysetup, mkfs.vfat and nginx out of an ordinary user's PATH.
ENV = {**os.environ, "PATH": os.environ.get("PATH", "/usr/bin") + ":/usr/sbin:/sbin", "LC_ALL": "C"}

# Without the last two it waits a quarter of a second, of an image file, too, before the kernel is to look again.
SFDISK = ("/usr/sbin/sfdisk", "--quiet", "--no-reread", "--no-tell-kernel")

# Put before a server's command line: it dies with the test run, even one that is killed itself.
# (With the thread that started it, to be exact: start servers from the main thread.)
DIE_WITH_US = ("setpriv", "--pdeathsig", "TERM")


def run(*argv, stdin=None, env=None, deadline=600):
    """Run a tool to its end; its stdout as bytes. A failure carries its stderr."""
    done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True,
                          env={**ENV, **(env or {})}, timeout=deadline)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n"
                           f"{done.stderr.decode(errors='replace')}{done.stdout.decode(errors='replace')}")
    return done.stdout


def copy(source, target):
    """A file that is mostly holes, as a disk is, over another."""
    run("cp", "--sparse=always", "--reflink=auto", "--remove-destination", source, target)


def newer_than(product, *sources):
    """True if product exists and no source is newer: it need not be built again."""
    product = Path(product)
    if not product.exists():
        return False
    made = product.stat().st_mtime_ns
    return all(Path(s).stat().st_mtime_ns <= made for s in sources if Path(s).exists())


def work_alone():
    """Wait until no other run uses the build directory; it stays ours until this process ends."""
    WORK.mkdir(parents=True, exist_ok=True)
    lock = open(WORK / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another run uses {WORK}; waiting for its end", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
