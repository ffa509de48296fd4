# SPDX-License-Identifier: MIT
"""An initramfs that Debian 13's dracut has made with the module of our package: it opens the root under dm-verity, as
docs/GUIDE.md has it, of the slot that is named, else of whichever has the image. No firmware: QEMU starts the kernel. What
the loader says, and all of a system, are in test_debian_verity.py, on Debian 12, with the same script."""
import re
import shutil
import subprocess

import pytest

import debian
from accel import accelerator
from paths import ARCH, DIE_WITH_US, ENV, SFDISK, TOP, WORK, newer_than, run

PLACE = WORK / "dracut"
PACKAGES = ("cryptsetup-bin", "dracut", "linux-image-cloud-amd64", "systemd-sysv", "udev", "zstd")
MODULE = "usr/lib/dracut/modules.d/90slotboot-verity"
INIT = """#!/bin/sh
echo "<2>ROOT of $(cat /sys/class/block/dm-0/slaves/*/partition), $(cat /etc/version)" >/dev/kmsg
/bin/poweroff -f
"""


@pytest.fixture(scope="module")
def boot_files():
    """The kernel and the initramfs."""
    linux, initrd = PLACE / "linux", PLACE / "initrd"
    ours = [*sorted((TOP / "docs/dracut").iterdir()), TOP / "docs/initramfs-tools/verity-script"]
    PLACE.mkdir(exist_ok=True)
    if not newer_than(initrd, __file__, *ours):
        files = {f"/{MODULE}/{path.name}": path for path in ours[:-1]}
        files["/usr/share/initramfs-tools/scripts/local-top/slotboot-verity"] = ours[-1]
        hooks = [f'mkdir -p "$1/{MODULE}" "$1/usr/share/initramfs-tools/scripts/local-top" "$1/etc/slotboot"',
                 *(f"upload {path} {name}" for name, path in files.items()),
                 f'chmod 755 "$1/{MODULE}/module-setup.sh" "$1/{MODULE}/settled.sh"', 'touch "$1/etc/slotboot/verity"',
                 f'chroot "$1" dracut --quiet --no-hostonly --force /boot/made {debian.KERNEL}',
                 f"download /boot/made {initrd}.part", f'cp "$1"/boot/vmlinuz-* {linux}']
        run("env", "INITRD=No", "mmdebstrap", "--quiet", "--variant=essential", "--architectures=amd64",
            f"--include={','.join(PACKAGES)}", '--aptopt=Apt::Install-Recommends "false"', "--dpkgopt=force-unsafe-io",
            *(f"--customize-hook={hook}" for hook in hooks), "trixie", "/dev/null", f"deb {debian.mirror()} trixie main",
            deadline=3600)
        (PLACE / "initrd.part").rename(initrd)
    return linux, initrd


def image(version, tree):
    """A root file system of its own init, and its root hash."""
    root, out = PLACE / "root", PLACE / f"root-{version}.img"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "sbin", "usr/lib", "etc", "proc", "sys", "dev", "run", "tmp", "var", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in ("sh", "cat", "poweroff"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/version").write_text(f"version {version}")
    (root / "usr/lib/os-release").write_text("ID=test\n")
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "sbin/init").write_text(INIT)
    (root / "sbin/init").chmod(0o755)
    out.unlink(missing_ok=True)
    run("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", root, out, "8M")
    where = [out, f"--hash-offset={8 << 20}"] if tree == "behind" else [out.with_suffix(".verity")]
    said = run("veritysetup", "format", out, *where, "--salt=00").decode()
    return out, where[0], re.search(r"Root hash:\s*([0-9a-f]+)", said)[1]


def disk_of(slots, tree):
    """Partitions as slotctl provision has them; slots: the version in each, or None."""
    out = PLACE / "disk.img"
    out.unlink(missing_ok=True)
    with open(out, "wb") as file:
        file.truncate(96 << 20)
    names = [f"slotboot-{slot}{kind}" for slot in "ab" for kind in ("", "-rootfs-verity")]
    table = "".join(f"start={16 * number + 16}MiB, size=12MiB, name={name}\n" for number, name in enumerate(names))
    run(*SFDISK, out, stdin=f"label: gpt\n{table}".encode())
    images = {version: image(version, tree) for version in set(slots) - {None}}
    for at, version in zip((16, 48), slots):
        if version is None:
            continue
        root, hash_tree, _ = images[version]
        for start, content in ((at, root), (at + 16, hash_tree if tree == "apart" else None)):
            if content:
                run("dd", f"if={content}", f"of={out}", "bs=1M", f"seek={start}", "conv=notrunc", "status=none")
    return out, {version: root_hash for version, (_, _, root_hash) in images.items()}


def boot(files, disk, words):
    """What the console had to say, until the machine was off or had reset."""
    accel = accelerator()
    done = subprocess.run(
        [*DIE_WITH_US, ARCH.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
         "-machine", ARCH.machine, "-accel", accel, "-cpu", "host" if accel == "kvm" else ARCH.cpu, "-m", "1024",
         "-kernel", files[0], "-initrd", files[1],
         "-append", "console=ttyS0 loglevel=4 no_timer_check cryptomgr.notests panic=10 ro root=/dev/mapper/root "
         f"systemd.verity=no rd.shell=0 rd.emergency=reboot {words}", "-serial", "stdio",
         "-drive", f"if=none,id=disk,format=raw,cache=unsafe,file={disk}", "-device", "virtio-blk-pci,drive=disk"],
        env=ENV, stdin=subprocess.DEVNULL, capture_output=True, timeout=1800)
    return done.stdout.decode(errors="replace")


def option(tree):
    return f"systemd.verity_root_options=hash-offset={8 << 20}" if tree == "behind" else ""


@pytest.mark.parametrize("tree", ("behind", "apart"))
def test_the_root_is_the_slots_that_has_the_image(boot_files, tree):
    disk, hashes = disk_of((1, 2), tree)
    said = boot(boot_files, disk, f"roothash={hashes[2]} {option(tree)}")
    assert "ROOT of 3" in said and "version 2" in said, said[-3000:]


def test_where_both_have_it_it_is_the_slots_that_is_named(boot_files):
    disk, hashes = disk_of((1, 1), "behind")
    for slot, number in (("a", 1), ("b", 3)):
        said = boot(boot_files, disk, f"roothash={hashes[1]} {option('behind')} slotboot.slot={slot}")
        assert f"ROOT of {number}, version 1" in said, said[-3000:]


def test_where_no_slot_has_the_image_the_machine_resets(boot_files):
    disk, hashes = disk_of((1, None), "behind")
    said = boot(boot_files, disk, f"roothash={'0' * 64} {option('behind')} rd.timeout=20 rd.retry=10")
    assert "reboot: Restarting system" in said and "ROOT of" not in said, said[-3000:]
