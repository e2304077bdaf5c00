//! The icons of a device's apps.
use plist::{Dictionary, Value};

use super::ANSWER_WAIT;
use crate::error::Result;
use crate::plist_stream::{Encoding, PlistStream};
use crate::transport::DeviceStream;

/// The service.
pub const SERVICE: &str = "com.apple.springboardservices";

/// A longer icon is left out, in bytes.
const ICON_LEN_MAX: usize = 1 << 20;

/// A connection to SpringBoard.
pub struct SpringBoard {
    stream: PlistStream,
}

impl SpringBoard {
    /// Speaks on a fresh stream to the service.
    ///
    /// # Errors
    ///
    /// The stream is gone.
    pub fn over(stream: Box<dyn DeviceStream>) -> Result<Self> {
        Ok(SpringBoard { stream: PlistStream::over(stream, Encoding::Binary)? })
    }

    /// An app's icon as PNG, if it has one.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn icon(&mut self, bundle_id: &str) -> Result<Option<Vec<u8>>> {
        let mut request = Dictionary::new();
        request.insert("command".to_owned(), "getIconPNGData".into());
        request.insert("bundleId".to_owned(), bundle_id.into());
        let mut answer = self.stream.ask(request, &mut ANSWER_WAIT.clone())?;
        let icon = answer.remove("pngData").and_then(Value::into_data);
        Ok(icon.filter(|icon| icon.len() <= ICON_LEN_MAX))
    }
}
