//! The lines that `strace -f -y -xx` writes.
use std::collections::HashMap;
use std::path::PathBuf;

/// A call that succeeded.
pub(super) struct Call {
    pub(super) name: String,
    /// What its file handles are, in order.
    pub(super) paths: Vec<PathBuf>,
    /// Its texts and bytes, in order.
    pub(super) strings: Vec<Vec<u8>>,
    /// The numbers behind those, in order.
    pub(super) numbers: Vec<usize>,
    /// The lines on which it began and returned: others ran between them.
    pub(super) began: usize,
    pub(super) returned: usize,
    line: String,
}

impl Call {
    /// Whether a flag stands in it.
    pub(super) fn text_has(&self, flag: &str) -> bool {
        self.line.contains(flag)
    }

    /// Its first bytes as text.
    pub(super) fn text(&self) -> Option<String> {
        self.strings.first().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The calls in the order in which they returned; those that failed did nothing.
pub(super) fn calls_of(trace: &str) -> Vec<Call> {
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, (number, begun));
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            if let Some((began, begun)) = unfinished.remove(pid) {
                calls.extend(call(&format!("{begun}{end}"), began, number));
            }
        } else {
            calls.extend(call(rest, number, number));
        }
    }
    calls
}

fn call(line: &str, began: usize, returned: usize) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ").or_else(|| {
        // Short calls are padded.
        let (arguments, result) = rest.rsplit_once(" = ")?;
        Some((arguments.trim_end().strip_suffix(')')?, result))
    })?;
    if !result.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let inside = |open: char, close: char| -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut rest = arguments;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((text, behind)) = after.split_once(close) else { break };
            found.push(unescaped(text));
            rest = behind;
        }
        found
    };
    let path = |bytes: Vec<u8>| PathBuf::from(&*String::from_utf8_lossy(&bytes));
    let behind = arguments.rsplit(['"', ']', '>']).next().unwrap_or_default();
    Some(Call {
        name: name.to_owned(),
        paths: inside('<', '>').into_iter().map(path).collect(),
        strings: inside('"', '"'),
        numbers: behind.split(", ").filter_map(|number| number.parse().ok()).collect(),
        began,
        returned,
        line: line.to_owned(),
    })
}

/// Every byte is written as `\xNN`.
fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.split("\\x").skip(1);
    bytes.map(|byte| u8::from_str_radix(byte, 16).expect(text)).collect()
}
