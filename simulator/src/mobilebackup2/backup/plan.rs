//! What is to be sent, what stays, what goes.
use super::super::stop::Step;
use super::earlier::Earlier;
use super::records;
use super::upload::Sent;
use crate::backup_files::manifest_db::{FILE, Row};
use crate::contents::{Contents, Item, Kind};
use std::collections::BTreeSet;

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    /// Name of its blob.
    pub(super) file_id: String,
    /// Where it is on the phone.
    pub(super) domain: String,
    /// See `domain`.
    pub(super) relative_path: String,
}

/// What a backup is going to do.
pub(super) struct Plan {
    /// Files to be sent, by domain and path.
    pub(super) uploads: Vec<Upload>,
    /// Rows of folders and links that are new or changed.
    pub(super) rows: Vec<Row>,
    /// Names of rows that stay as they are.
    pub(super) stays: BTreeSet<String>,
    /// How many of them are files.
    pub(super) kept: usize,
}

impl Plan {
    /// Compares what is on the phone with what the host has. A thing is unchanged if its
    /// modification time is: nothing else is compared.
    pub(super) fn make(contents: &Contents, earlier: &Earlier, encrypted: bool) -> Step<Plan> {
        let mut plan =
            Plan { uploads: Vec::new(), rows: Vec::new(), stays: BTreeSet::new(), kept: 0 };
        for item in contents.items().filter(|item| encrypted || !item.only_encrypted) {
            let file_id = item.file_id();
            let old = earlier.base.as_ref().and_then(|base| base.rows.get(&file_id));
            let flags = records::flags(item.kind);
            if old.is_some_and(|old| old.flags == flags && old.mtime == Some(item.mtime)) {
                plan.kept += usize::from(item.kind == Kind::File);
                plan.stays.insert(file_id);
            } else if item.kind == Kind::File {
                let (domain, relative_path) = (item.domain.clone(), item.relative_path.clone());
                plan.uploads.push(Upload { file_id, domain, relative_path });
            } else {
                // Their records come when the manifest is written: chance decides their form.
                plan.rows.push(bare_row(item, file_id));
            }
        }
        Ok(plan)
    }

    /// Bytes that the host needs for it.
    pub(super) fn bytes(&self, contents: &Contents, encrypted: bool) -> u64 {
        let size = |upload: &Upload| {
            let size = contents.get(&upload.domain, &upload.relative_path).map_or(0, |i| i.size);
            if encrypted { (size / 16 + 1) * 16 } else { size }
        };
        self.uploads.iter().map(size).sum()
    }

    /// Names that are in the new manifest.
    pub(super) fn names(&self, sent: &Sent) -> BTreeSet<String> {
        let rows = self.rows.iter().map(|row| row.file_id.clone());
        self.stays.iter().cloned().chain(rows).chain(sent.blobs.keys().cloned()).collect()
    }

    /// Rows of the earlier manifest that have no place in the new one.
    pub(super) fn gone(&self, earlier: &Earlier, sent: &Sent) -> Vec<String> {
        let names = self.names(sent);
        let old = earlier.base.iter().flat_map(|base| base.rows.keys());
        old.filter(|name| !names.contains(*name)).cloned().collect()
    }

    /// Blobs on the host that nothing refers to any more.
    pub(super) fn obsolete(&self, earlier: &Earlier, sent: &Sent) -> Vec<String> {
        let stays = |name: &String| {
            let file = |base: &super::earlier::Base| base.rows.get(name).map(|row| row.flags);
            self.stays.contains(name) && earlier.base.as_ref().and_then(file) == Some(FILE)
        };
        let needed = |name: &String| sent.blobs.contains_key(name) || stays(name);
        earlier.blobs.iter().filter(|name| !needed(name)).cloned().collect()
    }
}

fn bare_row(item: &Item, file_id: String) -> Row {
    Row {
        file_id,
        domain: item.domain.clone(),
        relative_path: item.relative_path.clone(),
        flags: records::flags(item.kind),
        file: None,
    }
}
