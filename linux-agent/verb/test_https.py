# SPDX-License-Identifier: MIT
"""How slotctl does https: whom it trusts, who it says it is, what it sends and to whom. The real program
against servers in this process, which write down what they are asked."""
import base64
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from drymachine import CONFIG, SLOTCTL, UNAVAILABLE

TOKEN = "s3cret-t0ken"


def openssl(*argv, **options):
    return subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, **options).stdout


@pytest.fixture(scope="session")
def tls(tmp_path_factory):
    """A CA; a server's and a client's certificate from it; a CA that certified neither."""
    top = tmp_path_factory.mktemp("tls")
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", 2, "-keyout",
                top / f"{name}.key", "-out", top / f"{name}.crt")
    (top / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", top / f"{name}.key",
                "-out", top / f"{name}.csr")
        openssl("x509", "-req", "-in", top / f"{name}.csr", "-CA", top / "ca.crt", "-CAkey", top / "ca.key",
                "-CAcreateserial", "-days", 2, "-extfile", top / "san", "-out", top / f"{name}.crt")
    (top / "both.pem").write_bytes((top / "client.crt").read_bytes() + (top / "client.key").read_bytes())
    (top / "both.pem").chmod(0o600)
    return top


def pin(cert):
    key = openssl("x509", "-in", cert, "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "DER", input=key)
    return "sha256//" + base64.b64encode(openssl("dgst", "-sha256", "-binary", input=der)).decode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_object(server.object)

    def send_object(self, data):
        wanted, status, total = self.headers.get("Range"), 200, len(data)
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            begin = int(first) if first else max(0, total - int(last))
            end = min(int(last), total - 1) if first and last else total - 1
            data, status = data[begin:end + 1], 206
        self.send_response(status)
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{end}/{total}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, data, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.object, self.redirects, self.asked = data, {}, []
        self.refused = threading.Event()    # a handshake
        self.scheme = "https" if context else "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path="/b.zip", user=""):
        return f"{self.scheme}://{user}127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        self.refused.set()


class Proxy(threading.Thread):
    """CONNECT only. The first answers may be others than 200."""
    def __init__(self, *answers):
        super().__init__(daemon=True)
        self.answers = list(answers)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.requests = self.listener.getsockname()[1], []
        self.start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(4096)
        self.requests.append(request.decode())
        if self.answers:
            client.sendall(f"HTTP/1.1 {self.answers.pop(0)}\r\nContent-Length: 0\r\n\r\n".encode())
            client.close()
            return
        host, port = request.split()[1].decode().split(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=self.pump, args=(server, client), daemon=True).start()
        self.pump(client, server)

    @staticmethod
    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        b.close()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, identities, parts):
    out = tmp_path_factory.mktemp("bundle") / "b.zip"
    subprocess.run([SLOTCTL, "bundle", "create", f"--output={out}", "--compatible=acme", "--version=2",
                    f"--uki={parts / 'good.efi'}", f"--image=rootfs={parts / 'rootfs.img'}",
                    f"--key={identities['signer'].key}", f"--cert={identities['signer'].cert}"],
                   check=True, capture_output=True)
    return out.read_bytes()


@pytest.fixture
def serve(tls, bundle):
    """Starts a server: plain, TLS, or TLS that demands a client certificate."""
    servers = []

    def serve(scheme="https", client=False, oldest=False):
        context = None
        if scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "server.crt", tls / "server.key")
            if oldest:
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
            if client:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(tls / "ca.crt")
        servers.append(Server(bundle, context))
        return servers[-1]
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def slotctl(tmp_path, tls, identities):  # noqa: F811
    """Runs bundle verify with these keys in the configuration; ca-file is there unless it is None. What is
    tried again and again would end with the deadline only: with until it is killed after that event."""
    def slotctl(url, environment=None, until=None, **keys):
        trusted = {"ca_file": tls / "ca.crt"} if url.startswith("https") else {}
        keys = {**trusted, "deadline": 600, **keys}
        text = "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items() if value is not None)
        (tmp_path / "conf").write_text(f"[slotboot]\nkeyring = {identities['signer'].cert}\n{text}")
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        command = [SLOTCTL, "bundle", "verify", f"--config={tmp_path / 'conf'}", url]
        with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**clean, **(environment or {})}) as process:
            while until and not until.wait(0.1):
                assert process.poll() is None
            if until:
                process.terminate()
            out, errors = process.communicate(timeout=600)
        assert "Sanitizer" not in errors, errors
        return subprocess.CompletedProcess(command, process.returncode, out, errors)
    return slotctl


def good(done):
    assert done.returncode == 0, done.stderr
    return done


def bad(done, words, status=UNAVAILABLE):
    assert done.returncode == status and words in done.stderr, done
    return done


def refused(slotctl, url, server, **more):
    """The server wants no such client, and is not asked for anything."""
    done = slotctl(url, until=server.refused, **more)
    assert done.returncode in (-signal.SIGTERM, UNAVAILABLE) and not server.asked, done


@pytest.fixture
def secret(tmp_path):
    def secret(text, mode=0o600):
        path = tmp_path / "secret"
        path.write_text(text)
        path.chmod(mode)
        return path
    return secret


# --- whom we trust ---

def test_only_an_authority_of_ca_file_is_trusted(serve, slotctl, tls):
    server = serve()
    good(slotctl(server.url()))
    bad(slotctl(server.url(), ca_file=tls / "other.crt"), "certificate")
    bad(slotctl(server.url(), ca_file=None), "certificate")
    bad(slotctl(server.url(), ca_file="/nonexistent"), "failed to read ca-file = /nonexistent: No such file", CONFIG)


def in_a_place_of_its_own(command, *mounts):
    """With files mounted over others, as root can."""
    binds = "".join(f"mount --bind {new} {old} && " for new, old in mounts)
    return subprocess.run(["unshare", "-m", "sh", "-c", f'{binds}exec "$@"', "sh", *map(str, command)], timeout=600,
                          text=True, capture_output=True, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for system authorities of its own")
def test_with_ca_file_the_authorities_of_the_system_count_no_more(serve, tls, tmp_path, secret, identities):  # noqa: F811
    server, certs = serve(), tmp_path / "certs"
    certs.mkdir()
    (certs / "ca.pem").write_bytes((tls / "ca.crt").read_bytes())
    openssl("rehash", certs)
    (certs / "ca-certificates.crt").write_bytes((tls / "other.crt").read_bytes())

    def verify(keys):
        (tmp_path / "conf").write_text(f"[slotboot]\nkeyring = {identities['signer'].cert}\ndeadline = 600\n{keys}"
                                       f"token-file = {secret(TOKEN)}\n")
        return in_a_place_of_its_own([SLOTCTL, "bundle", "verify", f"--config={tmp_path / 'conf'}", server.url()],
                                     (certs, "/etc/ssl/certs"))
    bad(verify(f"ca-file = {tls / 'other.crt'}\n"), "certificate")
    assert not server.asked
    good(verify(""))


def test_nothing_below_tls_1_2_is_spoken(serve, slotctl, tmp_path):
    """Whatever the system's OpenSSL is told to allow."""
    server = serve(oldest=True)
    (tmp_path / "openssl.cnf").write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
                                          "MinProtocol = TLSv1\nCipherString = DEFAULT:@SECLEVEL=0\n")
    refused(slotctl, server.url(), server, environment={"OPENSSL_CONF": str(tmp_path / "openssl.cnf")})


def test_a_certificate_for_another_host_is_refused(serve, slotctl):
    server = serve()
    bad(slotctl(server.url().replace("127.0.0.1", "localhost")), "localhost")
    assert not server.asked


def test_the_pin_must_be_the_key_of_the_server(serve, slotctl, tls):
    server, right, wrong = serve(), pin(tls / "server.crt"), pin(tls / "client.crt")
    good(slotctl(server.url(), pin=right))
    good(slotctl(server.url(), pin=f"{wrong};{right}"))
    server.asked.clear()
    bad(slotctl(server.url(), pin=wrong), "the server's public key is not the configured one (pin)")
    assert not server.asked
    # Beside the authority, not in its place.
    bad(slotctl(server.url(), pin=right, ca_file=tls / "other.crt"), "certificate")


# --- who we are ---

def test_a_client_certificate_is_shown_where_it_is_demanded(serve, slotctl, tls):
    server = serve(client=True)
    refused(slotctl, server.url(), server)
    good(slotctl(server.url(), client_cert=tls / "both.pem"))
    good(slotctl(server.url(), client_cert=tls / "client.crt", client_key=tls / "client.key"))
    bad(slotctl(server.url(), client_cert=tls / "client.crt", client_key=tls / "ca.key"), "client certificate")
    bad(slotctl(server.url(), client_cert="/nonexistent"), "failed to read client-cert = /nonexistent", CONFIG)


MODULE, ENGINE = Path("/usr/lib/softhsm/libsofthsm2.so"), "engines-3/pkcs11.so"


@pytest.mark.skipif(not MODULE.exists() or not list(Path("/usr/lib").glob(f"*/{ENGINE}")),
                    reason="softhsm2 or libengine-pkcs11-openssl is not installed")
def test_the_key_may_be_in_a_pkcs11_token(serve, slotctl, tls, tmp_path):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    environment = {"SOFTHSM2_CONF": str(tmp_path / "softhsm.conf"), "PKCS11_MODULE_PATH": str(MODULE),
                   # The engine keeps what it loaded until the process ends.
                   "ASAN_OPTIONS": "detect_leaks=0"}

    def softhsm(*argv):
        subprocess.run(["softhsm2-util", *map(str, argv)], check=True, capture_output=True,
                       env={**os.environ, **environment})
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", tls / "client.key", "-out", tmp_path / "p8")
    softhsm("--init-token", "--free", "--label", "slotboot", "--pin", "1234", "--so-pin", "1234")
    softhsm("--import", tmp_path / "p8", "--token", "slotboot", "--label", "me", "--id", "01", "--pin", "1234")
    server = serve(client=True)
    uri = "pkcs11:token=slotboot;object=me;type=private?pin-value="
    good(slotctl(server.url(), environment, client_cert=tls / "client.crt", client_key=uri + "1234"))
    bad(slotctl(server.url(), environment, client_cert=tls / "client.crt",
                client_key="pkcs11:token=none;object=me?pin-value=1234"), "client")


# --- what we send, and to whom ---

def test_token_and_headers_are_sent_and_not_printed(serve, slotctl, secret):
    server = serve()
    done = good(slotctl(server.url(), token_file=secret(TOKEN + "\n")))
    assert all(headers["authorization"] == f"Bearer {TOKEN}" for _, headers in server.asked)
    assert TOKEN not in done.stdout + done.stderr
    server.asked.clear()
    good(slotctl(server.url(), header_file=secret("# who\nX-Device: 17\n\nX-Fleet: acme\n")))
    assert all((h["x-device"], h["x-fleet"]) == ("17", "acme") for _, h in server.asked) and server.asked


@pytest.mark.parametrize("text, key, words", [
    ("", "token_file", "its first line is not one word"), ("two words", "token_file", "is not one word"),
    ("X-A: 1\nX B: 2", "header_file", "line 2 is not Name: value"),
    (": 2", "header_file", "line 1 is not Name: value"), ("X-A", "header_file", "line 1 is not Name: value"),
    ("X-A: a\vb", "header_file", "line 1 is not Name: value"), ("X-A: a\0b", "header_file", "is not text"),
])
def test_a_file_with_something_else_in_it(serve, slotctl, secret, text, key, words):
    server = serve()
    done = bad(slotctl(server.url(), **{key: secret(text)}), words, CONFIG)
    assert not server.asked and "two words" not in done.stderr


@pytest.mark.parametrize("key", ["token_file", "header_file"])
def test_a_secret_that_others_may_read_is_refused(serve, slotctl, secret, key):
    server = serve()
    for mode in (0o640, 0o604):
        bad(slotctl(server.url(), **{key: secret("X-A:1", mode)}), "others may read it (mode 06", CONFIG)
    bad(slotctl(server.url(), **{key: "/nonexistent"}), "= /nonexistent: No such file", CONFIG)
    assert not server.asked


@pytest.mark.parametrize("key", ["token-file", "header-file", "client-cert", "ca-file", "pin"])
def test_what_says_how_https_is_done_is_an_error_over_http(serve, slotctl, secret, tls, key):
    values = {"client-cert": tls / "both.pem", "ca-file": tls / "ca.crt", "pin": "sha256//" + "A" * 43 + "="}
    server = serve("http")
    bad(slotctl(server.url(), **{key.replace("-", "_"): values.get(key) or secret("X-A:1")}),
        f"{key} is for https only", CONFIG)
    assert not server.asked


def test_no_password_is_sent_in_the_clear(serve, slotctl):
    server = serve("http")
    done = bad(slotctl(server.url(user="me:pass@")), "would be sent in the clear: use https", CONFIG)
    assert not server.asked and "pass@" not in done.stderr


@pytest.mark.parametrize("where", ["client-key", "client-cert"])
def test_a_client_key_that_others_may_read_is_refused(serve, slotctl, tls, tmp_path, where):
    key = tmp_path / "key"
    key.write_bytes((tls / "both.pem").read_bytes())
    key.chmod(0o640)
    keys = {"client_cert": key} if where == "client-cert" else {"client_cert": tls / "client.crt", "client_key": key}
    bad(slotctl(serve(client=True).url(), **keys), f"failed to read {where} = {key}: others may read it", CONFIG)


def test_a_client_certificate_is_not_shown_where_a_redirect_leads(serve, slotctl, tls):
    server, other = serve(client=True), serve(client=True)
    server.redirects = {"/away.zip": other.url(), "/here.zip": "/b.zip"}
    refused(slotctl, server.url("/away.zip"), other, client_cert=tls / "both.pem")
    assert server.asked
    good(slotctl(server.url("/here.zip"), client_cert=tls / "both.pem"))


def test_a_secret_does_not_follow_a_redirect_elsewhere(serve, slotctl, secret):
    server, other = serve(), serve()
    server.redirects["/away.zip"] = other.url()
    server.redirects["/here.zip"] = "/b.zip"
    good(slotctl(server.url("/away.zip"), token_file=secret(TOKEN)))
    assert server.asked[0][1]["authorization"] and other.asked
    assert not any("authorization" in headers for _, headers in other.asked)
    good(slotctl(server.url("/here.zip"), token_file=secret(TOKEN)))
    assert server.asked[-1][0] == "/b.zip" and server.asked[-1][1]["authorization"] == f"Bearer {TOKEN}"


def test_user_and_password_of_a_url_are_used_and_not_printed(serve, slotctl):
    server = serve()
    done = good(slotctl(server.url(user="me:pass%40word@")))
    expected = "Basic " + base64.b64encode(b"me:pass@word").decode()
    assert server.asked[-1][1]["authorization"] == expected
    assert "pass" not in done.stdout + done.stderr and f"https://...@127.0.0.1:{server.server_port}" in done.stdout
    server.redirects["/b.zip"] = "file:///me:pass@word"
    assert "pass%40" not in bad(slotctl(server.url(user="me:pass%40word@")), "https://...@127.0.0.1").stderr


# --- redirects ---

def test_a_redirect_never_leads_to_a_weaker_scheme(serve, slotctl):
    server, plain = serve(), serve("http")
    server.redirects = {"/http": plain.url(), "/file": "file:///etc/hostname", "/ftp": "ftp://127.0.0.1/x"}
    for path in server.redirects:
        bad(slotctl(server.url(path)), "which is not allowed from https://")
    assert not plain.asked
    plain.redirects = {"/up": server.url(), "/file": "file:///etc/hostname"}
    bad(slotctl(plain.url("/up")), "certificate")   # of the https server: its authority is none of the system's
    bad(slotctl(plain.url("/file")), "not allowed from http://")


def test_redirects_are_counted(serve, slotctl):
    server = serve()
    server.redirects = {"/loop": "/loop", "/1": "/2", "/2": "/b.zip"}
    bad(slotctl(server.url("/loop")), "too many redirects (more than 8)")
    assert len(server.asked) == 9
    good(slotctl(server.url("/1"), redirects=2))
    bad(slotctl(server.url("/1"), redirects=1), "too many redirects (more than 1)")
    bad(slotctl(server.url("/1"), redirects=0), "too many redirects (more than 0)")


# --- the way out ---

def test_the_proxy_is_used_and_sees_no_secret(serve, slotctl, secret):
    server, proxy = serve(), Proxy()
    good(slotctl(server.url(), proxy=f"http://127.0.0.1:{proxy.port}", token_file=secret(TOKEN)))
    assert proxy.requests and all(r.startswith(f"CONNECT 127.0.0.1:{server.server_port} ") for r in proxy.requests)
    assert not any(TOKEN in r for r in proxy.requests) and server.asked[0][1]["authorization"]


def test_without_the_key_the_environment_names_the_proxy_and_none_means_none(serve, slotctl):
    server, proxy = serve(), Proxy()
    environment = {"https_proxy": f"http://127.0.0.1:{proxy.port}"}
    good(slotctl(server.url(), environment))
    seen = len(proxy.requests)
    assert seen
    good(slotctl(server.url(), environment, proxy="none"))
    assert len(proxy.requests) == seen


def test_the_rate_is_limited(serve, slotctl, bundle):
    server, rate = serve("http"), 800000
    begin = time.monotonic()
    good(slotctl(server.url(), rate_limit=rate))
    # Half of the bundle is its blocks, which are not read; libcurl lets a little through before it begins to count.
    assert time.monotonic() - begin > 0.25 * len(bundle) / rate
