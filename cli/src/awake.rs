//! Keeps this computer from falling asleep by itself while a device is backed up or restored.
//!
//! A program of the system holds the inhibition for as long as the program runs that it starts:
//! `cat`, which reads a pipe of ours and ends when that is closed. The kernel closes it however we
//! end, so nothing stays behind, and there is nothing to wait for: no bus to talk to, no library
//! for it, and no question of polkit's, which asks at a terminal only.
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What can hold it here, the first choice first.
const HOLDERS: &[&[&str]] = if cfg!(target_os = "macos") {
    &[&["caffeinate", "-i", "cat"]]
} else {
    &[
        &["systemd-inhibit", WHAT, WHO, WHY, "--mode=block", "cat"],
        &["elogind-inhibit", WHAT, WHO, WHY, "--mode=block", "cat"],
    ]
};
const WHAT: &str = "--what=sleep";
const WHO: &str = "--who=devsnap";
const WHY: &str = "--why=A device is being backed up or restored";

/// How long a holder may take to end by itself.
const RELEASE_WAIT: Duration = Duration::from_secs(2);

/// A computer that does not fall asleep by itself, if it can be had: until this is dropped.
pub struct Awake {
    holder: Option<Child>,
}

impl Awake {
    /// Holds it from now on. That it cannot be had is no error: most backups are over before a
    /// computer falls asleep.
    pub fn hold() -> Awake {
        Awake::by(HOLDERS)
    }

    fn by(holders: &[&[&str]]) -> Awake {
        Awake { holder: holders.iter().find_map(|words| started(words)) }
    }

    /// Whether it is held still.
    pub fn is_held(&mut self) -> bool {
        self.holder.as_mut().is_some_and(|holder| matches!(holder.try_wait(), Ok(None)))
    }
}

/// The program with its pipe, in a process group of its own: a Ctrl-C at the terminal is for us,
/// and the device is still to be parted with.
fn started(words: &[&str]) -> Option<Child> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    // Passwords and keys of storages may be in our environment; it needs none of it.
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()
}

impl Drop for Awake {
    fn drop(&mut self) {
        let Some(mut holder) = self.holder.take() else { return };
        drop(holder.stdin.take());
        let until = Instant::now() + RELEASE_WAIT;
        while matches!(holder.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        // One that is stuck lets go with its life. Of one that has ended this does nothing.
        let _ = holder.kill();
        let _ = holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let released = folder.path().join("released");
        let script = format!("cat && echo so > '{}'", released.display());
        let mut awake = Awake::by(&[&["/nowhere/holder"], &["sh", "-c", &script]]);
        assert!(awake.is_held() && !released.exists());
        drop(awake);
        assert!(released.exists());
    }

    #[test]
    fn where_nothing_can_hold_it_that_is_known_and_no_error() {
        assert!(!Awake::by(&[]).is_held());
        assert!(!Awake::by(&[&["/nowhere/holder"]]).is_held());
        let mut refused = Awake::by(&[&["sh", "-c", "exit 1"]]);
        let ended = refused.holder.as_mut().unwrap().wait().unwrap();
        assert!(!ended.success() && !refused.is_held());
    }

    #[test]
    fn a_holder_that_does_not_end_is_ended() {
        let awake = Awake::by(&[&["sleep", "600"]]);
        let id = awake.holder.as_ref().unwrap().id();
        drop(awake);
        let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        assert!(rustix::process::test_kill_process(id).is_err());
    }
}
