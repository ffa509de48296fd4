# SPDX-License-Identifier: MIT
"""The scripts for an initramfs, on files: what they ask for is a stub, and their absolute paths are below a directory.
ovmf-test/ boots them."""
import os
import re
import subprocess
from pathlib import Path

import pytest
from drymachine import TOP

SCRIPTS = TOP / "docs/initramfs-tools"
NODE = next((p for p in sorted(Path("/dev").iterdir()) if p.is_block_device()), None)
FUNCTIONS = 'wait_for_udev() { :; }\nlog_success_msg() { echo "$@"; }\npanic() { echo "panic: $*"; exit; }\n'
pytestmark = pytest.mark.skipif(not NODE, reason="no block device is here")


class Initramfs:
    def __init__(self, top, cmdline):
        self.top = top
        for directory in ("bin", "sbin", "proc", "scripts", "dev/disk/by-partlabel", "sys/firmware/efi/efivars",
                          "etc/slotboot/installer"):
            (top / directory).mkdir(parents=True)
        (top / "proc/cmdline").write_text(cmdline + "\n")
        (top / "scripts/functions").write_text(FUNCTIONS)
        for name in ("modprobe", "mount", "umount", "sync", "udevadm"):
            self.put(name, ":")

    def put(self, name, text, place="bin"):
        (self.top / place / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.top / place / name).chmod(0o755)

    def partitions(self, *names):
        """A shell's words that make them."""
        return "\n".join(f"ln -sf {NODE} {self.top}/dev/disk/by-partlabel/slotboot-{name}" for name in names)

    def run(self, script):
        text = re.sub(r"(?<![\w/.$])/(dev/disk|dev/kmsg|proc|sbin|scripts|sys|etc)\b", rf"{self.top}/\1", script.read_text())
        done = subprocess.run(["sh", "-c", text, "sh"], capture_output=True, text=True, timeout=1800,
                              env={**os.environ, "PATH": f"{self.top}/bin:{self.top}/sbin:{os.environ['PATH']}"})
        slept = self.top / "slept"
        return done.stdout, len(slept.read_text().splitlines()) if slept.exists() else 0


@pytest.fixture
def verity(tmp_path):
    initramfs = Initramfs(tmp_path, "roothash=abc systemd.verity_root_options=hash-offset=4096 slotboot.slot=b")
    initramfs.put("veritysetup", f'echo "$*" >>{tmp_path}/opened', "sbin")
    initramfs.put("dd", ":")
    initramfs.put("sleep", f"echo >>{tmp_path}/slept")
    return initramfs


def test_a_disk_that_comes_late_is_waited_for(verity):
    verity.put("sleep", f"echo >>{verity.top}/slept\n[ $(wc -l <{verity.top}/slept) -lt 3 ] && exit\n{verity.partitions('a', 'b')}")
    out, slept = verity.run(SCRIPTS / "verity-script")
    assert (out, slept) == ("slotboot: the root is slot b's\n", 3)
    assert f"open {verity.top}/dev/disk/by-partlabel/slotboot-b root " in (verity.top / "opened").read_text()


def test_a_disk_that_does_not_come_is_not_waited_for_for_ever(verity):
    out, slept = verity.run(SCRIPTS / "verity-script")
    assert out == "panic: slotboot: no slot has an image with the root hash abc\n" and slept == 30


def test_where_both_slots_are_there_and_have_another_image_nothing_is_waited_for(verity):
    verity.put("dd", "exit 1")
    subprocess.run(["sh", "-c", verity.partitions("a", "b")], check=True)
    out, slept = verity.run(SCRIPTS / "verity-script")
    assert out.startswith("panic: ") and slept == 0


def test_in_dracuts_initramfs_dracut_waits(verity):
    (verity.top / "scripts/functions").write_text((TOP / "docs/dracut/functions").read_text().replace("/dev/kmsg", f"{verity.top}/kmsg"))
    assert verity.run(SCRIPTS / "verity-script")[1] == 0
    assert "no slot has an image" in (verity.top / "kmsg").read_text()


def test_an_installer_that_is_done_waits_for_the_power_to_go(tmp_path):
    """Also with klibc's sleep, which knows no "infinity"."""
    initramfs = Initramfs(tmp_path, f"slotboot.install={NODE}")
    initramfs.put("slotctl", ":")
    initramfs.put("sleep", f"echo >>{tmp_path}/slept\n[ $(wc -l <{tmp_path}/slept) -lt 3 ] || kill -9 $PPID\n"
                           "case $1 in *[!0-9]*) exit 1;; esac")
    out, slept = initramfs.run(SCRIPTS / "installer-script")
    assert (out, slept) == (f"slotboot: {NODE} is installed; switching off\n", 3)
    assert (tmp_path / "proc/sysrq-trigger").read_text() == "o\n"
