# SPDX-License-Identifier: MIT
"""What the cases that run slotctl on files share."""
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "linux-agent/testing"), str(TOP / "ovmf-test")]
import pki  # noqa: E402
from drymachine import SLOTCTL, DryMachine, first_version, make_parts, pack  # noqa: E402
from rows import print_quirks  # noqa: E402


def pytest_terminal_summary(terminalreporter):
    print_quirks(terminalreporter)


@pytest.fixture
def quirk(record_property, tmp_path):
    """Enters a row in the table of quirks: the surroundings, what slotctl did there, and what it says of them."""
    return lambda *cells: record_property("quirk", [cell.replace(f"{tmp_path}/", "") for cell in cells])


@pytest.fixture(scope="session")
def identities(tmp_path_factory):
    return pki.identities(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def machine(tmp_path, identities, parts):
    """Confirmed: slot a runs version 1, provisioned from a bundle, and is good."""
    machine = DryMachine(tmp_path, identities["signer"].cert, parts / "first.efi")
    with zipfile.ZipFile(first_version(identities, parts)) as z:
        for name in ("manifest.json", "manifest.p7s"):
            z.extract(name, tmp_path / "esp/EFI/slotboot/a")
    machine.check("mark-good")
    return machine


@pytest.fixture
def create(tmp_path, identities, parts):
    """Makes a bundle with slotctl itself; each once, for under ASan that takes seconds, and a copy for the case."""
    def create(version="2", compatible="acme", who="signer", image="rootfs"):
        kept = parts / f"bundle-{version}-{compatible}-{who}-{image}.zip"
        if not kept.exists():
            subprocess.run([SLOTCTL, "bundle", "create", f"--output={kept}", f"--compatible={compatible}",
                            f"--version={version}", f"--uki={parts / 'good.efi'}",
                            f"--image={image}={parts / 'rootfs.img'}", f"--key={identities[who].key}",
                            f"--cert={identities[who].cert}"], check=True, capture_output=True)
        return Path(shutil.copy(kept, tmp_path / "bundle.zip"))
    return create


@pytest.fixture
def bundled(tmp_path, identities, parts):
    """What bundle create says of a UKI, and the bundle."""
    def bundled(uki_file, *more):
        signer = identities["signer"]
        return subprocess.run([SLOTCTL, "bundle", "create", f"--output={tmp_path / 'new.zip'}", "--compatible=acme",
                               "--version=2", f"--uki={uki_file}", f"--image=rootfs={parts / 'rootfs.img'}",
                               f"--key={signer.key}", f"--cert={signer.cert}", *more], capture_output=True, text=True)
    return bundled


@pytest.fixture
def craft(tmp_path, identities, parts):
    """Makes a bundle by hand, so that its manifest can say what slotctl would not."""
    def craft(uki_name="good.efi", change=None, drop=(), size=None, signed=True, tamper=None, alter=lambda text: text):
        files, payloads = {}, [{"type": "uki", "file": "uki.efi.zst"},
                               {"type": "image", "name": "rootfs", "file": "rootfs.img.zst"}]
        for payload, part in zip(payloads, (uki_name, "rootfs.img")):
            content = (parts / part).read_bytes()
            name = payload["file"].split(".")[0] + ".index"
            files[name], files[payload["file"]] = pack(content)
            payload |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(),
                        "index": {"file": name, "size": len(files[name]),
                                  "sha256": hashlib.sha256(files[name]).hexdigest()}}
        for file, value in (size or {}).items():
            next(p for p in payloads if p["file"] == file)["size"] = value
        manifest = {"format": 2, "compatible": "acme", "version": "2", "payloads": payloads} | (change or {})
        (tmp_path / "manifest.json").write_bytes(alter(json.dumps(manifest).encode()))
        who = identities["signer"]
        subprocess.run(["openssl", "cms", "-sign", "-binary", "-in", tmp_path / "manifest.json", "-signer", who.cert,
                        "-inkey", who.key, "-outform", "DER", "-out", tmp_path / "manifest.p7s"], check=True)
        text = (tmp_path / "manifest.json").read_bytes()
        with zipfile.ZipFile(tmp_path / "crafted.zip", "w") as z:
            z.writestr("manifest.json", tamper(text) if tamper else text)
            if signed:
                z.writestr("manifest.p7s", (tmp_path / "manifest.p7s").read_bytes())
            for name, content in files.items():
                if name not in drop:
                    z.writestr(name, content)
        return tmp_path / "crafted.zip"
    return craft
