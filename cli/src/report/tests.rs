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
    let report = Report::into_sinks(global, stdout, Box::new(out.clone()), Box::new(err.clone()));
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
            let report = Report::into_sinks(&global, stdout, Box::new(Gone), Box::new(io::sink()));
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

#[test]
fn what_a_person_must_do_on_a_device_is_asked_once_even_when_quiet() {
    let told = |global: Global| {
        spoken(&global, Stdout::Account, |report| {
            let watch = report.watch_device("00008030-001A2B3C4D5E6F78", "Anna’s iPhone");
            for stage in [Stage::Connecting, Stage::WaitingForTrust, Stage::WaitingForTrust] {
                watch.stage(stage);
            }
        })
    };
    let (_, err) = told(Global { quiet: true, ..Global::default() });
    assert_eq!(err, ">>> tap \"Trust\" on Anna’s iPhone\n");
    let (out, _) = told(Global { json: true, no_progress: true, ..Global::default() });
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&line["message_type"], &line["kind"]), (&"prompt".into(), &"trust".into()));
    assert_eq!(line["udid"], "00008030-001A2B3C4D5E6F78");
}
