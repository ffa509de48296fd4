# SPDX-License-Identifier: MIT
"""Real Debians: systemd, udev, dbus, Debian's kernel and its initramfs; slotboot and slotctl from their packages, which apt
takes from a repository of our own. On a disk as docs/GUIDE.md has it: the root is read-only, /var on a partition of its own.

What a slot holds differs from version to version in a few files only; a case breaks a version by a file in /var."""
import os
import re
import shutil
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import debian13
import pki
import uki
from machine import Machine
from paths import BUILD, HERE, LOADER, SFDISK, SLOTCTL, TOP, WORK, copy, newer_than, run

GUEST = HERE / "guest/debian"
LUKS = HERE / "guest/debian-luks"
COMPATIBLE = "slotboot-debian"
GUID = "6d2f7e1c-3a50-4b8e-9f47-52c0d1e8b39"        # and the partition's letter: GUIDE.md, step 3
# cryptomgr.notests: without KVM the processor has AES instructions and none of those that its driver expects with them.
ALWAYS = "ro panic=10 console=ttyS0 no_timer_check cryptomgr.notests"
COMMAND_LINE = f"root=PARTUUID={GUID}{{slot}} slotboot.slot={{slot}} systemd.show_status=no {ALWAYS}"
PACKAGES = ("cryptsetup-bin", "dbus", "dosfstools", "e2fsprogs", "efibootmgr", "kmod", "linux-image-cloud-amd64", "mtools",
            "systemd-boot", "systemd-sysv", "udev", "zstd")
OURS = ("slotboot", "slotctl")
ENABLED = {"multi-user.target.wants": ("announce.service", "command-server.service", "systemd-networkd.service"),
           "boot-complete.target.requires": ("gate.service",)}
KERNEL = '"$(ls "$1/lib/modules")"'     # its version, in a hook
# As docs/GUIDE.md has it: "An installer".
INSTALLER = "/etc/slotboot/installer"
LAYOUT = "--esp-size=256M --slot-size=1G --data=rest"


@dataclass(frozen=True)
class Release:
    version: str
    image: Path
    uki: Path
    bundle: Path


def mirror():
    """Where apt gets Debian from on this machine."""
    found = run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(CREATED_BY)|$(REPO_URI)").decode()
    uris = [line.split("|")[3] for line in found.splitlines() if line.startswith("Debian|Debian|Packages|")]
    if not uris:
        raise RuntimeError("apt knows no Debian mirror: run apt-get update")
    return uris[0]


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
    # For snapshots that LVM makes; it takes three seconds of the processor.
    (tree / "etc/systemd/system/e2scrub_reap.service").symlink_to("/dev/null")


# As root of its own world: the files' owners are those in the archive.
_MAKE = """set -e
mkdir "$1/root"
tar -x -C "$1/root" -f "$2"
rm -rf "$1/root/boot/"* "$1/root/usr/share/man" "$1/root/usr/share/locale" "$1/root/usr/share/doc"
cp -r --preserve=mode,links --no-dereference --remove-destination "$1/overlay/." "$1/root"
size=$(du -s --block-size=1M "$1/root" | cut -f 1)
truncate -s $((size * 5 / 4 + 16))M "$1/root.img"
eval "$3"
"""
_MKFS = {"ext4": 'mke2fs -q -t ext4 -b 4096 -O ^has_journal -m 0 -d "$1/root" "$1/root.img"',
         "btrfs": 'mkfs.btrfs -q --rootdir "$1/root" "$1/root.img"'}


class Debian:
    """One of Debian's versions, and releases of a system made of it."""

    def __init__(self, number, suite, packages):
        self.place = WORK / f"system{number}"
        self.number, self.suite, self.packages = number, suite, sorted((*PACKAGES, *packages))

    def _build_packages(self, place):
        """On Debian 12, where this runs, or in a root of the other."""
        if self.number == 12:
            # Of what is tested elsewhere, too; make deb compiles it as Debian would.
            run("env", "WITH_OBJECTS=yes", f"BUILD={BUILD}", TOP / "debian/build-once", place / "tree", "nocheck",
                f"parallel={os.cpu_count()}", deadline=3600)
            shutil.rmtree(place / "tree")
        else:
            run(TOP / "debian/build-on-13", place / "log", place, deadline=3600)

    def repository(self):
        """Our own packages, and an index of them for apt."""
        place = self.place / "repository"
        if not newer_than(place / "Packages", SLOTCTL, LOADER, *TOP.glob("debian/*"), *TOP.glob("docs/units/*"),
                          *TOP.glob("docs/initramfs-tools/*")):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            self._build_packages(place)
            (place / "Packages").write_bytes(run("sh", "-c", 'cd "$1" && dpkg-scanpackages --multiversion .', "sh", place))
        return place

    def base(self):
        """The root as a tar archive: Debian's packages and ours."""
        ours = self.repository()
        out, asked = self.place / "root.tar", self.place / "packages"
        wanted = [*self.packages, *OURS]
        if not asked.exists() or asked.read_text().split() != wanted:
            asked.write_text("\n".join(wanted))
        if not newer_than(out, ours / "Packages", asked, __file__, pki.identities()["signer"].cert):
            sources = [f"deb {mirror()} {self.suite} main", f"deb [trusted=yes] copy://{ours} ./"]
            # INITRD=No: made once, at the end. With the hooks there is no need for usrmerge and all of perl. No path is
            # excluded: mmdebstrap would send each package through a filter in Python.
            initramfs = "mkinitramfs -o" if self.number == 12 else "dracut --quiet --no-hostonly --force"
            run("env", "INITRD=No", "mmdebstrap", "--quiet", "--variant=essential", "--architectures=amd64",
                f"--include={','.join(wanted)}", "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
                '--aptopt=Apt::Install-Recommends "false"', "--dpkgopt=force-unsafe-io",
                f'--customize-hook=chroot "$1" {initramfs} /boot/initrd.img-{self.number} {KERNEL}',
                self.suite, out.with_suffix(".part.tar"), *sources, deadline=3600)
            out.with_suffix(".part.tar").rename(out)
        return out

    def _initramfs(self, kind, *furnish):
        """One of another kind, by initramfs-tools, in the base as these commands furnish it."""
        out = self.place / f"initramfs-{kind}.img"
        if not newer_than(out, self.base(), __file__, pki.identities()["signer"].cert):
            part = out.with_suffix(".part")
            commands = (*furnish, f'chroot "$1" mkinitramfs -o /boot/made.img {KERNEL}', f"download /boot/made.img {part}")
            run("mmdebstrap", "--quiet", "--variant=custom",
                f"""--setup-hook=mmtarfilter "--path-exclude=/dev/*" <{self.base()} | tar -C "$1" -x""",
                *(f"--customize-hook={command}" for command in commands), "", "/dev/null", deadline=3600)
            part.rename(out)
        return out

    def _os_release(self, version):
        _, plain = _member(self.base(), "./usr/lib/os-release")
        return plain.decode() + f"IMAGE_ID={COMPATIBLE}\nIMAGE_VERSION={version}\n"

    def _work(self, name):
        work = self.place / f"work-{name}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        return work

    def _image(self, out, version, file_system="ext4", files=()):
        """files: more of ours; see _add()."""
        work = self._work(version)
        _overlay(work / "overlay", version)
        _add(work / "overlay", "usr/lib/os-release", self._os_release(version))
        for file in files:
            _add(work / "overlay", *file)
        run("fakeroot", "sh", "-c", _MAKE, "sh", work, self.base(), _MKFS[file_system])
        (work / "root.img").rename(out)
        shutil.rmtree(work)

    def _uki(self, out, version, initramfs=None, command_line=COMMAND_LINE):
        """With the stub of that Debian, and the base's initramfs, unless another is named."""
        work = self._work(f"uki-{version}")
        name, kernel = _member(self.base(), "./boot/vmlinuz-")
        (work / "linux").write_bytes(kernel)
        initramfs = initramfs or work / "initrd"
        if not initramfs.exists():
            initramfs.write_bytes(_member(self.base(), "./boot/initrd.img-")[1])
        (work / "osrel").write_text(self._os_release(version))
        uname = name.removeprefix("./boot/vmlinuz-")
        if self.number == 12:
            uki.build(out, work, work / "linux", initramfs, command_line, self._os_release(version), uname)
        else:
            debian13.ukify(f"--stub={debian13.stub('linuxx64.efi.stub')}", f"--linux={work / 'linux'}",
                           f"--initrd={initramfs}", f"--cmdline={command_line}", f"--os-release=@{work / 'osrel'}",
                           f"--uname={uname}", f"--output={out}")
        shutil.rmtree(work)

    def _bundle(self, made, *images):
        signer = pki.identities()["signer"]
        run(SLOTCTL, "bundle", "create", "--output", made.bundle, "--uki", made.uki, *(f"--image={image}" for image in images),
            "--key", signer.key, "--cert", signer.cert, "--level=1")

    def _made(self, kind, version):
        return Release(version, self.place / f"root{kind}-{version}.img", self.place / f"uki{kind}-{version}.efi",
                       self.place / f"update{kind}-{version}.zip")

    def release(self, version):
        """A version of the system, built again only if something that it is made of is newer."""
        made = self._made("", version)
        if not newer_than(made.bundle, self.base(), __file__, *GUEST.iterdir(), HERE / "guest/announce",
                          HERE / "guest/command-server", pki.identities()["signer"].cert):
            self._image(made.image, version)
            self._uki(made.uki, version)
            self._bundle(made, f"rootfs={made.image}")
        return made

    def verity_release(self, version, tree="behind"):
        """The same with a dm-verity tree behind the file system, or in a file of its own, for initramfs-tools: our script
        looks for the slot, so that the command line is the same in both."""
        plain, made = self.release(version), self._made(f"-verity-{tree}", version)
        if newer_than(made.bundle, plain.bundle, __file__):
            return made
        copy(plain.image, made.image)
        offset = made.image.stat().st_size
        where = [made.image, f"--hash-offset={offset}"] if tree == "behind" else [made.image.with_suffix(".verity")]
        said = run("veritysetup", "format", made.image, *where, "--salt=00").decode()
        root = re.search(r"Root hash:\s*([0-9a-f]+)", said)[1]
        option = f"systemd.verity_root_options=hash-offset={offset} " if tree == "behind" else ""
        initramfs = self._initramfs("verity", 'touch "$1/etc/slotboot/verity"')
        self._uki(made.uki, version, initramfs, f"root=/dev/mapper/root {ALWAYS} roothash={root} {option}systemd.verity=no")
        self._bundle(made, *([f"rootfs={made.image},roothash={root}"] if tree == "behind" else
                             [f"rootfs={made.image}", f"rootfs-verity={where[0]},roothash={root}"]))
        return made

    def overlay_release(self, version):
        """The same below an overlay whose upper part is in memory, by Debian's package overlayroot."""
        plain, made = self.release(version), self._made("-overlay", version)
        if not newer_than(made.bundle, plain.bundle, __file__):
            self._uki(made.uki, version, command_line=f"{COMMAND_LINE} overlayroot=tmpfs:recurse=0")
            self._bundle(made, f"rootfs={plain.image}")
        return made

    def luks_release(self, version):
        """The same on btrfs, with /var in LUKS, by a key in the image: the first boot makes it."""
        plain, made = self.release(version), self._made("-luks", version)
        if not newer_than(made.bundle, plain.bundle, __file__, *LUKS.iterdir()):
            self._image(made.image, version, "btrfs", [
                ("etc/fstab", LUKS / "fstab"), ("etc/crypttab", LUKS / "crypttab"),
                ("etc/slotboot/data.key", "of a test\n", 0o600),
                ("etc/systemd/system/systemd-cryptsetup@data.service.d/make.conf", LUKS / "make-data.conf")])
            copy(plain.uki, made.uki)
            self._bundle(made, f"rootfs={made.image}")
        return made

    def installer(self, path, bundle_url):
        """A stick whose UKI installs that bundle on the first virtio disk, and switches the machine off."""
        uki_file = self.place / "installer.efi"
        initramfs = self._initramfs("installer", f'mkdir "$1{INSTALLER}"', f'echo "{LAYOUT}" >"$1{INSTALLER}/options"',
                                    f"upload {pki.identities()['signer'].cert} {INSTALLER}/keyring.pem")
        self._uki(uki_file, "installer", initramfs,
                  f"slotboot.install=/dev/vda slotboot.bundle={bundle_url} ip=dhcp {ALWAYS} panic=-1")
        with open(path, "wb") as stick:
            stick.truncate(160 << 20)
        run(*SFDISK, path, stdin=b"label: gpt\ntype=uefi\n")
        run("mformat", "-i", f"{path}@@1M", "-F", "-T", str((158 << 20) // 512), "-h", "64", "-s", "32", "::")
        run("mmd", "-i", f"{path}@@1M", "::EFI", "::EFI/BOOT")
        run("mcopy", "-i", f"{path}@@1M", uki_file, "::EFI/BOOT/BOOTX64.EFI")


def system(number):
    """Of Debian 12 or 13."""
    return Debian(number, *{12: ("bookworm", ("busybox", "initramfs-tools", "overlayroot")), 13: ("trixie", ("dracut",))}[number])


def provision(path, first):
    """A disk with this release in slot A."""
    run(SLOTCTL, "provision", path, f"--bundle={first.bundle}", f"--keyring={pki.identities()['signer'].cert}",
        f"--loader={LOADER}", f"--guid={GUID}0", "--size=3G", *LAYOUT.split())


@contextmanager
def machine(name, first):
    """One of that name with this release, after its first boot, which is its member first."""
    directory = WORK / "run" / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    provision(directory / "disk.img", first)
    machine = Machine(directory, directory / "disk.img", guest_time="waits")
    machine.first = machine.cold_boot()
    yield machine
    machine.power_cut()
    machine.disk.path.unlink()
