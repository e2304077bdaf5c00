//! Whether a device has a passcode: the one thing asked of its diagnostics.
use plist::{Dictionary, Value};

use super::ANSWER_WAIT;
use crate::error::Result;
use crate::plist_stream::{Encoding, PlistStream};
use crate::transport::DeviceStream;

/// The service.
pub const SERVICE: &str = "com.apple.mobile.diagnostics_relay";

/// Whether a passcode is set; `None` when the device does not say (before iOS 13).
///
/// # Errors
///
/// The connection broke.
pub fn has_passcode(stream: Box<dyn DeviceStream>) -> Result<Option<bool>> {
    const KEY: &str = "PasswordConfigured";
    let mut stream = PlistStream::over(stream, Encoding::Xml)?;
    let mut request = Dictionary::new();
    request.insert("MobileGestaltKeys".to_owned(), Value::Array(vec![KEY.into()]));
    request.insert("Request".to_owned(), "MobileGestalt".into());
    let answer = stream.ask(request, &mut ANSWER_WAIT.clone())?;
    let mut goodbye = Dictionary::new();
    goodbye.insert("Request".to_owned(), "Goodbye".into());
    let _ = stream.ask(goodbye, &mut ANSWER_WAIT.clone());
    let dictionary = |value: &Value, key: &str| value.as_dictionary()?.get(key).cloned();
    let found = dictionary(&Value::Dictionary(answer), "Diagnostics")
        .and_then(|diagnostics| dictionary(&diagnostics, "MobileGestalt"))
        .and_then(|gestalt| dictionary(&gestalt, KEY));
    Ok(found.and_then(|found| found.as_boolean()))
}
