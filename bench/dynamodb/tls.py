"""A certificate of our own for 127.0.0.1, and what makes clients trust it."""
import ssl

import measuring


class Tls:
    def __init__(self, work):
        self.certificate, self.key = work / "certificate.pem", work / "key.pem"
        self.environment = {"AWS_CA_BUNDLE": str(self.certificate),
                            "NODE_EXTRA_CA_CERTS": str(self.certificate)}
        measuring.output_of(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", self.key, "-out", self.certificate])

    def context(self):
        return ssl.create_default_context(cafile=str(self.certificate))
