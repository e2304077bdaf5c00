//! Whether a host says what was recorded, and where it first does not.
use super::made_up;
use plist::Value;
use serde_json::Value as Json;
use std::collections::HashSet;

/// Where something differs, and both sides of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// The place within the message, e.g. `[1].Options`.
    pub(super) at: String,
    /// What was recorded.
    pub(super) recorded: String,
    /// What is said now.
    pub(super) now: String,
}

/// What an answer of the host answers, as far as that decides what may differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum AnswerTo {
    /// How much room there is: any number.
    FreeSpace,
    /// What lies in a folder: files that hosts write themselves have any length.
    Listing,
    /// Something else.
    #[default]
    Other,
}

impl AnswerTo {
    /// By the device's message.
    pub(super) fn message(list: &Json) -> AnswerTo {
        match list.get(0).and_then(Json::as_str) {
            Some("DLMessageGetFreeDiskSpace") => AnswerTo::FreeSpace,
            Some("DLContentsOfDirectory") => AnswerTo::Listing,
            _ => AnswerTo::Other,
        }
    }
}

/// Files whose length is the host's affair, or not kept to the byte here.
const OF_ANY_LENGTH: [&str; 2] = ["Info.plist", "Status.plist"];

/// What the phone of a recording said that does not stand there as it was: a host that says it again
/// says exactly this.
#[derive(Debug, Default)]
pub(super) struct OfDevice(HashSet<String>);

impl OfDevice {
    /// Learns from a list of the device.
    pub(super) fn learn(&mut self, list: &Json) {
        match list {
            Json::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Json::Object(of) => {
                for key in ["hidden", "hash"] {
                    if let Some(text) = of.get(key).and_then(Json::as_str) {
                        self.0.insert(text.to_owned());
                    }
                }
                if let Some(fields) = of.get("dict").and_then(Json::as_object) {
                    fields.values().for_each(|value| self.learn(value));
                }
            }
            _ => {}
        }
    }

    /// The first difference between a list that was recorded of a host, and one.
    pub(super) fn difference(
        &self,
        recorded: &Json,
        now: &Value,
        answer_to: AnswerTo,
    ) -> Option<Difference> {
        let comparing = Comparing { of_device: self, answer_to };
        comparing.value(String::new(), recorded, now).err()
    }
}

struct Comparing<'d> {
    of_device: &'d OfDevice,
    answer_to: AnswerTo,
}

type Same = Result<(), Difference>;

impl Comparing<'_> {
    fn value(&self, at: String, recorded: &Json, now: &Value) -> Same {
        let is_number = |value: &Value| matches!(value, Value::Integer(_));
        if self.answer_to == AnswerTo::FreeSpace && at == "[3]" && is_number(now) {
            return Ok(());
        }
        let is_same = match recorded {
            Json::Bool(flag) => now.as_boolean() == Some(*flag),
            Json::String(text) => now.as_string() == Some(text),
            Json::Number(_) => made_up::list(recorded).is_some_and(|number| number == *now),
            Json::Array(items) => return self.array(&at, items, recorded, now),
            Json::Object(of) => match (of.get("dict"), of.get("hidden")) {
                (Some(fields), _) => return self.dictionary(&at, fields, recorded, now),
                (None, Some(Json::String(hidden))) => match now.as_string() {
                    // What came from the device comes back as it is; the host's own may differ.
                    // Of passwords not even the length is told.
                    Some(_) if hidden.is_empty() => true,
                    Some(text) if self.of_device.0.contains(hidden) => text == hidden,
                    Some(text) => text.len() == hidden.len(),
                    None => false,
                },
                (None, Some(Json::Number(_))) => is_number(now),
                _ => self.scalar(recorded, now),
            },
            Json::Null => false,
        };
        if is_same { Ok(()) } else { Err(differs(at, recorded, now)) }
    }

    fn scalar(&self, recorded: &Json, now: &Value) -> bool {
        let hash = recorded.get("hash").and_then(Json::as_str);
        match (hash, now) {
            (Some(hash), Value::Data(bytes)) if self.of_device.0.contains(hash) => {
                made_up::list(recorded).is_some_and(|data| data.as_data() == Some(bytes))
            }
            (Some(_), Value::Data(_)) => recorded.get("data").is_some(),
            (None, Value::Date(_)) => recorded.get("date").is_some(),
            (None, Value::Real(_)) if recorded.get("hidden").is_some() => true,
            (None, _) => made_up::list(recorded).is_some_and(|same| same == *now),
            _ => false,
        }
    }

    fn array(&self, at: &str, items: &[Json], recorded: &Json, now: &Value) -> Same {
        let Some(others) = now.as_array().filter(|others| others.len() == items.len()) else {
            return Err(differs(at.to_owned(), recorded, now));
        };
        let mut pairs = items.iter().zip(others).enumerate();
        pairs.try_for_each(|(place, (item, other))| {
            self.value(format!("{at}[{place}]"), item, other)
        })
    }

    fn dictionary(&self, at: &str, fields: &Json, recorded: &Json, now: &Value) -> Same {
        let (Some(fields), Some(others)) = (fields.as_object(), now.as_dictionary()) else {
            return Err(differs(at.to_owned(), recorded, now));
        };
        for (key, value) in fields {
            let at = format!("{at}.{key}");
            if self.answer_to == AnswerTo::Listing && is_of_any_length(&at) {
                continue;
            }
            match others.get(key) {
                Some(other) => self.value(at, value, other)?,
                None => return Err(missing(at, shown(value), "nothing".to_owned())),
            }
        }
        match others.iter().find(|(key, _)| !fields.contains_key(*key)) {
            Some((key, other)) => {
                Err(missing(format!("{at}.{key}"), "nothing".to_owned(), in_words(other)))
            }
            None => Ok(()),
        }
    }
}

/// `[3].Info.plist.DLFileSize`.
fn is_of_any_length(at: &str) -> bool {
    let name = at.strip_prefix("[3].").and_then(|at| at.strip_suffix(".DLFileSize"));
    name.is_some_and(|name| OF_ANY_LENGTH.contains(&name))
}

fn missing(at: String, recorded: String, now: String) -> Difference {
    Difference { at, recorded, now }
}

fn differs(at: String, recorded: &Json, now: &Value) -> Difference {
    Difference { at, recorded: shown(recorded), now: in_words(now) }
}

/// The longest side that is shown, in characters.
const SHOWN_MAX: usize = 1000;

pub(super) fn shown(told: &Json) -> String {
    short(told.to_string())
}

/// A list as people read it; its data by length.
pub(super) fn in_words(value: &Value) -> String {
    fn words(value: &Value) -> Json {
        match value {
            Value::Array(items) => items.iter().map(words).collect(),
            Value::Dictionary(fields) => {
                let fields = fields.iter().map(|(key, value)| (key.clone(), words(value)));
                serde_json::json!({ "dict": Json::Object(fields.collect()) })
            }
            Value::Boolean(flag) => (*flag).into(),
            Value::String(text) => text.as_str().into(),
            Value::Integer(number) => match (number.as_unsigned(), number.as_signed()) {
                (Some(number), _) => number.into(),
                (None, Some(number)) => number.into(),
                (None, None) => Json::Null,
            },
            Value::Real(number) => serde_json::json!({ "real": number }),
            Value::Date(date) => serde_json::json!({ "date": date.to_xml_format() }),
            Value::Data(bytes) => serde_json::json!({ "data": bytes.len() }),
            _ => Json::Null,
        }
    }
    short(words(value).to_string())
}

fn short(text: String) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plist::Dictionary;
    use serde_json::json;

    fn now(fields: &[(&str, Value)]) -> Value {
        Value::Dictionary(fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
    }

    fn compare(recorded: &Json, now: &Value) -> Option<Difference> {
        let mut of_device = OfDevice::default();
        of_device.learn(&json!([{ "hidden": "from.phone" }, { "data": 4, "hash": "d" }]));
        of_device.difference(recorded, now, AnswerTo::Other)
    }

    #[test]
    fn a_key_more_or_less_and_another_value_are_told_with_their_place() {
        let recorded = json!(["M", { "dict": { "Options": { "dict": { "Full": true } } } }]);
        let message = |options: &[(&str, Value)]| {
            Value::Array(vec!["M".into(), now(&[("Options", now(options))])])
        };
        assert_eq!(compare(&recorded, &message(&[("Full", true.into())])), None);
        let other = compare(&recorded, &message(&[("Full", false.into())])).unwrap();
        assert_eq!(other.at, "[1].Options.Full");
        assert_eq!((other.recorded.as_str(), other.now.as_str()), ("true", "false"));
        assert_eq!(compare(&recorded, &message(&[])).unwrap().now, "nothing");
        let more = message(&[("Full", true.into()), ("More", 1.into())]);
        assert_eq!(compare(&recorded, &more).unwrap().recorded, "nothing");
    }

    #[test]
    fn what_the_device_said_must_come_back_and_what_the_host_made_may_differ() {
        let own = json!({ "hidden": "host-id" });
        assert_eq!(compare(&own, &"other-1".into()), None);
        assert!(compare(&own, &"another length".into()).is_some());
        let devices = json!({ "hidden": "from.phone" });
        assert!(compare(&devices, &"from.other".into()).is_some());
        assert_eq!(compare(&devices, &"from.phone".into()), None);
        let certificate = json!({ "data": 900, "hash": "c" });
        assert_eq!(compare(&certificate, &Value::Data(vec![1; 901])), None);
        let returned = json!({ "data": 4, "hash": "d" });
        assert!(compare(&returned, &Value::Data(vec![1; 4])).is_some());
        assert_eq!(compare(&returned, &Value::Data(made_up::data("d", 4))), None);
    }

    #[test]
    fn room_dates_and_the_length_of_the_hosts_own_file_may_differ() {
        let of_device = OfDevice::default();
        let status = |payload: Value| {
            Value::Array(vec!["DLMessageStatusResponse".into(), 0.into(), "".into(), payload])
        };
        let room = json!(["DLMessageStatusResponse", 0, "", 5]);
        let other = status(7.into());
        assert_eq!(of_device.difference(&room, &other, AnswerTo::FreeSpace), None);
        assert!(of_device.difference(&room, &other, AnswerTo::Other).is_some());
        let listing = |name: &str| {
            let entry = json!({ "dict": { "DLFileSize": 5, "DLFileModificationDate":
                { "date": "2026-01-01T00:00:00Z" } } });
            json!(["DLMessageStatusResponse", 0, "", { "dict": { name: entry } }])
        };
        let other = |name: &str| {
            let date = plist::Date::from(std::time::SystemTime::UNIX_EPOCH);
            let entry =
                now(&[("DLFileSize", 7.into()), ("DLFileModificationDate", Value::Date(date))]);
            status(Value::Dictionary(Dictionary::from_iter([(name.to_owned(), entry)])))
        };
        let differs = |name: &str| {
            of_device.difference(&listing(name), &other(name), AnswerTo::Listing).is_some()
        };
        assert!(!differs("Info.plist"));
        assert!(differs("Manifest.db"));
    }
}
