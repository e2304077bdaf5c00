//! What a device says of its battery.
use plist::Value;

use super::session::Session;
use crate::error::Result;

/// Where lockdown keeps it.
const DOMAIN: &str = "com.apple.mobile.battery";

/// Below this share of its battery a device that does not charge may go off during a backup.
const LOW_PERCENT: u8 = 20;

/// What is left in a device's battery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Battery {
    /// From 0 to 100.
    pub percent: u8,
    /// Whether it charges; `None` when the device does not say.
    pub is_charging: Option<bool>,
}

impl Battery {
    /// Asks in `session`; `None` when the device does not say what is left.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn of(session: &mut Session<'_>) -> Result<Option<Battery>> {
        Ok(Battery::of_values(session.lockdown().value(Some(DOMAIN), None)?))
    }

    fn of_values(values: Option<Value>) -> Option<Battery> {
        let values = values?.into_dictionary()?;
        let percent = values.get("BatteryCurrentCapacity")?.as_unsigned_integer()?;
        let percent = u8::try_from(percent).ok().filter(|percent| *percent <= 100)?;
        let flag = |key: &str| values.get(key).and_then(Value::as_boolean);
        // A charger alone does not mean that it charges: a port may be too weak for it.
        let is_charging = flag("BatteryIsCharging").or_else(|| flag("ExternalConnected"));
        Some(Battery { percent, is_charging })
    }

    /// Whether it may be empty before a backup is over.
    pub fn is_low(&self) -> bool {
        self.percent < LOW_PERCENT && self.is_charging == Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plist::Dictionary;

    fn told<const N: usize>(values: [(&str, Value); N]) -> Option<Battery> {
        let values = values.into_iter().map(|(key, value)| (key.to_owned(), value));
        Battery::of_values(Some(Value::Dictionary(values.collect::<Dictionary>())))
    }

    #[test]
    fn a_battery_is_low_when_little_is_left_and_nothing_comes() {
        for (percent, charging, powered, is_low) in [
            (19_u64, Some(false), false, true),
            (0, Some(false), true, true),
            (19, None, false, true),
            (19, Some(true), true, false),
            (19, None, true, false),
            (20, Some(false), false, false),
        ] {
            let mut values = vec![
                ("BatteryCurrentCapacity", Value::from(percent)),
                ("ExternalConnected", powered.into()),
            ];
            values.extend(charging.map(|flag| ("BatteryIsCharging", flag.into())));
            let values = values.into_iter().map(|(key, value)| (key.to_owned(), value));
            let battery = Battery::of_values(Some(Value::Dictionary(values.collect()))).unwrap();
            assert_eq!(battery.is_low(), is_low, "{battery:?}");
        }
    }

    #[test]
    fn a_device_that_does_not_say_has_no_battery() {
        assert_eq!(Battery::of_values(None), None);
        assert_eq!(told([]), None);
        assert_eq!(told([("BatteryCurrentCapacity", 300_u64.into())]), None);
        assert_eq!(told([("BatteryCurrentCapacity", "12".into())]), None);
        let unknown = told([("BatteryCurrentCapacity", 5_u64.into())]).unwrap();
        assert!(unknown.is_charging.is_none() && !unknown.is_low());
    }
}
