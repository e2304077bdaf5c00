//! Running one program and counting what it used.
use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// What a process and the children it waited for used.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Usage {
    /// Seconds from start to exit.
    pub(crate) wall_s: f64,
    /// Seconds of processor time, user and system together, over all threads.
    pub(crate) cpu_s: f64,
    /// Largest resident set, in bytes. The kernel carries over what the starting process had at
    /// the moment of `exec`, so nothing below [`floor`] can be seen.
    pub(crate) peak_rss_bytes: u64,
    /// Bytes it had written to a disk or that are on their way there.
    pub(crate) written_bytes: u64,
}

#[allow(dead_code, reason = "one of two programs runs things one after the other")]
impl Usage {
    /// What this and then another took, as one.
    pub(crate) fn then(self, next: Usage) -> Usage {
        Usage {
            wall_s: self.wall_s + next.wall_s,
            cpu_s: self.cpu_s + next.cpu_s,
            peak_rss_bytes: self.peak_rss_bytes.max(next.peak_rss_bytes),
            written_bytes: self.written_bytes + next.written_bytes,
        }
    }
}

/// Runs `command` to its end. What it prints goes to `log`.
///
/// # Errors
///
/// It could not be started, or ended with anything but exit code 0.
pub(crate) fn run(mut command: Command, log: &Path) -> Result<Usage> {
    let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    let program = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("starting {program}"))?;
    let (status, usage) = wait(child.id(), start)?;
    if status != 0 {
        let said = std::fs::read(log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing");
        bail!("{program} ended with {}; it said: {last}", ending(status));
    }
    Ok(usage)
}

/// The peak a program shows that uses next to nothing, in bytes.
///
/// # Errors
///
/// `true` could not be run.
#[allow(dead_code, reason = "one of two programs tells it")]
pub(crate) fn floor(log: &Path) -> Result<u64> {
    run(Command::new("true"), log).map(|usage| usage.peak_rss_bytes)
}

fn ending(status: i32) -> String {
    if libc::WIFEXITED(status) {
        format!("exit code {}", libc::WEXITSTATUS(status))
    } else {
        format!("signal {}", libc::WTERMSIG(status))
    }
}

/// Waits for the child `pid`, which nobody else waits for.
#[allow(unsafe_code)]
fn wait(pid: u32, start: Instant) -> Result<(i32, Usage)> {
    let pid = libc::pid_t::try_from(pid)?;
    let mut status = 0;
    // SAFETY: `rusage` is a plain C struct of integers, for which all zeroes is a value.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live locals of the types the call writes.
        let answer = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) };
        if answer == pid {
            break;
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("waiting for a program");
        }
    }
    let wall_s = start.elapsed().as_secs_f64();
    let cpu = seconds(used.ru_utime)? + seconds(used.ru_stime)?;
    // Linux counts in KiB.
    let peak_rss_bytes = u64::try_from(used.ru_maxrss)? * 1024;
    // In blocks of 512 bytes.
    let written_bytes = u64::try_from(used.ru_oublock)? * 512;
    Ok((status, Usage { wall_s, cpu_s: cpu.as_secs_f64(), peak_rss_bytes, written_bytes }))
}

fn seconds(time: libc::timeval) -> Result<Duration> {
    let micros = u64::try_from(time.tv_usec)?;
    Ok(Duration::from_secs(u64::try_from(time.tv_sec)?) + Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Usage> {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, &dir.path().join("log"))
    }

    #[test]
    fn a_sleeping_program_uses_time_but_no_processor() {
        let usage = shell("sleep 0.3").unwrap();

        assert!(usage.wall_s >= 0.3, "{usage:?}");
        assert!(usage.cpu_s < 0.3, "{usage:?}");
        assert!(usage.peak_rss_bytes > 0, "{usage:?}");
    }

    #[test]
    fn a_failing_program_is_an_error_that_repeats_its_last_words() {
        let error = shell("echo no such repository >&2; exit 10").unwrap_err().to_string();

        assert!(error.contains("exit code 10"), "{error}");
        assert!(error.ends_with("no such repository"), "{error}");
    }
}
