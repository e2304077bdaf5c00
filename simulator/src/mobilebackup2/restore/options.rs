//! What a host wants of a restore. What it does not say, it gets the destructive way: so do phones.
use plist::{Dictionary, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The options of a restore, each as it was given or as it is when it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "because each is an option of its own")]
pub struct Options {
    /// Other domains than those of apps and media, too. Without a word: yes.
    pub system_files: bool,
    /// The phone reboots. Without a word: yes.
    pub should_reboot: bool,
    /// The host need not copy the phone's old backup first. Without a word: it must.
    pub dont_copy: bool,
    /// Settings stay as they are on the phone. Without a word: they do not.
    pub preserve_settings: bool,
    /// What the backup does not hold goes. Without a word: it goes.
    pub remove_not_restored: bool,
    /// The camera roll stays as it is on the phone. Without a word: it does not.
    pub preserve_camera_roll: bool,
    /// Only these apps; `None` is all.
    pub applications: Option<BTreeSet<String>>,
    /// Options that this phone does not know.
    pub unknown: Vec<String>,
}

/// Domains that are not the system's, besides those of apps.
const MEDIA: &[&str] = &["BooksDomain", "CameraRollDomain", "MediaDomain", "TonesDomain"];

impl Options {
    /// Reads them from a request.
    pub(super) fn of(request: &Dictionary) -> Options {
        const KNOWN: &[&str] = &[
            "Password",
            "RemoveItemsNotRestored",
            "RestoreDontCopyBackup",
            "RestorePreserveCameraRoll",
            "RestorePreserveSettings",
            "RestoreShouldReboot",
            "RestoreSystemFiles",
        ];
        let nothing = Dictionary::new();
        let given = request.get("Options").and_then(Value::as_dictionary).unwrap_or(&nothing);
        let flag = |key, default| given.get(key).and_then(Value::as_boolean).unwrap_or(default);
        let names = |value: &Value| {
            let names = value.as_array()?.iter().filter_map(Value::as_string);
            Some(names.map(str::to_owned).collect())
        };
        let unknown = given.keys().filter(|key| !KNOWN.contains(&key.as_str()));
        Options {
            system_files: flag("RestoreSystemFiles", true),
            should_reboot: flag("RestoreShouldReboot", true),
            dont_copy: flag("RestoreDontCopyBackup", false),
            preserve_settings: flag("RestorePreserveSettings", false),
            remove_not_restored: flag("RemoveItemsNotRestored", true),
            preserve_camera_roll: flag("RestorePreserveCameraRoll", false),
            applications: request.get("ApplicationIDs").and_then(names),
            unknown: unknown.cloned().collect(),
        }
    }

    /// Whether something of this place is restored.
    pub(super) fn want(&self, domain: &str, relative_path: &str) -> bool {
        let app = domain.strip_prefix("AppDomain-");
        if let (Some(app), Some(applications)) = (app, &self.applications) {
            return applications.contains(app);
        }
        if self.preserve_camera_roll && domain == "CameraRollDomain" {
            return false;
        }
        let is_setting = domain == "SystemPreferencesDomain"
            || domain == "HomeDomain" && relative_path.starts_with("Library/Preferences");
        if self.preserve_settings && is_setting {
            return false;
        }
        self.system_files || domain.starts_with("AppDomain") || MEDIA.contains(&domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_destructive() {
        let options = Options::of(&Dictionary::new());

        assert!(options.system_files && options.should_reboot && options.remove_not_restored);
        assert!(!options.dont_copy && !options.preserve_settings);
        assert!(options.want("HomeDomain", "Library/Preferences/a.plist"));
    }

    #[test]
    fn options_choose_what_is_restored() {
        let mut given = Dictionary::new();
        given.insert("RestoreSystemFiles".into(), Value::from(false));
        given.insert("RestorePreserveCameraRoll".into(), Value::from(true));
        given.insert("Surprise".into(), Value::from(true));
        let mut request = Dictionary::new();
        request.insert("Options".into(), Value::Dictionary(given));
        request.insert("ApplicationIDs".into(), Value::Array(vec![Value::from("com.example.a")]));

        let options = Options::of(&request);

        assert!(options.want("AppDomain-com.example.a", "x"));
        assert!(!options.want("AppDomain-com.example.b", "x"));
        assert!(options.want("AppDomainGroup-group.com.example", "x"));
        assert!(!options.want("HomeDomain", "x") && !options.want("CameraRollDomain", "x"));
        assert_eq!(options.unknown, ["Surprise"]);
    }
}
