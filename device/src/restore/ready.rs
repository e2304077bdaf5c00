//! What a device says of itself that decides whether it can take a restore.
use plist::Value;

use crate::error::Result;
use crate::lockdown::Session;

/// Where lockdown keeps how much room there is, and whether the device can be found.
const DISK_USAGE: &str = "com.apple.disk_usage";
const FIND_MY: &str = "com.apple.fmip";

/// Any of these that is true means that "Find My" is on.
///
/// # Source
///
/// `docs/device-protocol.md`, "Restore": inferred, no device has met it.
const FIND_MY_IS_ON: [&str; 3] = ["IsAssociated", "IsEnabled", "fmipEnabled"];

/// What a device says; a device need not say any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// How much room it has, in bytes.
    pub free_bytes: Option<u64>,
    /// How much its owner's data may take at all, in bytes.
    pub capacity_bytes: Option<u64>,
    /// Whether "Find My" is on.
    pub find_my: Option<bool>,
}

impl Ready {
    /// Asks in `session`.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn ask(session: &mut Session<'_>) -> Result<Ready> {
        let disk = session.lockdown().value(Some(DISK_USAGE), None)?;
        let find_my = session.lockdown().value(Some(FIND_MY), None)?;
        Ok(Ready::of_values(disk.as_ref(), find_my.as_ref()))
    }

    fn of_values(disk: Option<&Value>, find_my: Option<&Value>) -> Ready {
        let first_of = |keys: &[&str]| {
            let disk = disk.and_then(Value::as_dictionary)?;
            keys.iter().find_map(|key| disk.get(key)?.as_unsigned_integer())
        };
        let find_my = find_my.and_then(Value::as_dictionary).and_then(|find_my| {
            let said = FIND_MY_IS_ON.into_iter().filter_map(|key| flag(find_my.get(key)?));
            said.reduce(|one, other| one || other)
        });
        Ready {
            free_bytes: first_of(&["AmountDataAvailable", "TotalDataAvailable"]),
            capacity_bytes: first_of(&["TotalDataCapacity", "TotalDiskCapacity"]),
            find_my,
        }
    }
}

/// Lockdown's flags are truths, or numbers.
fn flag(value: &Value) -> Option<bool> {
    value.as_boolean().or_else(|| Some(value.as_unsigned_integer()? != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary<const N: usize>(values: [(&str, Value); N]) -> Value {
        Value::Dictionary(values.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }

    #[test]
    fn what_a_device_does_not_say_is_not_known() {
        let nothing = Ready { free_bytes: None, capacity_bytes: None, find_my: None };
        assert_eq!(Ready::of_values(None, None), nothing);
        let odd =
            dictionary([("AmountDataAvailable", "much".into()), ("IsAssociated", "x".into())]);
        assert_eq!(Ready::of_values(Some(&odd), Some(&odd)), nothing);
        assert_eq!(Ready::of_values(Some(&1.into()), Some(&true.into())), nothing);
    }

    #[test]
    fn find_my_is_on_when_any_word_for_it_says_so() {
        let find_my = |values: Value| Ready::of_values(None, Some(&values)).find_my;
        assert_eq!(find_my(dictionary([("IsAssociated", false.into())])), Some(false));
        assert_eq!(find_my(dictionary([("IsAssociated", 1.into())])), Some(true));
        let both = dictionary([("IsAssociated", false.into()), ("IsEnabled", true.into())]);
        assert_eq!(find_my(both), Some(true));
    }
}
