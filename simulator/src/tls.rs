//! TLS as the phone speaks it: it shows the certificate that the host made for it when they were
//! paired, and wants to see one of the host's.
//!
//! A session can end while its connection goes on in plaintext, so no byte beyond the last TLS
//! record may be read: `Records` hands rustls one record at a time.
use crate::connection::Connection;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection,
    SignatureScheme, StreamOwned,
};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a host may take for a handshake, and for its goodbye.
const PATIENCE: Duration = Duration::from_secs(20);
/// A TLS record's header: type, version, length.
const HEADER_BYTES: usize = 5;

/// What the phone needs to speak TLS with one host.
#[derive(Clone)]
pub struct Trusted {
    config: Arc<ServerConfig>,
}

impl Trusted {
    /// Shows `own` with `key`; takes exactly `hosts` for the host.
    ///
    /// # Errors
    ///
    /// `InvalidData`: the key is of no use.
    pub fn new(
        own: Vec<u8>,
        key: PrivateKeyDer<'static>,
        hosts: Vec<Vec<u8>>,
    ) -> io::Result<Trusted> {
        let provider = Arc::new(ring::default_provider());
        let key = provider.key_provider.load_private_key(key).map_err(invalid)?;
        let own = CertifiedKey::new(vec![CertificateDer::from(own)], key);
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .with_client_cert_verifier(Arc::new(ExactHost { hosts, provider }))
            .with_cert_resolver(Arc::new(Own(Arc::new(own))));
        Ok(Trusted { config: Arc::new(config) })
    }

    /// Shakes hands with the host on `connection`.
    ///
    /// # Errors
    ///
    /// The host did not, showed no certificate or another one, or the connection is gone.
    pub fn accept<C: Connection>(&self, mut connection: C) -> io::Result<Tls<C>> {
        connection.set_read_timeout(Some(PATIENCE))?;
        // What was said before was plaintext.
        connection.flush()?;
        connection.set_carries_tls(true);
        let session = ServerConnection::new(Arc::clone(&self.config)).map_err(invalid)?;
        let mut stream = StreamOwned::new(session, Records::new(connection));
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock)? == (0, 0) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        stream.sock.inner.set_read_timeout(None)?;
        Ok(Tls { stream })
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// A connection inside TLS.
pub struct Tls<C: Connection> {
    stream: StreamOwned<ServerConnection, Records<C>>,
}

impl<C: Connection> Tls<C> {
    /// Ends TLS and gives the connection back, to go on in plaintext.
    ///
    /// # Errors
    ///
    /// The host said no goodbye in time, or the connection is gone.
    pub fn end(mut self) -> io::Result<C> {
        self.stream.conn.send_close_notify();
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut self.stream.sock)?;
        }
        self.stream.sock.inner.flush()?;
        self.stream.sock.inner.set_read_timeout(Some(PATIENCE))?;
        let deadline = Instant::now() + PATIENCE;
        let mut ignored = [0; 4096];
        while self.stream.read(&mut ignored)? > 0 {
            if Instant::now() > deadline {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        let mut connection = self.stream.into_parts().1.inner;
        connection.set_read_timeout(None)?;
        connection.set_carries_tls(false);
        Ok(connection)
    }
}

impl<C: Connection> Read for Tls<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream.read(buffer) {
            // Many clients leave without a goodbye; that is no news here.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
            result => result,
        }
    }
}

impl<C: Connection> Write for Tls<C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()?;
        self.stream.sock.inner.flush()
    }
}

impl<C: Connection> Connection for Tls<C> {
    fn set_read_timeout(&mut self, wait_at_most: Option<Duration>) -> io::Result<()> {
        self.stream.sock.inner.set_read_timeout(wait_at_most)
    }
}

/// Reads never beyond a TLS record.
struct Records<C> {
    inner: C,
    header: Vec<u8>,
    /// How much of the record's body is still to come.
    body_left: usize,
}

impl<C> Records<C> {
    fn new(inner: C) -> Records<C> {
        Records { inner, header: Vec::with_capacity(HEADER_BYTES), body_left: 0 }
    }
}

impl<C: Read> Read for Records<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted =
            if self.body_left > 0 { self.body_left } else { HEADER_BYTES - self.header.len() };
        let most = wanted.min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        if self.body_left > 0 {
            self.body_left -= count;
            return Ok(count);
        }
        self.header.extend_from_slice(&buffer[..count]);
        if let [_, _, _, high, low] = self.header[..] {
            self.body_left = usize::from(u16::from_be_bytes([high, low]));
            self.header.clear();
        }
        Ok(count)
    }
}

impl<C: Write> Write for Records<C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    /// Nothing: rustls flushes after each record, and records are to be joined too, now and then.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Always the same certificate.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Takes the host's own certificates, byte for byte, and no other.
///
/// Clients built on OpenSSL show the root's, others the host's (protocol.md 3.5). Their names are
/// empty, so there is no chain to build; that the three belong together was seen at pairing.
#[derive(Debug)]
struct ExactHost {
    hosts: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for ExactHost {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.hosts.iter().any(|host| host[..] == end_entity[..]) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
