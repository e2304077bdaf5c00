//! Ctrl-C and its kin: once, and the work stops in order; twice, and the program ends.
use crate::failure::ExitCode;
use devsnap_engine::interrupt::Interrupt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Raises `interrupt` at the first signal and exits at the second. Signals that whoever started
/// this program had it ignore (`nohup`, a shell's background jobs) stay ignored.
///
/// # Errors
///
/// The system refuses to hand signals over.
pub fn watch(interrupt: &Interrupt) -> std::io::Result<()> {
    let ignored = ignored_at_start();
    let watched = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !has(ignored, *signal));
    let mut signals = Signals::new(watched)?;
    let interrupt = interrupt.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if interrupt.is_raised() {
                std::process::exit(i32::from(ExitCode::Interrupted as u8));
            }
            interrupt.raise();
        }
    })?;
    Ok(())
}

/// The signals that are ignored, a bit each. Asking the system itself takes unsafe code; Linux
/// also tells in a file, elsewhere none counts as ignored.
fn ignored_at_start() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|said| mask_in(&said)).unwrap_or(0)
}

/// The mask in a line such as `SigIgn:\t0000000000001001`.
fn mask_in(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Signals count from 1.
fn has(mask: u64, signal: i32) -> bool {
    (mask >> (signal - 1)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_systems_words() {
        let mask = mask_in("Name:\tx\nSigBlk:\t0000000000004002\nSigIgn:\t0000000000001001\n");
        let mask = mask.unwrap();
        assert!(has(mask, SIGHUP));
        assert!(!has(mask, SIGINT) && !has(mask, SIGTERM));
        assert_eq!(mask_in("Name:\tx\n"), None);
        assert_eq!(mask_in("SigIgn:\tmany\n"), None);
    }
}
