//! Whether a file that stands in the target is already what the snapshot says.
use super::{Overwrite, Run, is_loss};
use crate::encoding::Decrypting;
use crate::error::{ErrorKind, Result};
use crate::node::{Content, Encoding, FileContent, Node};
use crate::pack::BLOCK_LEN_MAX;
use crate::path::TreePath;
use crate::target::Present;
use std::io::Read;

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What is there stays.
    Leave,
    /// Its bytes are right; its attributes are set.
    SetAttributes,
    /// It is written and replaces what is there, which is no folder or an empty one.
    Write,
    /// It is written and replaces a folder with all below it.
    Displace,
    /// A folder that is not empty stands there and stays; that is a fault.
    Blocked,
}

/// Why a path with the verdict [`Verdict::Blocked`] is not brought back.
pub(super) const BLOCKED: &str =
    "a folder that is not empty stands there; remove it or use --delete";

/// What becomes of the file `node` at `place`.
///
/// # Errors
///
/// The target cannot be read; the store cannot be read just now.
pub(super) fn judge(run: &Run<'_>, place: &TreePath, node: &Node) -> Result<Verdict> {
    let present = run.target.present(place)?;
    match (run.options.overwrite, present) {
        (_, Present::Folder) => Ok(over_folder(run, place)),
        (_, Present::Nothing) | (Overwrite::Always, _) => Ok(Verdict::Write),
        (Overwrite::Never, _) => Ok(Verdict::Leave),
        (Overwrite::IfChanged, Present::File { size_bytes, mtime, names: 1 })
            if size_bytes == node.size_bytes() =>
        {
            let looks_right = mtime == node.mtime && !run.target.is_doubtful();
            let is_right = looks_right || has_bytes_of(run, place, node)?;
            Ok(if is_right { Verdict::SetAttributes } else { Verdict::Write })
        }
        // A file with further names is never changed through one of them.
        (Overwrite::IfChanged, _) => Ok(Verdict::Write),
    }
}

/// What becomes of `place`, which is wanted for a link, a pipe, a device or a further name of a
/// file.
///
/// # Errors
///
/// The target cannot be read.
pub(super) fn judge_name(run: &Run<'_>, place: &TreePath) -> Result<Verdict> {
    Ok(match (run.options.overwrite, run.target.present(place)?) {
        (_, Present::Nothing) => Verdict::Write,
        (_, Present::Folder) => over_folder(run, place),
        (Overwrite::Never, _) => Verdict::Leave,
        (Overwrite::IfChanged | Overwrite::Always, _) => Verdict::Write,
    })
}

/// What becomes of the folder at `place`, where the snapshot has something else.
fn over_folder(run: &Run<'_>, place: &TreePath) -> Verdict {
    // One that cannot be listed may hold anything.
    let is_empty = || run.target.names_in(place).is_ok_and(|names| names.is_empty());
    match run.options.overwrite {
        Overwrite::Never => Verdict::Leave,
        Overwrite::IfChanged | Overwrite::Always if is_empty() => Verdict::Write,
        Overwrite::Always => Verdict::Displace,
        Overwrite::IfChanged if run.options.delete => Verdict::Displace,
        Overwrite::IfChanged => Verdict::Blocked,
    }
}

/// Whether the file at `place`, of the right length, has the stored bytes.
fn has_bytes_of(run: &Run<'_>, place: &TreePath, node: &Node) -> Result<bool> {
    let Ok(present) = run.target.read_present(place) else {
        return Ok(false);
    };
    match &node.encoding {
        Encoding::AsStored => has_content(run, present, &node.content),
        // Equal plaintexts with a padding that is right are equal bytes.
        Encoding::AppleEncrypted { file_key } => {
            let mut present = Decrypting::new(present, file_key);
            let is_equal = has_content(run, &mut present, &node.content)?;
            Ok(is_equal && matches!(present.read(&mut [0]), Ok(0)))
        }
    }
}

/// Whether `present` begins with the stored bytes.
fn has_content(run: &Run<'_>, mut present: impl Read, content: &FileContent) -> Result<bool> {
    match &content.content {
        Content::Empty => return Ok(true),
        Content::Missing => return Ok(false),
        Content::Inline(bytes) => {
            let mut there = vec![0; bytes.len()];
            return Ok(present.read_exact(&mut there).is_ok() && there == *bytes);
        }
        Content::Chunks(_) | Content::List { .. } => {}
    }
    let mut there = Vec::new();
    for chunk in run.store.chunks(content) {
        run.interrupt.check()?;
        let chunk = match chunk {
            Ok(chunk) if chunk.len <= BLOCK_LEN_MAX => chunk,
            Err(error) if !is_loss(&error) => return Err(error),
            // Writing it will say what is wrong.
            Ok(_) | Err(_) => return Ok(false),
        };
        there.resize(chunk.len as usize, 0);
        if present.read_exact(&mut there).is_err() {
            return Ok(false);
        }
        match run.store.verify_blob(&chunk.id, &there) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Damaged => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
