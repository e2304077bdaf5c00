//! Ctrl-C and its kin: once, and the work stops in order; twice, and the program ends.
use crate::failure::ExitCode;
use devsnap_engine::interrupt::Interrupt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Raises `interrupt` at the first signal and exits at the second.
///
/// # Errors
///
/// The system refuses to hand signals over.
pub fn watch(interrupt: &Interrupt) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
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
