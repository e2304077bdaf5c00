//! TLS with a device: our certificate shown, the device's key pinned.
//!
//! There is no authority and there are no names: both sides know each other's key from the
//! pairing. So the certificate the device shows is not even read. What counts is that the
//! handshake is signed with the key that the pairing certified, which only the device has.
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use webpki::RawPublicKeyEntity;

use super::pair_record::PairRecord;
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::transport::{DeviceStream, TICK, Tapped, Wait};

/// How long a handshake may take; what other clients give it.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// What every TLS connection of one pairing shares.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Prepares for the device of `record`.
    ///
    /// # Errors
    ///
    /// [`NotTrusted`](DeviceErrorKind::NotTrusted): the record's certificates or key cannot be
    /// used, so the device must be paired anew.
    pub fn of(record: &PairRecord) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let shown = certified(record).map_err(unusable)?;
        let pinned = Pinned {
            key: device_key(record).map_err(unusable)?,
            algorithms: provider.signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(e.into()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_client_cert_resolver(Arc::new(Shown(Arc::new(shown))));
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Ok(Tls(Arc::new(config)))
    }

    /// Shakes hands on `stream` and speaks TLS from then on.
    ///
    /// # Errors
    ///
    /// [`NotTrusted`](DeviceErrorKind::NotTrusted) when the device refuses the handshake or is
    /// another one: it has forgotten this computer.
    /// [`ConnectionLost`](DeviceErrorKind::ConnectionLost) because of [`HandshakeLost`]: it ended
    /// without a word, as when a cable is pulled; but a device may refuse so too. What `wait` says.
    pub fn connect(
        &self,
        mut stream: Box<dyn DeviceStream>,
        wait: &mut dyn Wait,
    ) -> Result<Box<dyn DeviceStream>> {
        // Who listens in wants to hear what is said, not what it looks like encrypted.
        let Some(mut tap) = stream.take_tap() else { return self.shake_hands(stream, wait) };
        let secured = self.shake_hands(stream, wait);
        tap.secured(secured.is_ok());
        Ok(Box::new(Tapped::over(secured?, tap)))
    }

    fn shake_hands(
        &self,
        mut stream: Box<dyn DeviceStream>,
        wait: &mut dyn Wait,
    ) -> Result<Box<dyn DeviceStream>> {
        let name = ServerName::try_from("device").expect("because it is a name");
        let mut tls =
            ClientConnection::new(self.0.clone(), name).map_err(|e| failed(io::Error::other(e)))?;
        stream.set_patience(TICK).map_err(failed)?;
        let since = Instant::now();
        while tls.is_handshaking() {
            match tls.complete_io(&mut stream) {
                Ok(_) => {}
                Err(e) if is_pause(&e) && since.elapsed() < HANDSHAKE_WAIT => {
                    wait.waited(since.elapsed())?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Box::new(TlsStream { tls, stream }))
    }
}

fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn unusable(cause: Cause) -> DeviceError {
    DeviceError::new(DeviceErrorKind::NotTrusted, "the pair record of the device cannot be used")
        .because(cause)
}

/// A handshake that ended without a word.
#[derive(Debug, thiserror::Error)]
#[error("the handshake was broken off: {0}")]
pub struct HandshakeLost(io::Error);

impl HandshakeLost {
    /// Whether that is why `error` came about.
    pub fn is_behind(error: &DeviceError) -> bool {
        std::error::Error::source(error).is_some_and(|cause| cause.is::<HandshakeLost>())
    }
}

fn failed(error: io::Error) -> DeviceError {
    // What TLS itself has to say comes as invalid data.
    if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::Other) {
        let sentence = "the connection broke off as it was being encrypted";
        return DeviceError::new(DeviceErrorKind::ConnectionLost, sentence)
            .because(HandshakeLost(error));
    }
    DeviceError::new(
        DeviceErrorKind::NotTrusted,
        "no encrypted connection with the device; it may have forgotten this computer",
    )
    .because(error)
}

/// Our certificate with its key. Both are taken as they are: other programs' certificates have
/// oddities that a parser would trip over, and the device is the one to judge them.
fn certified(record: &PairRecord) -> Result<CertifiedKey, Cause> {
    let certificate = CertificateDer::from_pem_slice(&record.host_certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&record.host_private_key)?;
    Ok(CertifiedKey::new(vec![certificate], ring::sign::any_supported_type(&key)?))
}

/// The key in the certificate that this computer made for the device.
fn device_key(record: &PairRecord) -> Result<SubjectPublicKeyInfoDer<'static>, Cause> {
    let certificate = CertificateDer::from_pem_slice(&record.device_certificate)?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate)?;
    let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw.to_vec());
    RawPublicKeyEntity::try_from(&key)?;
    Ok(key)
}

/// Shows one certificate, whoever is said to have signed it.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
    fn has_certs(&self) -> bool {
        true
    }
}

/// Accepts the handshake of one key.
struct Pinned {
    key: SubjectPublicKeyInfoDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}

impl ServerCertVerifier for Pinned {
    /// Says nothing about the certificate: the two functions below do not use it.
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let not_signed = || rustls::Error::General("not signed with the device's key".to_owned());
        let key = RawPublicKeyEntity::try_from(&self.key).map_err(|_| not_signed())?;
        let mapping = self.algorithms.mapping.iter();
        let fitting = mapping.filter(|(scheme, _)| *scheme == signed.scheme);
        fitting
            .flat_map(|(_, algorithms)| algorithms.iter())
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok())
            .then(HandshakeSignatureValid::assertion)
            .ok_or_else(not_signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature_with_raw_key(
            message,
            &self.key,
            signed,
            &self.algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

const _: fn() -> CryptoProvider = ring::default_provider;

/// A stream under TLS.
struct TlsStream {
    tls: ClientConnection,
    stream: Box<dyn DeviceStream>,
}

impl Read for TlsStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match rustls::Stream::new(&mut self.tls, &mut self.stream).read(into) {
            // Devices close without a word; what matters is framed, so nothing can be cut off
            // unseen.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.tls, &mut self.stream).write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        rustls::Stream::new(&mut self.tls, &mut self.stream).flush()
    }
}

impl DeviceStream for TlsStream {
    fn set_patience(&self, at_most: Duration) -> io::Result<()> {
        self.stream.set_patience(at_most)
    }
}

/// Says that nothing more comes.
impl Drop for TlsStream {
    fn drop(&mut self) {
        self.tls.send_close_notify();
        let _ = self.tls.write_tls(&mut self.stream);
    }
}

#[cfg(test)]
mod tests;
