//! The phone's own key pair, which hosts make a certificate for.
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::traits::PublicKeyParts;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// As hosts make theirs (protocol.md 3.4).
const BITS: usize = 2048;
const FILE: &str = "device-key.pem";

/// A key pair.
pub(crate) struct DeviceKey {
    private_der: Vec<u8>,
    /// `RSA PUBLIC KEY` (PKCS#1) as PEM: what lockdown calls `DevicePublicKey`.
    public_pem: String,
    modulus: Vec<u8>,
}

impl DeviceKey {
    /// The one kept in `folder`; a new one where there is none.
    ///
    /// # Errors
    ///
    /// The folder cannot be read or written, or holds something else under that name.
    pub(crate) fn kept_in(folder: &Path) -> io::Result<DeviceKey> {
        let path = folder.join(FILE);
        let key = match fs::read_to_string(&path) {
            Ok(pem) => RsaPrivateKey::from_pkcs8_pem(&pem).map_err(invalid)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS).map_err(invalid)?;
                fs::write(&path, key.to_pkcs8_pem(LineEnding::LF).map_err(invalid)?)?;
                key
            }
            Err(error) => return Err(error),
        };
        Ok(DeviceKey {
            private_der: key.to_pkcs8_der().map_err(invalid)?.as_bytes().to_vec(),
            public_pem: key.to_public_key().to_pkcs1_pem(LineEnding::LF).map_err(invalid)?,
            modulus: key.n().to_bytes_be(),
        })
    }

    pub(crate) fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// Without leading zeros.
    pub(crate) fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    pub(crate) fn private(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.private_der.clone()).into()
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
