//! A small host: usbmuxd, lockdown and TLS from the other side, as far as tests need them.
use devsnap_simulator::Simulator;
use plist::{Dictionary, Value};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, SubjectPublicKeyInfo,
};
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::{RsaPrivateKey, RsaPublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{self, Cursor, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A host that waits longer has found a mistake.
const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const LOCKDOWN: u16 = 62_078;

/// A dictionary of these entries.
pub(crate) fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Dictionary {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(crate) fn xml(dictionary: Dictionary) -> Vec<u8> {
    let mut bytes = Vec::new();
    Value::Dictionary(dictionary).to_writer_xml(&mut bytes).unwrap();
    bytes
}

fn parsed(bytes: &[u8]) -> Dictionary {
    Value::from_reader(Cursor::new(bytes)).unwrap().into_dictionary().unwrap()
}

/// A connection to usbmuxd.
pub(crate) struct Mux(pub(crate) TcpStream);

impl Mux {
    pub(crate) fn connect(address: SocketAddr) -> Mux {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Mux(stream)
    }

    /// A message as it goes over the wire.
    pub(crate) fn frame(version: u32, kind: u32, tag: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut bytes: Vec<u8> =
            [length, version, kind, tag].iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.extend(payload);
        bytes
    }

    pub(crate) fn request(message: Dictionary) -> Vec<u8> {
        Mux::frame(1, 8, 7, &xml(message))
    }

    /// The request to be led to `port` of the device `id`.
    pub(crate) fn connect_request(id: u64, port: u16) -> Vec<u8> {
        Mux::request(dictionary([
            ("MessageType", "Connect".into()),
            ("DeviceID", id.into()),
            ("PortNumber", u64::from(port.swap_bytes()).into()),
        ]))
    }

    /// The next message, with its tag.
    pub(crate) fn receive(&mut self) -> (u32, Dictionary) {
        let mut header = [0; 16];
        self.0.read_exact(&mut header).unwrap();
        let field = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        assert_eq!((field(4), field(8)), (1, 8), "version and type");
        let mut payload = vec![0; field(0) as usize - 16];
        self.0.read_exact(&mut payload).unwrap();
        assert!(payload.starts_with(b"<?xml"));
        (field(12), parsed(&payload))
    }

    pub(crate) fn ask(&mut self, message: Dictionary) -> Dictionary {
        self.0.write_all(&Mux::request(message)).unwrap();
        let (tag, answer) = self.receive();
        assert_eq!(tag, 7);
        answer
    }

    pub(crate) fn number(answer: &Dictionary) -> Option<u64> {
        answer.get("Number")?.as_unsigned_integer()
    }
}

/// The numbers of the attached devices, with their kinds of connection.
pub(crate) fn devices(simulator: &Simulator) -> Vec<(u64, String)> {
    let list =
        Mux::connect(simulator.address()).ask(dictionary([("MessageType", "ListDevices".into())]));
    let list = list.get("DeviceList").unwrap().as_array().unwrap().clone();
    list.iter()
        .map(|device| {
            let properties = device.as_dictionary().unwrap().get("Properties").unwrap();
            let properties = properties.as_dictionary().unwrap();
            let id = properties.get("DeviceID").unwrap().as_unsigned_integer().unwrap();
            let kind = properties.get("ConnectionType").unwrap().as_string().unwrap();
            (id, kind.to_owned())
        })
        .collect()
}

/// A stream to `port` of the device `id`.
pub(crate) fn stream_to(simulator: &Simulator, id: u64, port: u16) -> TcpStream {
    let mut mux = Mux::connect(simulator.address());
    mux.0.write_all(&Mux::connect_request(id, port)).unwrap();
    assert_eq!(Mux::number(&mux.receive().1), Some(0), "port {port}");
    mux.0
}

/// Sends a message of lockdown and most services.
pub(crate) fn send(stream: &mut impl Write, message: Dictionary) {
    let body = xml(message);
    stream.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    stream.flush().unwrap();
}

/// Receives one.
pub(crate) fn receive(stream: &mut impl Read) -> io::Result<Dictionary> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body)?;
    Ok(parsed(&body))
}

/// A request to lockdown and its answer.
pub(crate) fn ask(stream: &mut (impl Read + Write), message: Dictionary) -> Dictionary {
    let name = message.get("Request").cloned();
    send(stream, message);
    let answer = receive(stream).unwrap();
    assert_eq!(answer.get("Request").cloned(), name);
    answer
}

/// A request without more to it.
pub(crate) fn request(name: &str) -> Dictionary {
    dictionary([("Label", "test".into()), ("Request", name.into())])
}

/// The error in an answer.
pub(crate) fn error(answer: &Dictionary) -> Option<&str> {
    answer.get("Error")?.as_string()
}

/// A key pair and its certificate.
#[derive(Clone)]
pub(crate) struct Identity {
    key: Vec<u8>,
    der: Vec<u8>,
    pem: String,
}

/// What a host pairs with.
pub(crate) struct Host {
    pub(crate) id: String,
    pub(crate) root: Identity,
    pub(crate) host: Identity,
    issuer: Issuer<'static, KeyPair>,
}

fn new_key() -> (Vec<u8>, KeyPair) {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let der = key.to_pkcs8_der().unwrap().as_bytes().to_vec();
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(der.clone()),
        &PKCS_RSA_SHA256,
    )
    .unwrap();
    (der, pair)
}

fn parameters(is_root: bool) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    // Names are empty (protocol.md 3.4).
    parameters.distinguished_name = DistinguishedName::new();
    parameters.serial_number = Some(vec![0].into());
    if is_root {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    } else {
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    }
    parameters
}

impl Host {
    /// A host with keys of its own.
    pub(crate) fn new(id: &str) -> Host {
        let (root_key, root_pair) = new_key();
        let root = parameters(true).self_signed(&root_pair).unwrap();
        let issuer = Issuer::new(parameters(true), root_pair);
        let (host_key, host_pair) = new_key();
        let host = parameters(false).signed_by(&host_pair, &issuer).unwrap();
        let identity = |key, certificate: rcgen::Certificate| Identity {
            key,
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
        };
        Host {
            id: id.to_owned(),
            root: identity(root_key, root),
            host: identity(host_key, host),
            issuer,
        }
    }

    /// The host that most tests share: keys take a while.
    pub(crate) fn shared() -> &'static Host {
        static HOST: OnceLock<Host> = OnceLock::new();
        HOST.get_or_init(|| Host::new("D3C5A4B0-0000-4000-8000-00000000000A"))
    }

    /// Another one, that no phone trusts.
    pub(crate) fn stranger() -> &'static Host {
        static STRANGER: OnceLock<Host> = OnceLock::new();
        STRANGER.get_or_init(|| Host::new("D3C5A4B0-0000-4000-8000-00000000000B"))
    }

    /// A certificate for the phone whose key is `public_pem`.
    pub(crate) fn device_certificate(&self, public_pem: &str) -> String {
        let public = RsaPublicKey::from_pkcs1_pem(public_pem).unwrap();
        let spki = public.to_public_key_pem(LineEnding::LF).unwrap();
        let key = SubjectPublicKeyInfo::from_pem(&spki).unwrap();
        parameters(false).signed_by(&key, &self.issuer).unwrap().pem()
    }

    /// The record that goes into a Pair request.
    pub(crate) fn record(&self, public_pem: &str) -> Dictionary {
        let data = |text: &str| Value::Data(text.as_bytes().to_vec());
        dictionary([
            ("DeviceCertificate", data(&self.device_certificate(public_pem))),
            ("HostCertificate", data(&self.host.pem)),
            ("RootCertificate", data(&self.root.pem)),
            ("HostID", self.id.as_str().into()),
            ("SystemBUID", "30142955-444094379208051516".into()),
        ])
    }

    /// Pairs over a lockdown connection in plaintext; the escrow bag, or the answer.
    pub(crate) fn pair(&self, stream: &mut TcpStream) -> Result<Vec<u8>, Dictionary> {
        let record = self.record(&public_key(stream));
        let answer = ask(stream, pair_request(record));
        match answer.get("EscrowBag").and_then(Value::as_data) {
            Some(bag) => Ok(bag.to_vec()),
            None => Err(answer),
        }
    }

    /// Begins a session: the identifier, and the connection inside TLS.
    pub(crate) fn session(&self, mut stream: TcpStream) -> (String, Secret) {
        let answer = ask(&mut stream, self.start_session());
        assert_eq!(answer.get("EnableSessionSSL"), Some(&Value::Boolean(true)), "{answer:?}");
        let id = answer.get("SessionID").unwrap().as_string().unwrap().to_owned();
        (id, secret(stream, Some(&self.host)).unwrap())
    }

    pub(crate) fn start_session(&self) -> Dictionary {
        let mut message = request("StartSession");
        message.insert("HostID".into(), self.id.as_str().into());
        message.insert("SystemBUID".into(), "30142955-444094379208051516".into());
        message
    }

    /// A paired host's connection to a service, in TLS when the phone says so.
    pub(crate) fn service(&self, simulator: &Simulator, id: u64, name: &str) -> Secret {
        let (_, mut lockdown) = self.session(stream_to(simulator, id, LOCKDOWN));
        let answer = ask(&mut lockdown, start_service(name, None));
        let port = answer.get("Port").unwrap_or_else(|| panic!("{answer:?}"));
        let port = u16::try_from(port.as_unsigned_integer().unwrap()).unwrap();
        assert_eq!(answer.get("EnableServiceSSL"), Some(&Value::Boolean(true)));
        secret(stream_to(simulator, id, port), Some(&self.host)).unwrap()
    }
}

/// The phone's key, as lockdown tells it.
pub(crate) fn public_key(stream: &mut TcpStream) -> String {
    let mut message = request("GetValue");
    message.insert("Key".into(), "DevicePublicKey".into());
    let answer = ask(stream, message);
    let pem = answer.get("Value").unwrap().as_data().unwrap();
    String::from_utf8(pem.to_vec()).unwrap()
}

pub(crate) fn pair_request(record: Dictionary) -> Dictionary {
    let mut message = request("Pair");
    message.insert("PairRecord".into(), Value::Dictionary(record));
    message.insert("ProtocolVersion".into(), "2".into());
    message
}

pub(crate) fn start_service(name: &str, escrow_bag: Option<Vec<u8>>) -> Dictionary {
    let mut message = request("StartService");
    message.insert("Service".into(), name.into());
    if let Some(bag) = escrow_bag {
        message.insert("EscrowBag".into(), Value::Data(bag));
    }
    message
}

/// A connection inside TLS.
pub(crate) type Secret = StreamOwned<ClientConnection, ByteByByte>;

/// Reads one byte at a time, so that TLS takes nothing of what comes after its end.
pub(crate) struct ByteByByte(pub(crate) TcpStream);

impl Read for ByteByByte {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

impl Write for ByteByByte {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Shakes hands, with a certificate or without. A refused one may show only at the first read.
pub(crate) fn secret(stream: TcpStream, own: Option<&Identity>) -> io::Result<Secret> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let config = match own {
        Some(own) => {
            let key = PrivatePkcs8KeyDer::from(own.key.clone());
            config
                .with_client_auth_cert(vec![CertificateDer::from(own.der.clone())], key.into())
                .unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from("phone").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut secret = StreamOwned::new(connection, ByteByByte(stream));
    while secret.conn.is_handshaking() {
        if secret.conn.complete_io(&mut secret.sock)? == (0, 0) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(secret)
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
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
