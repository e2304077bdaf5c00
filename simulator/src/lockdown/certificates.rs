//! The three certificates of a pairing, and whether they belong together.
use super::key::DeviceKey;
use plist::Dictionary;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// Longest PEM that is looked at. One of a 2048-bit key is about 1 KiB.
const PEM_BYTES_MAX: usize = 16 * 1024;

/// The certificates of a pairing, as DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificates {
    pub(crate) device: Vec<u8>,
    pub(crate) host: Vec<u8>,
    pub(crate) root: Vec<u8>,
}

impl Certificates {
    /// Reads the three of a host's `PairRecord`, and sees that the root signed them all, itself
    /// included, and that the device's is for `key`. A host may use its root's as its own. `None`:
    /// something is wrong.
    pub(crate) fn offered(record: &Dictionary, key: &DeviceKey) -> Option<Certificates> {
        let read = |name: &str| der(record.get(name)?.as_data()?);
        let certificates = Certificates {
            device: read("DeviceCertificate")?,
            host: read("HostCertificate")?,
            root: read("RootCertificate")?,
        };
        let (device, host, root) =
            (parse(&certificates.device)?, parse(&certificates.host)?, parse(&certificates.root)?);
        let signer = Some(root.public_key());
        for certificate in [&device, &host, &root] {
            certificate.verify_signature(signer).ok()?;
        }
        let PublicKey::RSA(public) = device.public_key().parsed().ok()? else { return None };
        let leading_zeros = public.modulus.iter().take_while(|byte| **byte == 0).count();
        (public.modulus[leading_zeros..] == *key.modulus()).then_some(certificates)
    }
}

fn der(pem: &[u8]) -> Option<Vec<u8>> {
    if pem.len() > PEM_BYTES_MAX {
        return None;
    }
    let pem = Pem::iter_from_buffer(pem).next()?.ok()?;
    (pem.label == "CERTIFICATE").then_some(pem.contents)
}

/// The certificate that `der` is, to its last byte.
fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}
