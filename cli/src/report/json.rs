//! The lines of `--json`, as `docs/cli.md` promises them: times RFC 3339 in UTC, sizes in bytes.
use super::JsonSink;
use super::counters::{Counters, Counts, Percent};
use super::text::{escaped_bytes, timestamp};
use crate::failure::Failure;
use devsnap_engine::id::hex;
use devsnap_engine::node::{Content, Node, NodeKind, Time};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Fault;
use devsnap_engine::snapshot::{Completeness, DeviceIdentity, Named, Origin, Snapshot};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Begins a line of this `message_type`.
pub fn line(message_type: &str) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("message_type".to_owned(), message_type.into());
    line
}

/// Adds `name`, and `name_hex` when the bytes are no UTF-8 and `name` is only for reading.
pub fn put_path(line: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            line.insert(name.to_owned(), text.into());
        }
        Err(_) => {
            line.insert(name.to_owned(), escaped_bytes(bytes).into());
            line.insert(format!("{name}_hex"), hex(bytes).into());
        }
    }
}

/// RFC 3339 in UTC, or `null` for a time outside the years 1 to 9999.
pub fn moment(time: Time) -> Value {
    timestamp(time).map_or(Value::Null, |at| at.to_string().into())
}

/// A failure: `code` is the exit code, `kind` its word.
pub fn error(failure: &Failure) -> Value {
    let mut line = line("error");
    line.insert("code".to_owned(), (failure.code() as u8).into());
    line.insert("kind".to_owned(), failure.code().word().into());
    line.insert("text".to_owned(), failure.message().into());
    line.insert("action".to_owned(), failure.advice().into());
    if let Some(received) = failure.received() {
        line.insert("files_received".to_owned(), received.files.into());
        line.insert("bytes_received".to_owned(), received.bytes.into());
        line.insert("bytes_stored".to_owned(), received.bytes_stored.into());
        line.insert("stored_is_of_use".to_owned(), received.is_of_use().into());
    }
    line.into()
}

/// A path that is not as it should be: a warning with a path.
pub fn fault(fault: &Fault) -> Value {
    let mut line = line("warning");
    line.insert("text".to_owned(), super::escaped(&fault.reason).into());
    line.insert("fault".to_owned(), fault.kind.word().into());
    if fault.path.is_root() {
        line.insert("path".to_owned(), ".".into());
    } else {
        put_path(&mut line, "path", &fault.path.to_slashed());
    }
    line.into()
}

/// All that a snapshot says about itself but its faults.
pub fn snapshot(named: &Named) -> Map<String, Value> {
    let Named { id, snapshot, description } = named;
    let mut line = line("snapshot");
    line.insert("id".to_owned(), id.to_hex().into());
    line.insert("short_id".to_owned(), id.short().into());
    line.insert("time".to_owned(), moment(snapshot.taken_at));
    put_origin(&mut line, &snapshot.origin);
    let more = json!({
        "tags": snapshot.tags,
        "description": description,
        "paths": snapshot.root.map_or(0, |root| root.entries),
        "size_bytes": snapshot.root.map_or(0, |root| root.size_bytes),
        "complete": snapshot.is_complete(),
        "faults": faults_total(snapshot),
        "paths_new": snapshot.totals.new,
        "paths_changed": snapshot.totals.changed,
        "paths_removed": snapshot.totals.removed,
        "bytes_read": snapshot.totals.read_bytes,
        "bytes_added": snapshot.totals.added_bytes,
        "bytes_stored": snapshot.totals.stored_bytes,
        "duration_ms": snapshot.totals.duration_millis,
        "parent": snapshot.parent.map(|parent| parent.to_hex()),
        "program": snapshot.program,
    });
    if let Value::Object(more) = more {
        line.extend(more);
    }
    line
}

fn put_origin(line: &mut Map<String, Value>, origin: &Origin) {
    match origin {
        Origin::Folder { host, path } => {
            line.insert("origin".to_owned(), "folder".into());
            line.insert("host".to_owned(), host.as_str().into());
            put_path(line, "path", path);
        }
        Origin::Device(device) => {
            line.insert("origin".to_owned(), "device".into());
            line.insert("host".to_owned(), device.host.as_str().into());
            line.insert("device".to_owned(), self::device(device));
        }
    }
}

fn device(device: &DeviceIdentity) -> Value {
    json!({
        "udid": device.udid,
        "name": device.name,
        "product_type": device.product_type,
        "os_version": device.os_version,
        "os_build": device.os_build,
        "encrypted": device.encrypted,
        "full": device.full,
        "backup_time": device.backup_at.map(moment),
        "verification": device.verification.map(|what| what.word()),
    })
}

/// How many paths a snapshot lacks or holds otherwise than they were.
pub fn faults_total(snapshot: &Snapshot) -> u64 {
    match &snapshot.completeness {
        Completeness::Complete => 0,
        Completeness::Incomplete { total, .. } => *total,
    }
}

/// A path and what it names.
pub fn node(message_type: &str, path: &TreePath, node: &Node) -> Map<String, Value> {
    let mut line = line(message_type);
    put_path(&mut line, "path", &path.to_slashed());
    line.insert("kind".to_owned(), kind_word(node.kind).into());
    line.insert("size_bytes".to_owned(), node.size_bytes().into());
    line.insert("mode".to_owned(), format!("{:04o}", node.mode).into());
    line.insert("uid".to_owned(), node.uid.into());
    line.insert("gid".to_owned(), node.gid.into());
    line.insert("mtime".to_owned(), moment(node.mtime));
    if let Some(birth) = node.birth {
        line.insert("birth".to_owned(), moment(birth));
    }
    if node.kind == NodeKind::Symlink {
        put_path(&mut line, "link_target", &node.link_target);
    }
    if let Some(first) = &node.hard_link {
        put_path(&mut line, "hard_link", &first.to_slashed());
    }
    if let Some((major, minor)) = node.device {
        line.insert("device".to_owned(), json!([major, minor]));
    }
    if node.content.content == Content::Missing {
        line.insert("missing".to_owned(), true.into());
    }
    if node.changed_while_read {
        line.insert("changed_while_read".to_owned(), true.into());
    }
    line
}

/// The word for a kind of node.
pub fn kind_word(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::File => "file",
        NodeKind::Folder => "folder",
        NodeKind::Symlink => "symlink",
        NodeKind::Fifo => "fifo",
        NodeKind::Socket => "socket",
        NodeKind::CharDevice => "char-device",
        NodeKind::BlockDevice => "block-device",
    }
}

fn status(counts: &Counts, udid: Option<&str>) -> Value {
    let mut line = json!({
        "message_type": "status",
        "phase": counts.phase_word(),
        "files_done": counts.files_done,
        "files_total": (counts.files_total > 0).then_some(counts.files_total),
        "bytes_done": counts.bytes_done,
        "bytes_total": (counts.bytes_total > 0).then_some(counts.bytes_total),
        "bytes_stored": counts.bytes_stored,
        "rate": counts.rate,
        "eta_seconds": counts.eta_secs(),
        "faults": counts.faults,
    });
    if let (Some(udid), Value::Object(fields)) = (udid, &mut line) {
        fields.insert("udid".to_owned(), udid.into());
        fields.insert("phase_seconds".to_owned(), counts.step_secs.into());
        let percent = counts.percent_device.map(Percent::value);
        fields.insert("percent_device".to_owned(), percent.into());
    }
    line
}

/// A thread that says five times a second how far the work is, while something changes.
pub(super) struct StatusLines {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StatusLines {
    /// `udid` is that of the device that is watched, if any.
    pub(super) fn start(
        counters: Arc<Counters>,
        udid: Option<String>,
        sink: JsonSink,
    ) -> StatusLines {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut last = None;
            while stopped.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout)
            {
                let now = counters.now();
                if let Some(counts) = now.filter(|_| now != last)
                    && sink.write(&status(&counts, udid.as_deref()), true).is_err()
                {
                    return;
                }
                last = now;
            }
        });
        StatusLines { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for StatusLines {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::ExitCode;
    use devsnap_engine::progress::FaultKind;

    #[test]
    fn a_path_that_is_no_text_is_given_in_hex_too() {
        let mut line = line("node");
        put_path(&mut line, "path", b"caf\xe9/\x1b");
        assert_eq!(
            Value::from(line).to_string(),
            r#"{"message_type":"node","path":"caf\\xe9/\\u{1b}","path_hex":"636166e92f1b"}"#
        );
    }

    #[test]
    fn a_path_that_is_text_is_given_exactly() {
        let mut line = line("node");
        put_path(&mut line, "path", "a\n\\é".as_bytes());
        assert_eq!(line["path"], "a\n\\é");
        assert!(!line.contains_key("path_hex"));
    }

    #[test]
    fn a_node_has_its_kind_size_mode_and_utc_time() {
        let mut file = Node::new(NodeKind::File, 0o640);
        file.mtime = Time { secs: 1_793_491_200, nanos: 500_000_000 };
        file.content.len = 12;
        let line = Value::from(node("node", &TreePath::from_slashed(b"a/b").unwrap(), &file));
        assert_eq!(
            line,
            json!({
                "message_type": "node", "path": "a/b", "kind": "file", "size_bytes": 12,
                "mode": "0640", "uid": 0, "gid": 0, "mtime": "2026-11-01T00:00:00.5Z",
            })
        );
    }

    #[test]
    fn errors_and_faults_say_what_and_what_to_do() {
        let failure = Failure::new(ExitCode::WrongPassword, "opening: no").hint("try again");
        assert_eq!(
            error(&failure),
            json!({
                "message_type": "error", "code": 12, "kind": "wrong-password",
                "text": "opening: no", "action": "try again",
            })
        );
        let path = TreePath::from_slashed(b"a").unwrap();
        let gone = Fault { path, kind: FaultKind::Vanished, reason: "it is gone".into() };
        assert_eq!(
            fault(&gone),
            json!({
                "message_type": "warning", "text": "it is gone", "fault": "vanished", "path": "a",
            })
        );
    }
}
