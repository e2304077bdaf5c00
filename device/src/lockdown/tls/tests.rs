//! A device's side of TLS, played by the same library with another certificate check.
use super::*;
use crate::lockdown::certificates;
use crate::transport::AtMost;
use jiff::Timestamp;
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ServerConfig, ServerConnection};
use rustls::{DistinguishedName, SupportedProtocolVersion};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use zeroize::Zeroizing;

const SOON: AtMost = AtMost(Duration::from_secs(60));

/// Takes any certificate, and insists on one.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn new_key() -> RsaPrivateKey {
    RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap()
}

fn paired(device: &RsaPrivateKey) -> PairRecord {
    let key = device.to_public_key().to_pkcs1_pem(LineEnding::LF).unwrap();
    let made = certificates::make(key.as_bytes(), Timestamp::now()).unwrap();
    PairRecord {
        device_certificate: made.device,
        host_certificate: made.host,
        host_private_key: made.host_key,
        root_certificate: made.root,
        root_private_key: Some(made.root_key),
        host_id: "HOST".to_owned(),
        system_buid: "BUID".to_owned(),
        escrow_bag: Some(Zeroizing::new(vec![1; 32])),
        wifi_mac: None,
    }
}

/// Serves one connection with `key`: answers what it hears, and hands back the certificate shown.
fn serve(
    certificate: &[u8],
    key: &RsaPrivateKey,
    version: &'static SupportedProtocolVersion,
) -> (Box<dyn DeviceStream>, JoinHandle<Option<Vec<u8>>>) {
    let chain = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let key = key.to_pkcs8_der().unwrap();
    let key = PrivateKeyDer::try_from(key.as_bytes().to_vec()).unwrap();
    let signing = ring::sign::any_supported_type(&key).unwrap();
    let certified = Arc::new(CertifiedKey::new(chain, signing));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let (near, mut far) = UnixStream::pair().unwrap();
    let serving = std::thread::spawn(move || {
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut far);
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).ok()?;
        stream.write_all(&heard).ok()?;
        tls.peer_certificates().map(|shown| shown[0].to_vec())
    });
    (Box::new(near), serving)
}

#[test]
fn the_paired_device_is_talked_to_and_sees_our_certificate() {
    let device = new_key();
    let record = paired(&device);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (stream, serving) = serve(&record.device_certificate, &device, version);
        let tls = Tls::of(&record).unwrap();
        let mut stream = tls.connect(stream, &mut SOON.clone()).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.flush().unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        let shown = serving.join().unwrap().unwrap();
        let ours = CertificateDer::from_pem_slice(&record.host_certificate).unwrap();
        assert_eq!(shown, ours.to_vec());
        assert_eq!(stream.read(&mut answer).unwrap(), 0, "closed without a word is an end");
    }
}

#[test]
fn a_device_with_another_key_is_not_talked_to_even_with_the_right_certificate() {
    let record = paired(&new_key());
    let stranger = new_key();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (stream, serving) = serve(&record.device_certificate, &stranger, version);
        let refused = Tls::of(&record).unwrap().connect(stream, &mut SOON.clone());
        assert_eq!(refused.err().unwrap().kind(), DeviceErrorKind::NotTrusted);
        assert_eq!(serving.join().unwrap(), None);
    }
}

#[test]
fn a_handshake_that_ends_without_a_word_says_nothing_about_trust() {
    let record = paired(&new_key());
    let (near, mut far) = UnixStream::pair().unwrap();
    let leaving = std::thread::spawn(move || {
        let mut heard = [0; 5];
        far.read_exact(&mut heard)
    });
    let lost = Tls::of(&record).unwrap().connect(Box::new(near), &mut SOON.clone());
    leaving.join().unwrap().unwrap();
    let lost = lost.err().unwrap();
    assert_eq!(lost.kind(), DeviceErrorKind::ConnectionLost);
    assert!(HandshakeLost::is_behind(&lost));
}

#[test]
fn a_record_whose_keys_are_none_asks_for_a_new_pairing() {
    let whole = paired(&new_key());
    let no_key = PairRecord { host_private_key: Zeroizing::new(b"x".to_vec()), ..whole.clone() };
    let no_certificate = PairRecord { device_certificate: b"x".to_vec(), ..whole };
    for record in [no_key, no_certificate] {
        assert_eq!(Tls::of(&record).err().unwrap().kind(), DeviceErrorKind::NotTrusted);
    }
}
