# SPDX-License-Identifier: MIT
"""Test certificates for signing bundles: the signer the test OS trusts, a stranger, and an expired one."""
import datetime
from dataclasses import dataclass
from pathlib import Path

from paths import WORK, run


@dataclass(frozen=True)
class Identity:
    key: Path
    cert: Path


_EXTENSIONS = ("[req]\ndistinguished_name=dn\n[dn]\n[ca]\ndefault_ca=here\n[here]\ndefault_md=sha256\n"
               "policy=any\nrand_serial=yes\nunique_subject=no\nx509_extensions=signer\n"
               "[any]\ncommonName=supplied\n[signer]\nbasicConstraints=critical,CA:FALSE\n"
               "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning,emailProtection\n"
               "subjectKeyIdentifier=hash\n")


def _make(directory, name, subject, start, end):
    directory.mkdir(parents=True, exist_ok=True)
    key, cert, request = (directory / f"{name}{suffix}" for suffix in (".key.pem", ".cert.pem", ".csr"))
    if cert.exists() and key.exists():
        return Identity(key, cert)
    config = directory / f"{name}.cnf"
    database = directory / f"{name}.database"
    config.write_text(_EXTENSIONS.replace("[here]", f"[here]\ndatabase={database}\nnew_certs_dir={directory}"))
    database.write_text("")
    run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-config", config, "-subj", f"/CN={subject}",
        "-keyout", key, "-out", request)
    # Only `openssl ca` of OpenSSL 3.0 takes a start and an end date; `req -x509` has no past.
    run("openssl", "ca", "-batch", "-notext", "-selfsign", "-config", config, "-keyfile", key, "-in", request,
        "-startdate", start, "-enddate", end, "-out", cert)
    return Identity(key, cert)


def identities(directory=WORK / "pki"):
    """The three identities by name, made once."""
    def stamp(days):
        return (datetime.datetime.utcnow() + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
    return {
        "signer": _make(directory, "signer", "slotboot test signer", stamp(-1), stamp(3650)),
        "stranger": _make(directory, "stranger", "slotboot test stranger", stamp(-1), stamp(3650)),
        "expired": _make(directory, "expired", "slotboot test expired signer", stamp(-30), stamp(-2)),
    }
