//! Asking a person at the terminal, without showing what they type.
use crate::failure::{ExitCode, Failure};
use crate::password::{Password, Person};
use crate::report::Report;
use devsnap_engine::interrupt::Interrupt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::os::fd::BorrowedFd;
use zeroize::Zeroizing;

/// The longest line that is taken, in bytes.
const LINE_LEN_MAX: usize = 4096;

/// Who sits at standard input, if it is a terminal.
pub struct AtTerminal<'a> {
    /// Says the question.
    pub report: &'a Report,
    /// Ends the waiting.
    pub interrupt: &'a Interrupt,
}

impl Person for AtTerminal<'_> {
    fn ask(&self, sentence: &str) -> Result<Option<Password>, Failure> {
        let stdin = rustix::stdio::stdin();
        if !isatty(stdin) {
            return Ok(None);
        }
        self.report.flush()?;
        self.report.prompt("password", sentence);
        let failed = |errno: Errno| {
            Failure::new(ExitCode::Failed, format!("could not read the password: {errno}"))
        };
        let silence = Silence::on(stdin).map_err(failed)?;
        let line = read_line(stdin, self.interrupt).map_err(failed)?;
        drop(silence);
        if !self.report.is_json() {
            eprintln!();
        }
        line.map(Some).ok_or_else(|| Failure::new(ExitCode::Interrupted, "no password was typed"))
    }
}

impl AtTerminal<'_> {
    /// What they type after `sentence`, and see; `None` when nobody is there, or they gave up.
    ///
    /// # Errors
    ///
    /// The terminal failed.
    pub fn ask_aloud(&self, kind: &str, sentence: &str) -> Result<Option<String>, Failure> {
        let stdin = rustix::stdio::stdin();
        if !isatty(stdin) {
            return Ok(None);
        }
        self.report.flush()?;
        self.report.prompt(kind, sentence);
        let line = read_line(stdin, self.interrupt).map_err(|errno| {
            Failure::new(ExitCode::Failed, format!("could not read the answer: {errno}"))
        })?;
        Ok(line.map(|line| String::from_utf8_lossy(&line).into_owned()))
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
///
/// Signals from the keyboard are off too: Ctrl-C comes as a byte, so that no signal can end the
/// program while the terminal is silent.
struct Silence<'fd> {
    fd: BorrowedFd<'fd>,
    before: Termios,
}

impl<'fd> Silence<'fd> {
    fn on(fd: BorrowedFd<'fd>) -> Result<Self, Errno> {
        let before = tcgetattr(fd)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(fd, OptionalActions::Flush, &silent)?;
        Ok(Silence { fd, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.fd, OptionalActions::Flush, &self.before);
    }
}

/// What was typed until Enter; `None` when it was given up.
fn read_line(fd: BorrowedFd<'_>, interrupt: &Interrupt) -> Result<Option<Password>, Errno> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_LEN_MAX));
    let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    while !interrupt.is_raised() {
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&moment)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(errno),
        }
        let mut byte = Zeroizing::new([0; 1]);
        let step = match rustix::io::read(fd, &mut *byte) {
            Ok(0) => Step::GiveUp,
            Ok(_) => typed(&mut line, byte[0]),
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Err(errno) => return Err(errno),
        };
        match step {
            Step::More => {}
            Step::Enter => return Ok(Some(line)),
            Step::GiveUp => return Ok(None),
        }
    }
    Ok(None)
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    More,
    Enter,
    GiveUp,
}

/// What a byte from the keyboard does to the line.
fn typed(line: &mut Vec<u8>, byte: u8) -> Step {
    match byte {
        b'\n' | b'\r' => return Step::Enter,
        // Ctrl-C, and Ctrl-D on an empty line.
        0x03 => return Step::GiveUp,
        0x04 if line.is_empty() => return Step::GiveUp,
        // Ctrl-U.
        0x15 => line.clear(),
        // Backspace takes a whole character.
        0x7f | 0x08 => while line.pop().is_some_and(|gone| gone & 0xc0 == 0x80) {},
        _ if line.len() < LINE_LEN_MAX => line.push(byte),
        _ => {}
    }
    Step::More
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(keys: &[u8]) -> (Vec<u8>, Step) {
        let mut line = Vec::new();
        let mut last = Step::More;
        for key in keys {
            last = typed(&mut line, *key);
        }
        (line, last)
    }

    #[test]
    fn keys_edit_the_line_as_a_terminal_does() {
        assert_eq!(after(b"ab\x7fc\n"), (b"ac".to_vec(), Step::Enter));
        assert_eq!(after("aé\x7f".as_bytes()), (b"a".to_vec(), Step::More));
        assert_eq!(after(b"wrong\x15right\r"), (b"right".to_vec(), Step::Enter));
        assert_eq!(after(b"\x7f").0, b"");
    }

    #[test]
    fn control_c_gives_up_and_so_does_the_end_of_input() {
        assert_eq!(after(b"ab\x03").1, Step::GiveUp);
        assert_eq!(after(b"\x04").1, Step::GiveUp);
        assert_eq!(after(b"a\x04").1, Step::More);
    }

    #[test]
    fn a_line_does_not_grow_without_end() {
        assert_eq!(after(&[b'x'; LINE_LEN_MAX + 10]).0.len(), LINE_LEN_MAX);
    }
}
