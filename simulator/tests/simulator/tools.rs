//! Running other people's programs: found, timed out, ended.
use devsnap_simulator::{Options, PhoneOptions, Simulator, simulator};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// No client call takes nearly so long, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) succeeded: bool,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ran {
    /// All it said.
    pub(crate) fn words(&self) -> String {
        format!("{}{}", self.output, self.errors)
    }
}

/// A simulator of `phones` phones with which nothing is wrong.
pub(crate) fn simulator_of(phones: usize) -> Simulator {
    Simulator::start(options_of(phones)).unwrap()
}

/// The options of such a simulator.
pub(crate) fn options_of(phones: usize) -> Options {
    Options {
        phones: (0..phones).map(|number| PhoneOptions::new(simulator::identity(number))).collect(),
        ..Options::default()
    }
}

/// The folder of this repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// One of libimobiledevice's tools.
pub(crate) fn idevice(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run tests/servers/install"))
}

/// pymobiledevice3.
pub(crate) fn pymobiledevice3() -> PathBuf {
    let file = repository().join(".test-servers/venv/bin/pymobiledevice3");
    assert!(file.is_file(), "pymobiledevice3 is not installed: run tests/servers/install");
    file
}

/// A client that sees the simulator's phones and has `home` to itself.
pub(crate) fn client(program: &Path, simulator: &Simulator, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("USBMUXD_SOCKET_ADDRESS", simulator.address().to_string())
        .env("HOME", home)
        .env("TZ", "UTC")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// Runs `command` to its end, or ends it when that takes too long.
pub(crate) fn run(command: &mut Command, home: &Path) -> Ran {
    let (output, errors) = (home.join("output"), home.join("errors"));
    command.stdout(File::create(&output).unwrap()).stderr(File::create(&errors).unwrap());
    let mut child = Running(command.spawn().unwrap());
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.0.try_wait().unwrap() {
            break status;
        }
        assert!(
            Instant::now() < deadline,
            "{command:?} does not end; it said:\n{}\n{}",
            text(&output),
            text(&errors)
        );
        thread::sleep(Duration::from_millis(10));
    };
    Ran { succeeded: status.success(), output: text(&output), errors: text(&errors) }
}

fn text(file: &Path) -> String {
    let mut bytes = Vec::new();
    File::open(file).unwrap().read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A child that does not outlive the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
