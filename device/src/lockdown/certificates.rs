//! The three certificates of a pairing, made by the host.
//!
//! # Source
//!
//! `docs/device-protocol.md`, "Pairing": what other clients make, and that the device only looks
//! whether the three belong together.
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, SerialNumber, SubjectPublicKeyInfo, date_time_ymd,
};
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::{RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use crate::error::{DeviceError, DeviceErrorKind, Result};

/// What every client makes, in bits.
const KEY_BITS: usize = 2048;

/// How long certificates hold. Devices do not look; ten years is what others write.
const YEARS: i64 = 10;

/// Certificates and keys of one pairing, as PEM.
pub(super) struct Certificates {
    /// For the device's own key.
    pub(super) device: Vec<u8>,
    /// For our key.
    pub(super) host: Vec<u8>,
    /// Our key.
    pub(super) host_key: Zeroizing<Vec<u8>>,
    /// Signed by itself.
    pub(super) root: Vec<u8>,
    /// Has signed all three.
    pub(super) root_key: Zeroizing<Vec<u8>>,
}

/// Makes the certificates for a device whose public key is `device_key` (PEM, PKCS#1), beginning
/// on the day of `now`.
///
/// # Errors
///
/// [`Protocol`](DeviceErrorKind::Protocol): the device's key is none that we can certify.
pub(super) fn make(device_key: &[u8], now: Timestamp) -> Result<Certificates> {
    let device_key = std::str::from_utf8(device_key).map_err(|e| bad_key().because(e))?;
    let device_key = RsaPublicKey::from_pkcs1_pem(device_key.trim_matches(['\0', ' ', '\n', '\r']))
        .map_err(|e| bad_key().because(e))?;
    let device_key = device_key.to_public_key_der().map_err(|e| bad_key().because(e))?;
    let device_key =
        SubjectPublicKeyInfo::from_der(device_key.as_bytes()).map_err(|e| bad_key().because(e))?;

    let (root_key, root_pem) = new_key()?;
    let (host_key, host_pem) = new_key()?;
    let root_params = params(now, IsCa::Ca(BasicConstraints::Unconstrained), &[]);
    let leaf_uses = [KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    let leaf = params(now, IsCa::ExplicitNoCa, &leaf_uses);
    let root = root_params.self_signed(&root_key).map_err(broken)?;
    let issuer = Issuer::new(root_params, root_key);
    let host = leaf.signed_by(&host_key, &issuer).map_err(broken)?;
    let device = leaf.signed_by(&device_key, &issuer).map_err(broken)?;
    Ok(Certificates {
        device: device.pem().into_bytes(),
        host: host.pem().into_bytes(),
        host_key: host_pem,
        root: root.pem().into_bytes(),
        root_key: root_pem,
    })
}

fn new_key() -> Result<(KeyPair, Zeroizing<Vec<u8>>)> {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS).map_err(broken)?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(broken)?;
    let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).map_err(broken)?;
    Ok((pair, Zeroizing::new(pem.as_bytes().to_vec())))
}

/// Names are empty and the serial number is 0 in every certificate, as in other clients'.
fn params(now: Timestamp, is_ca: IsCa, uses: &[KeyUsagePurpose]) -> CertificateParams {
    let today = jiff::tz::Offset::UTC.to_datetime(now).date();
    let last = today.saturating_add(YEARS.years());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&[0]));
    let day = |date: Date| {
        let part = |n: i8| u8::try_from(n).unwrap_or(1);
        date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()))
    };
    params.not_before = day(today);
    params.not_after = day(last);
    params.is_ca = is_ca;
    params.key_usages = uses.to_vec();
    params
}

fn bad_key() -> DeviceError {
    DeviceError::new(DeviceErrorKind::Protocol, "the device's public key cannot be certified")
}

fn broken(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DeviceError {
    DeviceError::new(DeviceErrorKind::Unreadable, "making the certificates of a pairing")
        .because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::pkcs1::EncodeRsaPublicKey;
    use rsa::pkcs8::DecodePrivateKey;
    use x509_parser::pem::parse_x509_pem;

    #[test]
    fn the_three_belong_together_and_look_as_other_clients_make_them() {
        let device = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS).unwrap();
        let device_key = device.to_public_key().to_pkcs1_pem(LineEnding::LF).unwrap();
        let now: Timestamp = "2026-11-27T10:00:00Z".parse().unwrap();
        let made = make(device_key.as_bytes(), now).unwrap();
        let pems: Vec<_> =
            [&made.root, &made.host, &made.device].map(|pem| parse_x509_pem(pem).unwrap().1).into();
        let [root, host, leaf] = [0, 1, 2].map(|n| pems[n].parse_x509().unwrap());
        for (certificate, is_ca) in [(&root, true), (&host, false), (&leaf, false)] {
            assert_eq!(certificate.version().0, 2, "that is v3");
            assert_eq!(certificate.raw_serial(), [0]);
            assert_eq!(certificate.subject().iter().count(), 0);
            assert_eq!(certificate.issuer().iter().count(), 0);
            let constraints = certificate.basic_constraints().unwrap().unwrap();
            assert!(constraints.critical && constraints.value.ca == is_ca);
            let rsa_sha256 = "1.2.840.113549.1.1.11";
            assert_eq!(certificate.signature_algorithm.algorithm.to_id_string(), rsa_sha256);
            let begins = certificate.validity().not_before.to_datetime().to_string();
            assert!(begins.starts_with("2026-11-27"), "{begins}");
        }
        let key_der = device.to_public_key().to_public_key_der().unwrap();
        assert_eq!(leaf.public_key().raw, key_der.as_bytes());
        let host_key = std::str::from_utf8(&made.host_key).unwrap();
        let host_key = RsaPrivateKey::from_pkcs8_pem(host_key).unwrap();
        let host_der = host_key.to_public_key().to_public_key_der().unwrap();
        assert_eq!(host.public_key().raw, host_der.as_bytes());
        let usage = host.key_usage().unwrap().unwrap();
        assert!(
            usage.critical && usage.value.digital_signature() && usage.value.key_encipherment()
        );
        // Both were signed by the root's key.
        let root_key = root.public_key().subject_public_key.data.to_vec();
        for certificate in [&root, &host, &leaf] {
            let algorithm =
                &rustls::crypto::ring::default_provider().signature_verification_algorithms;
            let verified = algorithm.all.iter().any(|algorithm| {
                let signed = certificate.tbs_certificate.as_ref();
                let signature = &certificate.signature_value.data;
                algorithm.verify_signature(&root_key, signed, signature).is_ok()
            });
            assert!(verified);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let now = Timestamp::UNIX_EPOCH;
        for bad in [&b""[..], b"\xff\xfe", b"-----BEGIN RSA PUBLIC KEY-----\nAAAA\n"] {
            assert!(make(bad, now).is_err());
        }
    }
}
