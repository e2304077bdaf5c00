//! A dictionary read by keys we know, with one sentence for each way a value can be wrong.
use std::time::SystemTime;

use jiff::Timestamp;
use plist::{Dictionary, Value};

use super::BadPlist;
use crate::udid::Udid;

/// The longest text taken over from a list, in bytes.
///
/// A device's name is at most 63 bytes where it serves as a host name; everything else is shorter.
pub const TEXT_LEN_MAX: usize = 1024;

/// The keys that were asked for and found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(Dictionary);

impl Fields {
    pub(super) fn new(dictionary: Dictionary) -> Self {
        Fields(dictionary)
    }

    /// The text under `key`, if there is one; an empty text counts as none.
    ///
    /// # Errors
    ///
    /// Something else stands there, or it is longer than [`TEXT_LEN_MAX`].
    pub fn text(&self, key: &'static str) -> Result<Option<String>, BadPlist> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= TEXT_LEN_MAX => {
                Ok((!text.is_empty()).then(|| text.clone()))
            }
            Some(_) => Err(BadPlist::WrongType { key, expected: "a short text" }),
        }
    }

    /// The UDID under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// Something else stands there: it would become a path, so it is not passed over.
    pub fn udid(&self, key: &'static str) -> Result<Option<Udid>, BadPlist> {
        let wrong = BadPlist::WrongType { key, expected: "a UDID" };
        self.text(key)?.map(|text| Udid::parse(&text).ok_or(wrong)).transpose()
    }

    /// The yes or no under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// Something else stands there.
    pub fn flag(&self, key: &'static str) -> Result<Option<bool>, BadPlist> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(*flag)),
            Some(_) => Err(BadPlist::WrongType { key, expected: "true or false" }),
        }
    }

    /// The date under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// Something else stands there.
    pub fn date(&self, key: &'static str) -> Result<Option<Timestamp>, BadPlist> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Date(date)) => Timestamp::try_from(SystemTime::from(*date))
                .map(Some)
                .map_err(|_| BadPlist::BadDate),
            Some(_) => Err(BadPlist::WrongType { key, expected: "a date" }),
        }
    }

    /// The bytes under `key`, if there are any; the list's limits bound them.
    ///
    /// # Errors
    ///
    /// Something else stands there.
    pub fn data(&self, key: &'static str) -> Result<Option<&[u8]>, BadPlist> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Data(data)) => Ok(Some(data)),
            Some(_) => Err(BadPlist::WrongType { key, expected: "data" }),
        }
    }

    /// The dictionary under `key`; an absent one is empty.
    ///
    /// # Errors
    ///
    /// Something else stands there.
    pub fn dictionary(&self, key: &'static str) -> Result<Fields, BadPlist> {
        match self.0.get(key) {
            None => Ok(Fields::default()),
            Some(Value::Dictionary(inner)) => Ok(Fields(inner.clone())),
            Some(_) => Err(BadPlist::WrongType { key, expected: "a dictionary" }),
        }
    }
}
