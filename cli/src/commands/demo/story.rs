//! What a demo says: for people a page that teaches, for programs a line a step.
use super::desk::{Asked, Kept};
use super::phone::{Changes, Meanwhile, files_in_backup};
use super::proof::Proved;
use crate::failure::Failure;
use crate::report::text::{duration, escaped, size};
use crate::report::{Report, json};
use devsnap_simulator::Identity;
use devsnap_simulator::contents::compare::Equal;
use devsnap_simulator::contents::{Kind, Truth};
use serde_json::{Map, Value, json};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Tells what happens as it happens.
pub(super) struct Story<'a> {
    pub(super) report: &'a Report,
}

impl Story<'_> {
    /// Says what this is; to people only.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        if self.report.is_json() {
            return Ok(());
        }
        self.report.summary(Value::default, || {
            "Two days of an iPhone in software, kept and brought back. Nothing of yours takes part.\n"
                .to_owned()
        })
    }

    /// The phone as it is at first.
    pub(super) fn phone(&self, identity: &Identity, truth: &Truth) -> Result<(), Failure> {
        let files = truth.items.iter().filter(|item| item.kind == Kind::File);
        let (files, bytes) = files.fold((0u64, 0), |(files, bytes), i| (files + 1, bytes + i.size));
        let held = files_in_backup(truth).count();
        let only_encrypted = files - u64::try_from(held).unwrap_or(files);
        self.step(
            "phone",
            json!({
                "udid": identity.udid,
                "name": identity.name,
                "product_type": identity.product_type,
                "os_version": identity.product_version,
                "files": files,
                "bytes": bytes,
                "files_only_encrypted": only_encrypted,
            }),
            || {
                format!(
                    "Phone       {} ({}, iOS {}): {files} files, {}.\n            \
                     {only_encrypted} of them (health, Wi-Fi and the like) only come along when the \
                     phone has a\n            backup password, and this one has none.",
                    escaped(&identity.name),
                    escaped(&identity.product_type),
                    escaped(&identity.product_version),
                    size(bytes),
                )
            },
        )
    }

    /// The first day was kept.
    pub(super) fn full_backup(&self, kept: &Kept) -> Result<(), Failure> {
        self.backup("Day 1       full", kept, "stored, encrypted")
    }

    /// A day has passed on the phone.
    pub(super) fn day(&self, changes: &Changes) -> Result<(), Failure> {
        let Changes { changed, new, deleted, renamed } = *changes;
        self.step(
            "day",
            json!({ "changed": changed, "new": new, "deleted": deleted, "renamed": renamed }),
            || {
                format!(
                    "A day       passes on the phone: {changed} files change, {new} are new, \
                     {deleted} deleted, {renamed} renamed."
                )
            },
        )
    }

    /// The second day was kept.
    pub(super) fn incremental_backup(&self, kept: &Kept) -> Result<(), Failure> {
        self.backup("Day 2       incremental", kept, "new, stored")
    }

    fn backup(&self, which: &str, kept: &Kept, how: &str) -> Result<(), Failure> {
        let (files, bytes) = kept.outcome.received;
        let totals = &kept.named.snapshot.totals;
        let Asked { trust, passcode } = kept.asked;
        let Meanwhile { changed, deleted } = Meanwhile::of(&kept.truth);
        let snapshot = json!({
            "snapshot_id": kept.named.id.to_hex(),
            "full": kept.outcome.full,
            "files_received": files,
            "bytes_received": bytes,
            "files_changed_meanwhile": changed,
            "files_deleted_meanwhile": deleted,
            "bytes_added": totals.added_bytes,
            "bytes_stored": totals.stored_bytes,
            "duration_ms": totals.duration_millis,
            "asked_for_trust": trust,
            "asked_for_passcode": passcode,
        });
        self.step("backup", snapshot, || {
            let mut said = format!(
                "{which} backup: {files} files, {} came in {}; {} {how}.",
                size(bytes),
                duration(totals.duration_millis),
                size(totals.stored_bytes),
            );
            if let Some(what) = questions(kept.asked) {
                said = said + "\n            " + what;
            }
            if changed + deleted > 0 {
                said = said
                    + "\n            "
                    + &format!(
                        "Meanwhile {changed} of its files changed, and {deleted} went away."
                    );
            }
            said
        })
    }

    /// A day was restored to a folder, and is right.
    pub(super) fn restored(&self, day: &str, kept: &Kept, equal: Equal) -> Result<(), Failure> {
        let Equal { files, bytes, others } = equal;
        self.step(
            "restored",
            json!({
                "day": day,
                "snapshot_id": kept.named.id.to_hex(),
                "files_equal": files,
                "bytes_equal": bytes,
                "others_equal": others,
            }),
            || {
                format!(
                    "Restored    {}: {files} files, {}: every byte as on the phone that day.",
                    day.replace('-', " "),
                    size(bytes)
                )
            },
        )
    }

    /// What is proved, what it means, and where it can be looked at.
    pub(super) fn end(
        &self,
        proved: &Proved,
        took: Duration,
        kept_in: Option<&Path>,
    ) -> Result<(), Failure> {
        let Proved { files, bytes } = *proved;
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let programs = || {
            let mut line = json::line("summary");
            line.insert("files_equal".to_owned(), files.into());
            line.insert("bytes_equal".to_owned(), bytes.into());
            line.insert("duration_ms".to_owned(), millis.into());
            match kept_in {
                Some(folder) => json::put_path(&mut line, "dir", folder.as_os_str().as_bytes()),
                None => drop(line.insert("dir".to_owned(), Value::Null)),
            }
            line.into()
        };
        self.report.data(programs, || {
            format!(
                "Proved      both days came back: {files} files, {}, not a byte differs. {}.",
                size(bytes),
                duration(millis)
            )
        })?;
        if self.report.is_json() {
            return Ok(());
        }
        self.report.summary(Value::default, || {
            format!("\n{MEANING}\n{}", kept_in.map_or_else(|| AGAIN.to_owned(), how_to_look))
        })
    }

    fn step(
        &self,
        step: &str,
        fields: Value,
        for_people: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let programs = || {
            let mut line: Map<String, Value> = json::line("demo");
            line.insert("step".to_owned(), step.into());
            if let Value::Object(fields) = fields {
                line.extend(fields);
            }
            line.into()
        };
        self.report.summary(programs, for_people)?;
        // Each step when it is done, whoever reads.
        self.report.flush()
    }
}

const MEANING: &str = "\
A restored day is a folder such as Finder and idevicebackup2 keep: Info.plist, Status.plist,
Manifest.db (which file is which) and each file under a hash of its name. devsnap never had
that folder on disk before: the phone's files went straight into the repository.
This phone was software: devsnap has not yet been run against a real iPhone.";

const AGAIN: &str =
    "Everything is gone again; `devsnap demo --dir DIR` keeps it for a closer look.";

/// The commands that show what stays in `folder`.
fn how_to_look(folder: &Path) -> String {
    let at = |name: &str| shell_word(&folder.join(name).display().to_string());
    format!(
        "\nAll of it stays in {}. To look at it:\n  \
         export DEVSNAP_REPOSITORY={} DEVSNAP_CACHE_DIR={}\n  \
         export DEVSNAP_PASSWORD_FILE={}\n  \
         devsnap snapshots\n  devsnap diff latest~1 latest\n  \
         devsnap restore latest~1 --target {}",
        escaped(&folder.display().to_string()),
        at("repository"),
        at("cache"),
        at("password"),
        at("again"),
    )
}

/// Says which questions were answered on the phone.
fn questions(asked: Asked) -> Option<&'static str> {
    match (asked.trust, asked.passcode) {
        (true, true) => Some("It asked whether to trust this computer, and for its passcode."),
        (true, false) => Some("It asked whether to trust this computer."),
        (false, true) => Some("It asked for its passcode, as before every backup."),
        (false, false) => None,
    }
}

/// `text` as one word of a shell.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", escaped(text).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_typed_as_they_are_shown() {
        assert_eq!(shell_word("/tmp/demo-1"), "/tmp/demo-1");
        assert_eq!(shell_word("/tmp/Ada's demo"), "'/tmp/Ada'\\''s demo'");
        assert_eq!(shell_word("a\x1b[2J"), "'a\\u{1b}[2J'");
        let shown = how_to_look(Path::new("/tmp/a b"));
        assert!(shown.contains("DEVSNAP_REPOSITORY='/tmp/a b/repository'"), "{shown}");
        assert!(shown.contains("DEVSNAP_PASSWORD_FILE='/tmp/a b/password'"), "{shown}");
    }
}
