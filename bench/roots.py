# SPDX-License-Identifier: MIT
"""Roots of Debian 12 to make images of. Needs root, debootstrap, and a Debian mirror that apt knows."""
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "ovmf-test"))
import debian  # noqa: E402

from peers import BUILD  # noqa: E402

PLACE = BUILD / "bench" / "roots"
INCLUDED = "openssl,apt-utils,systemd,udev,dbus,iproute2"


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, **more)


def _emptied(root, directory):
    shutil.rmtree(root / directory)
    (root / directory).mkdir()


def point_release(mirror=None):
    """As the last point release has it."""
    root, part = PLACE / "old", PLACE / "old.part"
    PLACE.mkdir(parents=True, exist_ok=True)
    if not root.exists():
        shutil.rmtree(part, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={INCLUDED}", "bookworm", part,
            mirror or debian.mirror(), stdout=subprocess.DEVNULL)
        for junk in ("var/cache/apt", "var/lib/apt/lists", "var/log"):
            _emptied(part, junk)
        part.rename(root)
    return root


def updated(root, name, packages):
    """A copy of root with the packages as apt has them now, those of the security archive among them."""
    new, part, debs = PLACE / name, PLACE / f"{name}.part", PLACE / f"{name}.debs"
    if new.exists():
        return new
    for path in (part, debs):
        shutil.rmtree(path, ignore_errors=True)
    run("cp", "-a", root, part)
    debs.mkdir()
    run("apt-get", "-qq", "download", *packages, cwd=debs, stderr=subprocess.DEVNULL)
    for deb in debs.glob("*.deb"):
        shutil.copy(deb, part / "root")
    # Twice: dpkg leaves out what depends, before it is unpacked, on another one of them.
    run("chroot", part, "sh", "-c", "{ dpkg -i /root/*.deb || dpkg -i /root/*.deb; } && rm /root/*.deb",
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _emptied(part, "var/log")
    part.rename(new)
    return new


def outdated(root):
    """Names of the packages of which apt knows another version now."""
    def versions(*argv):
        return dict(line.split() for line in run(*argv, stdout=subprocess.PIPE, text=True).stdout.splitlines())
    held = versions("chroot", root, "dpkg-query", "-W", "-f", "${Package} ${Version}\n")
    policy = run("apt-cache", "policy", *held, stdout=subprocess.PIPE, text=True).stdout
    names = [line[:-1] for line in policy.splitlines() if line[:1].strip()]
    now = [line.split()[1] for line in policy.splitlines() if line.startswith("  Candidate:")]
    return sorted(name for name, version in zip(names, now) if held.get(name) not in (None, version))
