//! The simulator: contents are made once, and each rival meets a copy of the phone.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::args::Args;

/// How long the simulator may take to be there.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Makes the phone; what the simulator says of it.
pub(crate) fn generate(args: &Args, state: &Path) -> Result<String> {
    if state.exists() {
        fs::remove_dir_all(state)?;
    }
    let mut command = Command::new(&args.simulator);
    command.arg("generate").arg("--state").arg(state);
    command.args(["--files", &args.files.to_string()]);
    command.args(["--bytes", &format!("{}B", args.bytes.as_u64())]);
    command.args(["--seed", &args.seed.to_string()]);
    if let Some(messages) = args.messages {
        command.args(["--messages", &format!("{}B", messages.as_u64())]);
    }
    said(&mut command)
}

/// Copies a phone.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    said(Command::new("cp").arg("-r").arg(from).arg(to)).map(drop)
}

/// Lets a day pass: the same one for each rival.
pub(crate) fn day(args: &Args, state: &Path, number: u64) -> Result<String> {
    let mut command = Command::new(&args.simulator);
    command.arg("day").arg("--openly").arg("--state").arg(state);
    said(command.args(["--seed", &number.to_string()]))
}

/// What a helper of the bench says, in one line.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A phone on a table, until it is dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn start(args: &Args, state: &Path) -> Result<Serving> {
        let ready: PathBuf = state.with_extension("address");
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(&args.simulator);
        command.arg("serve").arg("--state").arg(state).args(["--weather", "fair"]);
        command.arg("--ready-file").arg(&ready).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().context("starting the simulator")?;
        let mut serving = Serving { child, address: String::new() };
        let start = Instant::now();
        while !ready.exists() {
            if start.elapsed() > READY_WITHIN || serving.child.try_wait()?.is_some() {
                bail!("the simulator is not there");
            }
            thread::sleep(Duration::from_millis(50));
        }
        let line = fs::read_to_string(&ready)?;
        let address = line.trim().split_once('=').context("the simulator's address")?.1;
        serving.address = address.to_owned();
        Ok(serving)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
