"""Certificates as an administrator would make them: an authority of our own, and what it signs, by openssl."""

import ssl
import subprocess
import time

from . import verdict


class Authority:
    def __init__(self, name="authority"):
        self.folder = verdict.SCRATCH / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 30, "-subj", "/CN=Test authority",
                 "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, *names, days=30, kind="rsa:2048"):
        """A certificate for these names and addresses and its key: the two files, overwritten if they are there.

        With `days=0` it has expired when this returns."""
        certificate, key, request = (self.folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        alternatives = ",".join(f"IP:{one}" if one[0].isdigit() else f"DNS:{one}" for one in names or (name,))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n")
        _openssl("req", "-new", "-newkey", kind, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-days", days,
                 "-extfile", extensions, "-out", certificate)
        if not days:
            time.sleep(1.1)  # it is good to the end of the second in which it was made
        return certificate, key

    def client(self, certificate=None, key=None):
        """What Python's TLS needs to believe us, and to show a certificate."""
        context = ssl.create_default_context(cafile=self.certificate)
        if certificate:
            context.load_cert_chain(certificate, key)
        return context


def _openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        verdict.fail(f"openssl {' '.join(map(str, words))}: {done.stderr.strip()}")
