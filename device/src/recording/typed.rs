//! Property lists as JSON that keeps their types, with all that must not be told replaced.
//!
//! The form stands in `docs/recordings.md`.
use plist::Value;
use serde_json::{Map, Value as Json, json};

use super::redact::{Redactor, Told};
use super::words;

/// How deep a list is told.
const DEPTH_MAX: usize = 32;

/// What kind of talk a list belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Talk {
    /// Of lockdown: keys are identifiers, numbers may tell whose device it is.
    Lockdown,
    /// Of a small service.
    Service,
    /// Of DeviceLink: numbers are sizes and codes, texts are paths.
    DeviceLink,
}

/// What lockdown was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) domain: Option<String>,
    pub(super) key: Option<String>,
}

/// Tells lists of one kind of talk.
pub(super) struct Teller<'r> {
    pub(super) redactor: &'r Redactor,
    pub(super) talk: Talk,
    /// In lockdown, the question that a `Value` answers.
    pub(super) asked: Asked,
}

impl Teller<'_> {
    /// The list, told.
    pub(super) fn list(&self, value: &Value) -> Json {
        self.value(None, value, DEPTH_MAX)
    }

    fn value(&self, key: Option<&str>, value: &Value, depth: usize) -> Json {
        if depth == 0 {
            return json!({ "too_deep": true });
        }
        match value {
            Value::Array(items) => {
                items.iter().map(|item| self.value(key, item, depth - 1)).collect()
            }
            Value::Dictionary(fields) => {
                let mut told = Map::new();
                for (name, value) in fields {
                    let key = self.context(name);
                    let shown = self.redactor.key_of_list(name, self.talk == Talk::Lockdown);
                    told.insert(shown, self.value(Some(key), value, depth - 1));
                }
                json!({ "dict": told })
            }
            Value::Boolean(flag) => (*flag).into(),
            Value::String(text) => match self.redactor.text(key, text) {
                Told::Shown(text) => text.into(),
                Told::Hidden(text) => json!({ "hidden": text }),
            },
            Value::Integer(number) => self.integer(key, number),
            Value::Real(number) if self.shows_numbers(key) => json!({ "real": number }),
            Value::Real(_) => json!({ "real": 0.0, "hidden": true }),
            Value::Date(date) if self.talk == Talk::DeviceLink => {
                json!({ "date": date.to_xml_format() })
            }
            Value::Date(_) => json!({ "date": "2001-01-01T00:00:00Z" }),
            Value::Data(bytes) => {
                json!({ "data": bytes.len(), "hash": self.redactor.hash(bytes) })
            }
            Value::Uid(uid) => json!({ "uid": uid.get() }),
            _ => json!({ "unknown": true }),
        }
    }

    /// What a value below `name` is judged by: the answer to a question by what was asked for. What
    /// another domain than the default one has is not known to be harmless.
    fn context<'k>(&'k self, name: &'k str) -> &'k str {
        match (self.talk, name, &self.asked.key, &self.asked.domain) {
            (Talk::Lockdown, "Value", Some(key), None) => key,
            (Talk::Lockdown, "Value", Some(key), _) if key == "MinITunesVersion" => key,
            _ => name,
        }
    }

    fn integer(&self, key: Option<&str>, number: &plist::Integer) -> Json {
        let shows = self.shows_numbers(key);
        match (number.as_unsigned(), number.as_signed()) {
            (Some(number), _) if shows => number.into(),
            (Some(number), _) => json!({ "hidden": self.redactor.number(number) }),
            (None, Some(number)) if shows => number.into(),
            (None, _) => json!({ "hidden": 0 }),
        }
    }

    fn shows_numbers(&self, key: Option<&str>) -> bool {
        match self.talk {
            Talk::DeviceLink => true,
            Talk::Service => key.is_none_or(words::is_key),
            Talk::Lockdown => key.is_some_and(words::is_open),
        }
    }
}

/// Learns from an answer of lockdown whose device it is, so that it is recognised elsewhere.
pub(super) fn learn(redactor: &mut Redactor, key: Option<&str>, value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| learn(redactor, key, item)),
        Value::Dictionary(fields) => {
            // In an answer to a question for one value its key stands beside it.
            let beside = fields.get("Key").and_then(Value::as_string);
            for (name, value) in fields {
                let key = if name == "Value" { beside.unwrap_or(name) } else { name };
                learn(redactor, Some(key), value);
            }
        }
        Value::String(text) => match key {
            Some("UniqueDeviceID") => redactor.learn_udid(text),
            Some(key) if words::is_open(key) => {}
            _ if text.bytes().any(|byte| byte.is_ascii_digit()) => redactor.learn_secret(text),
            _ => {}
        },
        Value::Integer(number) => {
            if let (Some("UniqueChipID" | "DieID"), Some(number)) = (key, number.as_unsigned()) {
                redactor.learn_secret(&number.to_string());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plist::Dictionary;

    fn dictionary(fields: &[(&str, Value)]) -> Value {
        Value::Dictionary(fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
    }

    fn told(talk: Talk, asked: Asked, value: &Value) -> Json {
        Teller { redactor: &Redactor::new([3; 32]), talk, asked }.list(value)
    }

    #[test]
    fn types_are_kept_and_contents_are_not() {
        let list = Value::Array(vec![
            "DLMessageStatusResponse".into(),
            u64::MAX.into(),
            (-3).into(),
            12.5.into(),
            true.into(),
            Value::Data(vec![7; 9]),
            Value::Dictionary(Dictionary::new()),
        ]);
        let told = told(Talk::DeviceLink, Asked::default(), &list);
        assert_eq!(told[0], "DLMessageStatusResponse");
        assert_eq!((&told[1], &told[2]), (&json!(u64::MAX), &json!(-3)));
        assert_eq!((&told[3], &told[4]), (&json!({ "real": 12.5 }), &json!(true)));
        assert_eq!((&told[5]["data"], &told[6]), (&json!(9), &json!({ "dict": {} })));
    }

    #[test]
    fn one_value_is_judged_by_what_was_asked_for() {
        let answer = |value: Value| dictionary(&[("Request", "GetValue".into()), ("Value", value)]);
        let asked = |domain: Option<&str>, key: &str| Asked {
            domain: domain.map(str::to_owned),
            key: Some(key.to_owned()),
        };
        let version = told(Talk::Lockdown, asked(None, "ProductVersion"), &answer("17.5.1".into()));
        assert_eq!(version["dict"]["Value"], "17.5.1");
        let name = told(Talk::Lockdown, asked(None, "DeviceName"), &answer("Anna".into()));
        assert!(name["dict"]["Value"]["hidden"].is_string(), "{name}");
        let other = asked(Some("com.apple.x"), "ProductVersion");
        assert!(
            told(Talk::Lockdown, other, &answer("1".into()))["dict"]["Value"]["hidden"].is_string()
        );
        let chip = told(Talk::Lockdown, asked(None, "UniqueChipID"), &answer(1_234_567_u64.into()));
        let hidden = chip["dict"]["Value"]["hidden"].as_u64().unwrap();
        assert_ne!(hidden, 1_234_567);
    }

    #[test]
    fn what_lockdown_says_of_its_owner_is_known_afterwards() {
        let mut redactor = Redactor::new([3; 32]);
        let udid = "00008030-001A2B3C4D5E6F78";
        let values =
            dictionary(&[("UniqueDeviceID", udid.into()), ("SerialNumber", "C39X12345".into())]);
        learn(&mut redactor, None, &dictionary(&[("Value", values)]));
        assert!(redactor.udid(udid).is_some());
        let text = redactor.text(Some("Label"), "it is C39X12345");
        assert!(matches!(text, Told::Hidden(_)));
    }
}
