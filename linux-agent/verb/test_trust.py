# SPDX-License-Identifier: MIT
"""Whose bundles a machine takes: signatures, the rollback floor, and UKI and image as one pair. slotctl
against files; after each refusal every byte of slots, ESP and variables is as before."""
import datetime
import re
import subprocess
import zipfile

import pytest
import uki
from drymachine import CONFIG, DATAERR, SLOTCTL, refuse_install

MADE = {}

NOW = datetime.datetime.utcnow()
CA = """[req]
distinguished_name = dn
[dn]
[ca]
default_ca = here
[here]
database = {top}/database
new_certs_dir = {top}
serial = {top}/serial
crlnumber = {top}/crlnumber
default_md = sha256
default_crl_days = 2
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
[signer]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = codeSigning
[tls]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
"""


class Pki:
    """A root, an intermediate authority, and signers of every sort."""

    def __init__(self, top):
        self.top = top
        (top / "cnf").write_text(CA.format(top=top))
        (top / "database").write_text("")
        (top / "serial").write_text("01\n")
        (top / "crlnumber").write_text("01\n")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-config", top / "cnf", "-extensions",
                     "authority", "-subj", "/CN=root", "-days", 3, "-keyout", top / "root.key", "-out",
                     top / "root.crt")
        self.certify("good")
        self.certify("revoked")
        self.certify("expired", days=(-3, -1))
        self.certify("early", days=(1, 2))
        self.certify("tls", extensions="tls")
        self.certify("middle", extensions="authority")
        self.certify("deep", issuer="middle")
        self.openssl("ca", "-config", top / "cnf", "-cert", top / "root.crt", "-keyfile", top / "root.key",
                     "-revoke", top / "revoked.crt")
        self.openssl("ca", "-config", top / "cnf", "-cert", top / "root.crt", "-keyfile", top / "root.key",
                     "-gencrl", "-out", top / "root.crl")

    @staticmethod
    def openssl(*argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)

    def certify(self, name, issuer="root", extensions="signer", days=(-1, 2)):
        def stamp(day):
            return (NOW + datetime.timedelta(days=day)).strftime("%Y%m%d%H%M%SZ")
        path = self.top / name
        self.openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-config", self.top / "cnf", "-subj",
                     f"/CN={name}", "-keyout", f"{path}.key", "-out", f"{path}.csr")
        self.openssl("ca", "-batch", "-notext", "-config", self.top / "cnf", "-cert", self.top / f"{issuer}.crt",
                     "-keyfile", self.top / f"{issuer}.key", "-extensions", extensions, "-startdate",
                     stamp(days[0]), "-enddate", stamp(days[1]), "-in", f"{path}.csr", "-out", f"{path}.crt")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def resign(create, authority, tmp_path):  # noqa: F811
    """A good bundle with another manifest.p7s: by openssl with these arguments, or these bytes, or none."""
    def resign(*signers, content=None, data=None, more=()):
        bundle, out = create(), tmp_path / "resigned.zip"
        with zipfile.ZipFile(bundle) as z:
            entries = [(i, z.read(i)) for i in z.infolist()]
        manifest = next(d for i, d in entries if i.filename == "manifest.json")
        (tmp_path / "content").write_bytes(content or manifest)
        if signers:
            names = [x for s in signers for x in ("-signer", authority.top / f"{s}.crt", "-inkey",
                                                  authority.top / f"{s}.key")]
            authority.openssl("cms", "-sign", "-binary", "-nosmimecap", "-outform", "DER", "-in",
                              tmp_path / "content", "-out", tmp_path / "p7s", *names, *more)
            data = (tmp_path / "p7s").read_bytes()
        with zipfile.ZipFile(out, "w") as z:
            for info, old in entries:
                if info.filename != "manifest.p7s":
                    z.writestr(info, old)
                elif data is not None:
                    z.writestr(info, data)
        return out
    return resign


@pytest.fixture
def trusting(machine, authority):  # noqa: F811
    """The machine with the root in its keyring, and so not with who signed slot a: its version is not known there."""
    machine.keyring = authority.top / "root.crt"
    machine.configure()
    return machine


# --- signatures ---

def test_signers_of_the_root_are_trusted(trusting, resign, authority):
    trusting.check("install", resign("good"), "--activate=none", "--allow-downgrade")
    trusting.check("install", resign("deep", more=("-certfile", authority.top / "middle.crt")), "--activate=none",
                   "--allow-downgrade")


@pytest.mark.parametrize("signers, options, words", [
    (("expired",), {}, "the certificate of CN=expired expired on"),
    (("early",), {}, "the certificate of CN=early is valid only from"),
    (("tls",), {}, "the certificate of CN=tls is not for code signing"),
    (("deep",), {}, "is by CN=deep, certified by CN=middle, who is not in the keyring"),
    (("good",), {"more": ("-md", "sha1")}, "by CN=good uses the digest sha1, which is too weak"),
    (("good",), {"more": ("-md", "md5")}, "by CN=good uses the digest md5, which is too weak"),
    (("good",), {"content": b"other bytes"}, "manifest.json does not match its signature"),
    ((), {}, "it has no manifest.p7s"),
    ((), {"data": b""}, "manifest.p7s is empty"),
    ((), {"data": b"no signature"}, "manifest.p7s is not a CMS signature"),
    ((), {"data": bytes(65537)}, "manifest.p7s is larger than 65536 bytes"),
])
def test_a_signature_that_is_not_good(trusting, resign, signers, options, words):
    refuse_install(trusting, DATAERR, [words], resign(*signers, **options))


def test_a_wrong_signer(machine, resign):  # noqa: F811
    refuse_install(machine, DATAERR, ["CN=good, certified by CN=root, who is not in the keyring"], resign("good"))


def test_a_revoked_signer(trusting, resign, authority):
    trusting.configure(f"crl = {authority.top}/root.crl")
    refuse_install(trusting, DATAERR, ["the certificate of CN=revoked is revoked"], resign("revoked"))
    trusting.check("install", resign("good"), "--activate=none", "--allow-downgrade")
    trusting.configure(f"crl = {authority.top}/none.crl")
    refuse_install(trusting, CONFIG, ["failed to read the revocation list"], resign("good"))


def test_a_list_past_its_date(trusting, resign, authority, tmp_path):
    """Only the list's dates differ; the machine's configuration says what becomes of it."""
    old = tmp_path / "old.crl"
    authority.openssl("ca", "-config", authority.top / "cnf", "-cert", authority.top / "root.crt",
                      "-keyfile", authority.top / "root.key", "-gencrl", "-out", old,
                      "-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z")
    trusting.configure(f"crl = {old}")
    refuse_install(trusting, CONFIG, ["is out of date", "crl-expired = warn"], resign("good"))
    trusting.configure(f"crl = {old}\ncrl-expired = warn")
    refuse_install(trusting, DATAERR, ["the certificate of CN=revoked is revoked"], resign("revoked"))
    told = trusting.check("install", resign("good"), "--activate=none", "--allow-downgrade")
    assert f"warning: a CRL in {old} is out of date" in str(told)


def test_two_signers_where_two_are_needed(trusting, resign, authority):
    trusting.configure("signers = 2")
    refuse_install(trusting, DATAERR, ["has 1 of the 2 signers needed"], resign("good"))
    refuse_install(trusting, DATAERR, ["has 1 of the 2 signers", "CN=tls is not for"], resign("good", "tls"))
    trusting.check("install", resign("good", "revoked"), "--activate=none", "--allow-downgrade")


def test_a_bundle_created_with_two_keys_where_two_are_needed(machine, bundle, identities, tmp_path):  # noqa: F811
    signer, second = identities["signer"], identities["stranger"]
    (tmp_path / "both.pem").write_bytes(signer.cert.read_bytes() + second.cert.read_bytes())
    machine.keyring = tmp_path / "both.pem"
    machine.configure("signers = 2")
    refuse_install(machine, DATAERR, ["has 1 of the 2 signers needed"], bundle("2"))
    machine.check("install", bundle("3", f"--key={second.key}", f"--cert={second.cert}"), "--activate=none",
                  "--allow-downgrade")


def test_a_certificate_that_has_expired_since_it_signed(trusting, resign, machine):  # noqa: F811
    """openssl signs with the present time, so that the other way round is what can be shown here."""
    trusting.configure("signing-time = yes")
    refuse_install(trusting, DATAERR, ["CN=expired expired on", "the signature was made later"], resign("expired"))
    trusting.check("install", resign("good"), "--activate=none", "--allow-downgrade")


# --- the rollback floor ---

@pytest.fixture
def bundle(tmp_path, identities, parts):
    def bundle(version, *options, uki_file="good.efi", image=None, check=True):
        out = tmp_path / f"{version}.zip"
        # What cases have in common is made once: under ASan it takes seconds.
        key = version, options, uki_file
        if check and not image and key in MADE:
            out.write_bytes(MADE[key])
            return out
        done = subprocess.run([SLOTCTL, "bundle", "create", f"--output={out}", "--compatible=acme",
                               f"--version={version}", f"--uki={parts / uki_file}",
                               f"--image=rootfs={image or parts / 'rootfs.img'}",
                               f"--key={identities['signer'].key}", f"--cert={identities['signer'].cert}", *options],
                              check=False, capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        if check and not image:
            MADE[key] = out.read_bytes()
        return out if check else done
    return bundle


def update(machine, bundle, slot, how="firmware"):  # noqa: F811
    machine.check("install", bundle, "--activate=none", "--allow-downgrade")
    machine.check("mark-active", slot)
    machine.boot_by(how, slot)
    machine.check("mark-good")


def test_the_floor_rises_with_mark_good_and_holds_against_allow_downgrade(machine, bundle):  # noqa: F811
    floor = machine.top / "esp/EFI/slotboot/floor-1.json"
    update(machine, bundle("2"), "b")
    assert not floor.exists() and machine.status()["floor"] is None
    machine.check("install", bundle("3", "--raise-floor"), "--activate=none")
    assert not floor.exists()
    machine.check("mark-active", "a")
    machine.boot_by("firmware", "a")
    machine.check("mark-good")
    assert machine.status()["floor"] == "3" and "floor      3, by a manifest that CN=slotboot test signer" in machine.check("status")
    before = machine.bytes()
    machine.check("mark-good")
    assert machine.bytes() == before
    refuse_install(machine, DATAERR, ["version 2 is lower than this machine's rollback floor 3"], bundle("2"),
                   "--allow-downgrade")
    machine.check("install", bundle("3"), "--activate=none")


def test_the_floor_does_not_rise_by_a_kexec_alone(machine, bundle):  # noqa: F811
    machine.check("install", bundle("3", "--raise-floor"), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("kexec", "b")
    machine.check("mark-good")
    assert machine.status()["floor"] is None
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    assert machine.status()["floor"] == "3"


def rollback_floor_files(machine):
    return sorted(p.name for p in (machine.top / "esp/EFI/slotboot").glob("floor*"))


def test_a_damaged_floor_is_ignored_said_and_mended(machine, bundle):  # noqa: F811
    floor = machine.top / "esp/EFI/slotboot/floor-1.json"
    update(machine, bundle("3", "--raise-floor"), "b")
    genuine = floor.read_bytes()
    floor.write_bytes(b"\xff" * 1024)
    assert machine.status()["floor"] == "3"
    assert "floor-1.json is no rollback floor and ignored" in machine.status()["floor_error"]
    assert "floor-1.json is no rollback floor and ignored" in machine.run("install", bundle("4"), "--activate=none")[1]
    machine.check("mark-good")
    assert machine.status()["floor_error"] is None and floor.read_bytes() == genuine


def test_a_floor_that_nobody_signed_keeps_no_update_out(machine, bundle):  # noqa: F811
    """Not as files of the floor's, nor by a manifest that says so beside the running UKI."""
    words = ('{"format":2,"compatible":"acme","version":"99999","raises-floor":true,"payloads":[{"type":"uki","file":'
             '"u","size":1,"sha256":"%064d","index":{"file":"i","size":1,"sha256":"%064d"}}]}' % (0, 0))
    ours = machine.top / "esp/EFI/slotboot"
    beside = ours / "a/manifest.json"
    kept = beside.read_bytes() if beside.exists() else None
    beside.write_text(words)
    machine.check("mark-good")
    assert machine.status()["floor"] is None and not rollback_floor_files(machine)
    if kept:
        beside.write_bytes(kept)
    update(machine, bundle("3", "--raise-floor"), "b")
    for pair in (1, 2):
        (ours / f"floor-{pair}.json").write_text(words)
    status = machine.status()
    assert status["floor"] is None and "altered after it was signed" in status["floor_error"]
    machine.check("install", bundle("4"), "--activate=none")


def test_who_may_lower_the_floor_is_told_how(machine, bundle):  # noqa: F811
    update(machine, bundle("5", "--raise-floor"), "b")
    text = refuse_install(machine, DATAERR, ["raised by a manifest that CN=slotboot test signer"], bundle("2"),
                          "--allow-downgrade")
    assert f"should the floor be wrong, remove {machine.top}/esp/EFI/slotboot/floor-*" in text
    for name in rollback_floor_files(machine):
        (machine.top / "esp/EFI/slotboot" / name).unlink()
    machine.check("install", bundle("2"), "--activate=none", "--allow-downgrade")


# --- UKI and image are one pair ---

@pytest.fixture(scope="session")
def pair(parts):
    """verity.img with its tree behind it, and UKIs that name its root hash, another, and none."""
    image, size = parts / "verity.img", 1 << 20
    image.write_bytes((parts / "rootfs.img").read_bytes()[:size])
    text = subprocess.run(["/usr/sbin/veritysetup", "format", f"--hash-offset={size}", image, image], check=True,
                          capture_output=True, text=True).stdout
    root = re.search(r"Root hash:\s*([0-9a-f]{64})", text)[1]
    for name, word in (("bound", f"roothash={root}"), ("astray", "roothash=" + "0" * 64)):
        uki.build(parts / f"{name}.efi", parts, parts / "linux", parts / "initrd",
                  f"quiet slotboot.slot={{slot}} {word}", "ID=test\n", "6.1")
    return image, root


def test_a_pair_that_agrees_is_installed(machine, bundle, pair):  # noqa: F811
    image, root = pair
    machine.check("install", bundle("2", uki_file="bound.efi", image=f"{image},roothash={root}"), "--activate=none")


@pytest.mark.parametrize("uki_file, root_hash, words", [
    ("astray.efi", "right", "do not belong together"), ("good.efi", "right", "has no roothash="),
    ("bound.efi", None, "has no root hash in the manifest"), ("astray.efi", "0" * 64, "its root hash"),
])
def test_a_pair_that_disagrees_is_not_bundled(bundle, pair, uki_file, root_hash, words):
    image, root = pair
    suffix = f",roothash={root if root_hash == 'right' else root_hash}" if root_hash else ""
    done = bundle("2", uki_file=uki_file, image=f"{image}{suffix}", check=False)
    assert done.returncode == DATAERR and words in done.stderr, done.stderr


def test_an_image_whose_data_is_not_its_trees_is_not_bundled(bundle, pair, tmp_path):
    image, root = pair
    damaged = bytearray(image.read_bytes())
    damaged[5000] ^= 1
    (tmp_path / "damaged.img").write_bytes(damaged)
    done = bundle("2", uki_file="bound.efi", image=f"{tmp_path / 'damaged.img'},roothash={root}", check=False)
    assert done.returncode == DATAERR and "not what its dm-verity tree was made of" in done.stderr


def test_a_pair_that_disagrees_is_not_installed(machine, bundle, pair, identities, tmp_path):  # noqa: F811
    """Of a bundle that another program made: slotctl's own with another root hash in the manifest, signed again."""
    image, root = pair
    made = bundle("2", uki_file="bound.efi", image=f"{image},roothash={root}")
    crafted, who = tmp_path / "crafted.zip", identities["signer"]
    with zipfile.ZipFile(made) as z:
        entries = [(i, z.read(i)) for i in z.infolist()]
    manifest = next(d for i, d in entries if i.filename == "manifest.json").replace(root.encode(), b"0" * 64)
    (tmp_path / "m").write_bytes(manifest)
    subprocess.run(["openssl", "cms", "-sign", "-binary", "-in", tmp_path / "m", "-signer", who.cert, "-inkey", who.key,
                    "-outform", "DER", "-out", tmp_path / "s"], check=True)
    with zipfile.ZipFile(crafted, "w") as z:
        for info, data in entries:
            z.writestr(info, {"manifest.json": manifest, "manifest.p7s": (tmp_path / "s").read_bytes()}
                       .get(info.filename, data))
    refuse_install(machine, DATAERR, ["do not belong together"], crafted)
