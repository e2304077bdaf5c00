//! What the program says: results on standard output, all else on standard error, in one of two
//! voices, for people or (`--json`) for programs.
mod bar;
mod counters;
pub mod json;
pub mod text;

use crate::args::Global;
use crate::failure::Failure;
use bar::Bar;
use counters::Counters;
use devsnap_engine::progress::{Fault, Phase, Progress};
use json::StatusLines;
use serde_json::{Value, json};
use std::io::{self, BufWriter, IsTerminal, Write};
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
        match failure.advice() {
            Some(advice) => self.complain(&format!("error: {}\n  {advice}", failure.message())),
            None => self.complain(&format!("error: {}", failure.message())),
        }
    }

    /// Watches long work until it is dropped.
    pub fn watch(&self) -> Watch {
        let counters = Arc::new(Counters::default());
        let (mut bar, mut lines) = (None, None);
        if self.progress && self.json {
            lines = Some(StatusLines::start(Arc::clone(&counters), self.json_sink()));
        } else if self.progress && self.stderr_is_terminal {
            bar = Some(Bar::start(Arc::clone(&counters)));
        }
        Watch { report: self.clone(), counters, bar, lines }
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

/// Long work being watched; the bar goes when it is dropped.
pub struct Watch {
    report: Report,
    counters: Arc<Counters>,
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
        match &self.bar {
            Some(bar) => bar.aside(|| self.report.warn(sentence)),
            None => self.report.warn(sentence),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[derive(Clone, Default)]
    pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

    impl Heard {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).unwrap()
        }
    }
    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn spoken(global: &Global, stdout: Stdout, say: impl FnOnce(&Report)) -> (String, String) {
        let (out, err) = (Heard::default(), Heard::default());
        let report =
            Report::into_sinks(global, stdout, Box::new(out.clone()), Box::new(err.clone()));
        say(&report);
        report.flush().unwrap();
        (out.text(), err.text())
    }

    fn say_all(report: &Report) {
        report.data(|| json!({ "message_type": "node" }), || "a row".into()).unwrap();
        report.warn("so \x1b[2J it is");
        report.summary(|| json!({ "message_type": "summary" }), || "the end".into()).unwrap();
        report.fail(&Failure::usage("no").hint("do"));
    }

    #[test]
    fn people_read_results_on_stdout_and_the_rest_on_stderr() {
        let (out, err) = spoken(&Global::default(), Stdout::Lines, say_all);
        assert_eq!(out, "a row\nthe end\n");
        assert_eq!(err, "warning: so \\u{1b}[2J it is\nerror: no\n  do\n");
    }

    #[test]
    fn quiet_keeps_results_warnings_and_errors() {
        let quiet = Global { quiet: true, ..Global::default() };
        let (out, err) = spoken(&quiet, Stdout::Lines, say_all);
        assert_eq!(out, "a row\n");
        assert_eq!(err.lines().count(), 3);
    }

    #[test]
    fn programs_read_everything_as_objects_on_one_stream() {
        let global = Global { json: true, ..Global::default() };
        let (out, err) = spoken(&global, Stdout::Lines, say_all);
        let types: Vec<String> = out
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["message_type"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(types, ["node", "warning", "summary", "error"]);
        assert_eq!(err, "");
    }

    /// A pipe whose reader has gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_ends_a_listing_and_not_the_account_of_work() {
        for json in [false, true] {
            let global = Global { json, ..Global::default() };
            let to_nobody = |stdout| {
                let report =
                    Report::into_sinks(&global, stdout, Box::new(Gone), Box::new(io::sink()));
                let said = report.data(|| json!("x".repeat(1 << 17)), || "x".repeat(1 << 17));
                said.and_then(|()| report.flush())
            };
            assert_eq!(to_nobody(Stdout::Account), Ok(()));
            assert!(to_nobody(Stdout::Lines).unwrap_err().is_silent());
        }
    }

    #[test]
    fn an_error_that_stdout_does_not_take_is_told_on_stderr() {
        let (global, err) = (Global { json: true, ..Global::default() }, Heard::default());
        let (out, kept) = (Box::new(Gone), Box::new(err.clone()));
        Report::into_sinks(&global, Stdout::Lines, out, kept).fail(&Failure::usage("no"));
        assert!(err.text().starts_with("{\"message_type\":\"error\""), "{}", err.text());
    }

    #[test]
    fn faults_name_the_top_and_end_with_how_many_are_not_named() {
        let fault = Fault {
            path: devsnap_engine::path::TreePath::root(),
            kind: devsnap_engine::progress::FaultKind::Unreadable,
            reason: "not permitted".to_owned(),
        };
        let (_, err) = spoken(&Global::default(), Stdout::Account, |report| {
            report.faults(std::slice::from_ref(&fault), 8);
            report.faults(std::slice::from_ref(&fault), 1);
        });
        let line = "warning: .: unreadable (not permitted)\n";
        assert_eq!(err, format!("{line}warning: and 7 more paths\n{line}"));
    }

    #[test]
    fn where_stdout_is_the_file_itself_objects_go_to_stderr() {
        let global = Global { json: true, ..Global::default() };
        let (out, err) = spoken(&global, Stdout::Bytes, |report| {
            report.bytes(b"the file").unwrap();
            report.warn("beside it");
        });
        assert_eq!(out, "the file");
        assert!(err.starts_with("{\"message_type\":\"warning\""));
    }
}
