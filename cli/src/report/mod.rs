//! What the program says: results on standard output, all else on standard error, in one of two
//! voices, for people or (`--json`) for programs.
mod bar;
mod counters;
pub mod json;
pub mod text;

use crate::args::Global;
use crate::failure::{Failure, Received};
use bar::{Bar, call_for};
use counters::Counters;
use devsnap_device::watch::{DeviceWatch, Stage};
use devsnap_engine::progress::{Fault, Phase, Progress};
use json::StatusLines;
use serde_json::{Value, json};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use text::escaped;

/// What standard output is for in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    /// Lines that are the result: without a reader there is nothing left to do.
    Lines,
    /// Lines about work, which goes on and has its exit code whether somebody reads them or not.
    Account,
    /// The result itself, byte by byte; JSON lines go to standard error.
    Bytes,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Volume {
    Quiet,
    Normal,
    Verbose,
}

type Sink = Box<dyn Write + Send>;

/// The program's voice; shared by threads, cheap to clone.
#[derive(Clone)]
pub struct Report {
    json: bool,
    volume: Volume,
    progress: bool,
    stderr_is_terminal: bool,
    stdout: Stdout,
    flush_each_line: bool,
    out: Arc<Mutex<BufWriter<Sink>>>,
    err: Arc<Mutex<Sink>>,
}

impl Report {
    /// Speaks to this process's standard output and error.
    pub fn new(global: &Global, stdout: Stdout) -> Self {
        let mut report =
            Report::into_sinks(global, stdout, Box::new(io::stdout()), Box::new(io::stderr()));
        report.stderr_is_terminal = io::stderr().is_terminal();
        report.flush_each_line = io::stdout().is_terminal();
        report
    }

    fn into_sinks(global: &Global, stdout: Stdout, out: Sink, err: Sink) -> Self {
        let volume = match (global.quiet, global.verbose) {
            (true, _) => Volume::Quiet,
            (_, true) => Volume::Verbose,
            _ => Volume::Normal,
        };
        Report {
            json: global.json,
            volume,
            progress: !global.no_progress && volume > Volume::Quiet,
            stderr_is_terminal: false,
            stdout,
            flush_each_line: false,
            out: Arc::new(Mutex::new(BufWriter::with_capacity(64 * 1024, out))),
            err: Arc::new(Mutex::new(err)),
        }
    }

    /// Whether programs read this.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Says one line of the result, in the voice that was asked for.
    ///
    /// # Errors
    ///
    /// Standard output failed, or nobody reads it any more.
    pub fn data(
        &self,
        for_programs: impl FnOnce() -> Value,
        for_people: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json { self.emit(&for_programs()) } else { self.print(&for_people()) }
    }

    /// Says what was done, last; people are spared it by `--quiet`.
    ///
    /// # Errors
    ///
    /// As [`data`](Self::data).
    pub fn summary(
        &self,
        for_programs: impl FnOnce() -> Value,
        for_people: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if !self.json && self.volume == Volume::Quiet {
            return Ok(());
        }
        self.data(for_programs, for_people)
    }

    /// Says something that a person should know and that stops nothing.
    pub fn warn(&self, sentence: &str) {
        let line = || json!({ "message_type": "warning", "text": escaped(sentence) });
        self.aside(line, || format!("warning: {}", escaped(sentence)));
    }

    /// Says what is about to be done, before it is done.
    pub fn announce(
        &self,
        for_programs: impl FnOnce() -> Value,
        for_people: impl FnOnce() -> String,
    ) {
        if self.json || self.volume > Volume::Quiet {
            self.aside(for_programs, for_people);
        }
    }

    /// Says that dealings with a device are recorded in `file` from now on.
    pub fn recording(&self, file: &Path) {
        if self.volume == Volume::Quiet && !self.json {
            return;
        }
        let line = || {
            let mut line = json::line("recording");
            json::put_path(&mut line, "output", file.as_os_str().as_bytes());
            line.into()
        };
        self.aside(line, || {
            let shown = escaped(&file.display().to_string());
            format!(
                "recording messages, sizes and times in {shown}; no contents, names, numbers or \
                 keys of the device.\nRead it before you send it"
            )
        });
    }

    /// Says something only the curious want to know.
    pub fn note(&self, sentence: &str) {
        if self.volume == Volume::Verbose && !self.json {
            self.complain(&escaped(sentence));
        }
    }

    /// Names the paths that are not as they should be, of which there are `total`.
    pub fn faults(&self, named: &[Fault], total: u64) {
        for fault in named {
            self.fault(fault);
        }
        let more = total.saturating_sub(named.len() as u64);
        if more > 0 {
            self.warn(&format!("and {more} more paths"));
        }
    }

    fn fault(&self, fault: &Fault) {
        let line = || json::fault(fault);
        self.aside(line, || {
            let (kind, reason) = (fault.kind.word(), escaped(&fault.reason));
            match fault.path.is_root() {
                true => format!("warning: .: {kind} ({reason})"),
                false => format!("warning: {}: {kind} ({reason})", fault.path),
            }
        });
    }

    /// Asks a person for something; the answer is read elsewhere.
    pub fn prompt(&self, kind: &str, sentence: &str) {
        if self.json {
            let line = json!({ "message_type": "prompt", "kind": kind, "text": sentence });
            let _ = self.emit(&line);
        } else {
            let mut err = lock(&self.err);
            let _ = write!(err, "{sentence} ").and_then(|()| err.flush());
        }
    }

    /// Asks a person to do something on a device, at once.
    fn call(&self, device: &Watched, kind: &str, deed: &str) {
        let sentence = format!("{deed} {}", device.name);
        let line = || {
            json!({
                "message_type": "prompt",
                "kind": kind,
                "text": escaped(&sentence),
                "udid": device.udid,
            })
        };
        self.aside(line, || format!(">>> {}", escaped(&sentence)));
    }

    /// Says why it ends early; where standard output cannot be written, on standard error.
    pub fn fail(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        if self.json {
            let line = json::error(failure);
            if self.json_sink().write(&line, true).is_err() {
                let _ = writeln!(lock(&self.err), "{line}");
            }
            return;
        }
        let mut said = format!("error: {}", failure.message());
        let received = failure.received().map(Received::sentence);
        for line in received.iter().map(String::as_str).chain(failure.advice()) {
            said.push_str("\n  ");
            said.push_str(line);
        }
        self.complain(&said);
    }

    /// Watches long work until it is dropped.
    pub fn watch(&self) -> Watch {
        self.watch_one(Watched::default())
    }

    /// Watches a session with a device until it is dropped.
    pub fn watch_device(&self, udid: &str, name: &str) -> Watch {
        let name = if name.is_empty() { udid } else { name };
        self.watch_one(Watched { udid: Some(udid.to_owned()), name: name.to_owned() })
    }

    fn watch_one(&self, device: Watched) -> Watch {
        let counters = Arc::new(Counters::default());
        let (mut bar, mut lines) = (None, None);
        if self.progress && self.json {
            let sink = self.json_sink();
            lines = Some(StatusLines::start(Arc::clone(&counters), device.udid.clone(), sink));
        } else if self.progress && self.stderr_is_terminal {
            bar = Some(Bar::start(Arc::clone(&counters), escaped(&device.name)));
        }
        Watch { report: self.clone(), counters, device, bar, lines }
    }

    /// Hands standard output over for bytes.
    ///
    /// # Errors
    ///
    /// As [`data`](Self::data).
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let written = lock(&self.out).write_all(bytes);
        self.heard(written)
    }

    /// Makes sure that everything said has left.
    ///
    /// # Errors
    ///
    /// As [`data`](Self::data).
    pub fn flush(&self) -> Result<(), Failure> {
        let flushed = lock(&self.out).flush();
        self.heard(flushed)
    }

    /// What became of writing to standard output; that nobody reads an account is no failure.
    fn heard(&self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Err(error)
                if self.stdout == Stdout::Account && error.kind() == io::ErrorKind::BrokenPipe =>
            {
                Ok(())
            }
            written => written.map_err(|error| Failure::output(&error)),
        }
    }

    fn json_sink(&self) -> JsonSink {
        match self.stdout {
            Stdout::Lines | Stdout::Account => JsonSink::Out(Arc::clone(&self.out)),
            Stdout::Bytes => JsonSink::Err(Arc::clone(&self.err)),
        }
    }

    fn emit(&self, line: &Value) -> Result<(), Failure> {
        self.heard(self.json_sink().write(line, false))
    }

    fn print(&self, line: &str) -> Result<(), Failure> {
        let mut out = lock(&self.out);
        let written = writeln!(out, "{line}");
        self.heard(written.and_then(|()| if self.flush_each_line { out.flush() } else { Ok(()) }))
    }

    /// A line beside the result, at once. That it cannot be said is no reason to stop.
    fn aside(&self, for_programs: impl FnOnce() -> Value, for_people: impl FnOnce() -> String) {
        if self.json {
            let _ = self.json_sink().write(&for_programs(), true);
        } else {
            self.complain(&for_people());
        }
    }

    fn complain(&self, line: &str) {
        let _ = self.flush();
        let _ = writeln!(lock(&self.err), "{line}");
    }
}

/// Where JSON lines go.
enum JsonSink {
    Out(Arc<Mutex<BufWriter<Sink>>>),
    Err(Arc<Mutex<Sink>>),
}

impl JsonSink {
    fn write(&self, line: &Value, now: bool) -> io::Result<()> {
        match self {
            JsonSink::Out(out) => {
                let mut out = lock(out);
                writeln!(out, "{line}")?;
                if now { out.flush() } else { Ok(()) }
            }
            JsonSink::Err(err) => writeln!(lock(err), "{line}"),
        }
    }
}

/// A thread that panicked while it wrote has left at worst half a line.
fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device that is watched, if any.
#[derive(Debug, Default)]
struct Watched {
    udid: Option<String>,
    name: String,
}

/// Long work being watched; the bar goes when it is dropped.
pub struct Watch {
    report: Report,
    counters: Arc<Counters>,
    device: Watched,
    bar: Option<Bar>,
    lines: Option<StatusLines>,
}

impl Progress for Watch {
    fn phase(&self, phase: Phase) {
        self.counters.enter(phase);
    }
    fn wants_totals(&self) -> bool {
        self.bar.is_some() || self.lines.is_some()
    }
    fn expect(&self, files: u64, bytes: u64) {
        self.counters.expect(files, bytes);
    }
    fn expect_no_more(&self) {
        self.counters.expect_no_more();
    }
    fn advance(&self, files: u64, bytes: u64) {
        self.counters.advance(files, bytes);
    }
    fn stored(&self, bytes: u64) {
        self.counters.stored(bytes);
    }
    fn fault(&self, _: &Fault) {
        self.counters.fault();
    }
    fn warn(&self, sentence: &str) {
        self.beside(|| self.report.warn(sentence));
    }
}

impl DeviceWatch for Watch {
    fn stage(&self, stage: Stage) {
        if !self.counters.enter_stage(stage) {
            return;
        }
        if let Some((kind, deed)) = call_for(stage) {
            self.beside(|| self.report.call(&self.device, kind, deed));
        }
    }
    fn percent(&self, percent: f64) {
        self.counters.percent(percent);
    }
    fn warn(&self, sentence: &str) {
        self.beside(|| self.report.warn(sentence));
    }
}

impl Watch {
    /// How much was put on the storage while this watched, in bytes.
    pub fn bytes_stored(&self) -> u64 {
        self.counters.bytes_stored()
    }

    /// Says something on the terminal that the bar is on.
    fn beside(&self, say: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.aside(say),
            None => say(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
