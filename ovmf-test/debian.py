# SPDX-License-Identifier: MIT
"""A real Debian: systemd, udev, dbus, Debian's kernel and its initramfs-tools; slotboot and slotctl from their packages,
which apt takes from a repository of our own. On a disk as docs/GUIDE.md has it: the root is read-only, /var on a partition
of its own.

What a slot holds differs from version to version in a few files only; a case breaks a version by a file in /var."""
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pki
import uki
from paths import HERE, LOADER, SLOTCTL, TOP, WORK, newer_than, run

PLACE = WORK / "debian12"
GUEST = HERE / "guest/debian"
COMPATIBLE = "slotboot-debian"
GUID = "6d2f7e1c-3a50-4b8e-9f47-52c0d1e8b39"        # and the partition's letter: GUIDE.md, step 3
# cryptomgr.notests: without KVM the processor has AES instructions and none of those that its driver expects with them.
COMMAND_LINE = (f"root=PARTUUID={GUID}{{slot}} ro panic=10 slotboot.slot={{slot}} console=ttyS0 no_timer_check "
                "cryptomgr.notests systemd.show_status=no")
PACKAGES = ("dbus", "dosfstools", "e2fsprogs", "efibootmgr", "initramfs-tools", "kmod", "linux-image-cloud-amd64", "mtools",
            "systemd-boot", "systemd-sysv", "udev", "zstd")
OURS = ("slotboot", "slotctl")
ENABLED = {"multi-user.target.wants": ("announce.service", "command-server.service", "systemd-networkd.service"),
           "boot-complete.target.requires": ("gate.service",)}


@dataclass(frozen=True)
class Release:
    version: str
    image: Path
    uki: Path
    bundle: Path


def repository():
    """Our own packages, and an index of them for apt."""
    place = PLACE / "repository"
    if not newer_than(place / "Packages", SLOTCTL, LOADER, *TOP.glob("debian/*"), *TOP.glob("docs/units/*"),
                      *TOP.glob("docs/initramfs-tools/*")):
        shutil.rmtree(place, ignore_errors=True)
        run(TOP / "debian/build-once", place / "tree", "nocheck", f"parallel={os.cpu_count()}", deadline=3600)
        shutil.rmtree(place / "tree")
        (place / "Packages").write_bytes(run("sh", "-c", 'cd "$1" && dpkg-scanpackages --multiversion .', "sh", place))
    return place


def mirror():
    """Where apt gets Debian from on this machine."""
    found = run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(CREATED_BY)|$(REPO_URI)").decode()
    uris = [line.split("|")[3] for line in found.splitlines() if line.startswith("Debian|Debian|Packages|")]
    if not uris:
        raise RuntimeError("apt knows no Debian mirror: run apt-get update")
    return uris[0]


# As docs/GUIDE.md has it: "An installer".
INSTALLER = "/etc/slotboot/installer"
LAYOUT = "--esp-size=256M --slot-size=1G --data=rest"


def _installer_hooks():
    """Leave an initramfs that installs, and no other trace."""
    return [f"--customize-hook={command}" for command in (
        f'mkdir "$1{INSTALLER}"',
        f"upload {pki.identities()['signer'].cert} {INSTALLER}/keyring.pem",
        f'echo "{LAYOUT}" >"$1{INSTALLER}/options"',
        'chroot "$1" mkinitramfs -o /boot/installer.img "$(ls "$1/lib/modules")"',
        f'rm -r "$1{INSTALLER}"')]


def base():
    """The root as a tar archive: Debian's packages and ours."""
    ours = repository()
    out, asked = PLACE / "root.tar", PLACE / "packages"
    if not asked.exists() or asked.read_text().split() != [*PACKAGES, *OURS]:
        asked.write_text("\n".join((*PACKAGES, *OURS)))
    if not newer_than(out, ours / "Packages", asked, __file__, pki.identities()["signer"].cert):
        sources = [f"deb {mirror()} bookworm main", f"deb [trusted=yes] copy://{ours} ./"]
        run("mmdebstrap", "--quiet", "--variant=essential", "--architectures=amd64",
            f"--include={','.join((*PACKAGES, *OURS))}", '--aptopt=Apt::Install-Recommends "false"',
            "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
            *_installer_hooks(), "bookworm", out.with_suffix(".part.tar"), *sources, deadline=3600)
        out.with_suffix(".part.tar").rename(out)
    return out


def _member(archive, prefix):
    """The content of the first file whose name begins so."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(prefix):
                return member.name, tar.extractfile(member).read()
    raise RuntimeError(f"{archive} has no {prefix}")


def _add(tree, name, content, mode=0o644):
    place = tree / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.read_bytes() if isinstance(content, Path) else content.encode())
    place.chmod(mode)


def _overlay(tree, version):
    """What makes an image of Debian ours."""
    _add(tree, "etc/fstab", GUEST / "fstab")
    _add(tree, "etc/machine-id", "5107b007" * 4 + "\n")
    _add(tree, "etc/hostname", "slotboot\n")
    _add(tree, "etc/systemd/journald.conf.d/keep.conf", "[Journal]\nStorage=persistent\n")
    _add(tree, "etc/variant", version + "\n")
    _add(tree, "etc/slotboot/slotboot.conf", GUEST / "slotboot.conf")
    _add(tree, "etc/slotboot/keyring.pem", pki.identities()["signer"].cert)
    _add(tree, "etc/slotboot/health.d/50-order", "#!/bin/sh\nexec /usr/sbin/ordered-fault health\n", 0o755)
    _add(tree, "etc/systemd/network/wired.network", GUEST / "wired.network")
    _add(tree, "usr/sbin/ordered-fault", GUEST / "ordered-fault", 0o755)
    for name in ("announce", "command-server"):
        _add(tree, f"usr/sbin/{name}", HERE / "guest" / name, 0o755)
    for name in ("announce.service", "command-server.service", "gate.service"):
        _add(tree, f"etc/systemd/system/{name}", GUEST / name)
    for wants, names in ENABLED.items():
        (tree / "etc/systemd/system" / wants).mkdir(parents=True, exist_ok=True)
        for name in names:
            place = "/lib" if name.startswith("systemd-") else "/etc"
            (tree / "etc/systemd/system" / wants / name).symlink_to(f"{place}/systemd/system/{name}")
    (tree / "efi").mkdir()


def _os_release(version):
    _, plain = _member(base(), "./usr/lib/os-release")
    return plain.decode() + f"IMAGE_ID={COMPATIBLE}\nIMAGE_VERSION={version}\n"


# As root of its own world: the files' owners are those in the archive.
_MAKE = """set -e
mkdir "$1/root"
tar -x -C "$1/root" -f "$2"
rm -rf "$1/root/boot/"*
cp -r --preserve=mode,links --no-dereference --remove-destination "$1/overlay/." "$1/root"
size=$(du -s --block-size=1M "$1/root" | cut -f 1)
mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$1/root" "$1/root.img" $((size * 5 / 4 + 16))M
"""


def _image(out, version):
    work = PLACE / f"work-{version}"
    shutil.rmtree(work, ignore_errors=True)
    (work / "overlay").mkdir(parents=True)
    _overlay(work / "overlay", version)
    _add(work / "overlay", "usr/lib/os-release", _os_release(version))
    run("fakeroot", "sh", "-c", _MAKE, "sh", work, base())
    (work / "root.img").rename(out)
    shutil.rmtree(work)


def _uki(out, version, initrd="./boot/initrd.img-", command_line=COMMAND_LINE):
    work = PLACE / f"work-uki-{version}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    name, kernel = _member(base(), "./boot/vmlinuz-")
    (work / "linux").write_bytes(kernel)
    (work / "initrd").write_bytes(_member(base(), initrd)[1])
    uki.build(out, work, work / "linux", work / "initrd", command_line, _os_release(version),
              name.removeprefix("./boot/vmlinuz-"))
    shutil.rmtree(work)


def release(version):
    """A version of the system, built again only if something that it is made of is newer."""
    made = Release(version, *(PLACE / f"{stem}-{version}.{kind}" for stem, kind in
                              (("root", "img"), ("uki", "efi"), ("update", "zip"))))
    signer = pki.identities()["signer"]
    if not newer_than(made.bundle, base(), __file__, *GUEST.iterdir(), HERE / "guest/announce", HERE / "guest/command-server",
                      signer.cert):
        _image(made.image, version)
        _uki(made.uki, version)
        run(SLOTCTL, "bundle", "create", "--output", made.bundle, "--uki", made.uki, "--image", f"rootfs={made.image}",
            "--key", signer.key, "--cert", signer.cert, "--level=1")
    return made


def provision(path, first):
    """A disk with this release in slot A."""
    run(SLOTCTL, "provision", path, f"--bundle={first.bundle}", f"--keyring={pki.identities()['signer'].cert}",
        f"--loader={LOADER}", "--size=3G", *LAYOUT.split())


def installer(path, bundle_url):
    """A stick whose UKI installs that bundle on the first virtio disk, and switches the machine off."""
    uki_file = PLACE / "installer.efi"
    _uki(uki_file, "installer", "./boot/installer.img",
         f"slotboot.install=/dev/vda slotboot.bundle={bundle_url} ip=dhcp panic=-1 console=ttyS0 no_timer_check cryptomgr.notests")
    with open(path, "wb") as stick:
        stick.truncate(160 << 20)
    run("sfdisk", "--quiet", path, stdin=b"label: gpt\ntype=uefi\n")
    run("mformat", "-i", f"{path}@@1M", "-F", "-T", str((158 << 20) // 512), "-h", "64", "-s", "32", "::")
    run("mmd", "-i", f"{path}@@1M", "::EFI", "::EFI/BOOT")
    run("mcopy", "-i", f"{path}@@1M", uki_file, "::EFI/BOOT/BOOTX64.EFI")
