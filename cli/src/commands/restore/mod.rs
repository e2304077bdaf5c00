//! `devsnap restore`: a snapshot back into a folder, or onto a device.
mod to_device;
mod to_folder;

pub(super) use to_folder::{Place, overwrite_of, spare_own_folders};

use super::Session;
use crate::args::RestoreArgs;
use crate::failure::{ExitCode, Failure};

pub(super) fn run(session: &Session<'_>, args: &RestoreArgs) -> Result<ExitCode, Failure> {
    match (&args.target, &args.phone.choice.device) {
        (_, Some(device)) => to_device::run(session, args, device),
        (Some(folder), None) => to_folder::run(session, args, folder),
        (None, None) => Err(Failure::usage("neither a folder nor a device is named")
            .hint("name one with --target DIR or --device NAME")),
    }
}
