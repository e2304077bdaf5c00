//! What a phone says, and in which order.
use crate::host::{Host, Lent};

/// The conversation without repetitions, its UDID written `U`.
fn steps(host: &Host, udid: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for asked in &host.asked {
        let mut step = asked.replace(udid, "U");
        // A blob's or a shard's name says nothing.
        for start in ["U/Snapshot/", "U/"] {
            if let Some((before, after)) = step.split_once(start) {
                let shard = after.split('/').next().unwrap_or_default();
                if shard.len() == 2 && shard.bytes().all(|b| b.is_ascii_hexdigit()) {
                    step = format!("{before}{start}xx");
                }
                break;
            }
        }
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    steps
}

#[test]
fn a_full_backup_goes_in_the_order_that_logs_show() {
    let lent = Lent::new(11);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::new(root.path());

    host.back_up(&lent);

    let folders = host.asked.iter().filter(|a| a.starts_with("DLMessageCreateDirectory")).count();
    assert_eq!(folders, 514);
    assert_eq!(
        steps(&host, &lent.udid()),
        [
            "DLMessageDownloadFiles U/Status.plist",
            "DLMessageGetFreeDiskSpace",
            "DLMessageCreateDirectory U",
            "DLMessageCreateDirectory U/xx",
            "DLMessageCreateDirectory U/Snapshot",
            "DLMessageCreateDirectory U/Snapshot/xx",
            "DLMessageUploadFiles",
            "DLMessageMoveItems U/Snapshot/xx",
            "DLMessageMoveItems U/Snapshot/Manifest.plist",
            "DLMessageMoveItems U/Snapshot/Manifest.db",
            "DLMessageUploadFiles",
            "DLMessageRemoveItems U/Snapshot",
            "DLMessageRemoveItems U/Manifest.mbdx",
            "DLMessageUploadFiles",
            "DLMessageDownloadFiles U/Status.plist",
            "DLMessageDownloadFiles U/Manifest.plist",
            "DLMessageDownloadFiles U/Manifest.db",
            "DLContentsOfDirectory U",
            "DLContentsOfDirectory U/xx",
            "DLMessageProcessMessage",
        ]
    );
}

#[test]
fn an_incremental_backup_reads_manifests_and_listings_first_and_removes_what_has_gone() {
    let lent = Lent::new(12);
    let root = tempfile::tempdir().unwrap();
    Host::new(root.path()).back_up(&lent);
    lent.day(1);
    let mut host = Host::new(root.path());

    host.back_up(&lent);

    let steps = steps(&host, &lent.udid());
    assert_eq!(
        steps[..7],
        [
            "DLMessageDownloadFiles U/Status.plist",
            "DLMessageDownloadFiles U/Manifest.plist",
            "DLMessageDownloadFiles U/Manifest.db",
            "DLContentsOfDirectory U",
            "DLContentsOfDirectory U/xx",
            "DLMessageGetFreeDiskSpace",
            "DLMessageCreateDirectory U",
        ]
    );
    assert!(steps.contains(&"DLMessageRemoveItems U/xx".to_owned()), "{steps:?}");
    assert_eq!(steps.last().unwrap(), "DLMessageProcessMessage");
}
