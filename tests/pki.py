"""A certification authority for tests: real certificates, good and bad, as PEM files."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Signs certificates for this machine; `ca` is the file that whoever trusts it names."""

    folder: Path
    ca: Path
    name: x509.Name
    key: Key

    def issue(self, name: str, days: float = 30, host: str = "127.0.0.1", key: Key | None = None) -> Pair:
        """Return a new certificate for `host` that runs out `days` from now, or did so before; its key is 0600."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        ends = datetime.now(UTC) + days * DAY
        built = _builder(_name(name), self.name, key, ends)
        places = [x509.IPAddress(ip_address(host)), x509.DNSName("localhost")]
        built = built.add_extension(x509.SubjectAlternativeName(places), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = built.add_extension(issuer, critical=False).sign(self.key, hashes.SHA256())
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(pem_of(key))
        return pair


def authority(folder: Path, name: str = "Test CA") -> Authority:
    """Return a new authority that keeps its files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    own = _name(name)
    built = _builder(own, own, key, datetime.now(UTC) + 30 * DAY)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    usages = x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True)
    certificate = built.add_extension(usages, critical=True).sign(key, hashes.SHA256())
    ca = folder / "ca.pem"
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(folder, ca, own, key)


def pem_of(key: Key, passphrase: bytes | None = None) -> bytes:
    """Return a private key as it stands in a file."""
    kept = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, ends: datetime) -> x509.CertificateBuilder:
    begins = min(ends, datetime.now(UTC)) - DAY
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(own, critical=False)
    )
