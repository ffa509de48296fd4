# SPDX-License-Identifier: MIT
"""Roots of Debian 12, and ext4 images of them. Needs root, debootstrap, mmdebstrap, and a Debian mirror that apt knows."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "ovmf-test"))
import debian  # noqa: E402

from peers import BUILD, tool  # noqa: E402

PLACE = BUILD / "bench" / "roots"
INCLUDED = "openssl,apt-utils,systemd,udev,dbus,iproute2"
SERVER = (f"{INCLUDED},systemd-sysv,apache2,bind9-dnsutils,curl,g++,gcc,ghostscript,git,haproxy,imagemagick,less,"
          "locales,make,man-db,openssh-client,openssh-server,p7zip-full,perl,php-cli,poppler-utils,python3,"
          "python3-dev,python3-django,python3-lxml,redis-server,rsync,rsyslog,ruby,strace,sudo,tcpdump,tmux,tzdata,vim,wget,"
          "xz-utils,zstd")
BLOCK = 4096
UUID = "00000000-0000-0000-0000-000000000001"


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


def server():
    """One of about 1 GB, as the last point release has it. debootstrap leaves some of its packages unconfigured."""
    root, part = PLACE / "server", PLACE / "server.part"
    PLACE.mkdir(parents=True, exist_ok=True)
    if not root.exists():
        shutil.rmtree(part, ignore_errors=True)
        run("mmdebstrap", "--quiet", "--mode=root", "--variant=essential", "--architectures=amd64", f"--include={SERVER}",
            '--aptopt=Apt::Install-Recommends "false"', "bookworm", part, f"deb {debian.mirror()} bookworm main")
        _emptied(part, "var/log")
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
    policy = part / "usr/sbin/policy-rc.d"      # no package is to start what it installs
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    # Twice: dpkg leaves out what depends, before it is unpacked, on another one of them.
    run("chroot", part, "sh", "-c", "{ dpkg -i /root/*.deb || dpkg -i /root/*.deb; } && rm /root/*.deb",
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    policy.unlink()
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


def ext4_of(root, out, size):
    """The same root makes the same image, byte for byte, and a changed one as little else as can be."""
    with open(out, "wb") as file:
        file.truncate(size)
    tool("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), "-O", "^has_journal", "-U", UUID, "-E", f"hash_seed={UUID}", "-d", root,
         out, env={**os.environ, "E2FSPROGS_FAKE_TIME": "1"})
    # mkfs takes over when a file was read and when its inode changed: in a copy of a root that is now.
    told = run("dumpe2fs", "-h", out, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    count, free = (int(re.search(rf"^{name}: +(\d+)$", told, re.M)[1]) for name in ("Inode count", "Free inodes"))
    tool("debugfs", "-w", "-f", "-", out, input="".join(f"sif <{inode}> {time} @1\n" for inode in range(2, count - free + 1)
                                                       for time in ("ctime", "atime")).encode())
