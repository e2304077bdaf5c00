//! What no phone says to its host in a backup, when that is to go wrong.
use super::super::host::block;
use super::super::session::Session;
use super::super::stop::{Step, Stop};
use crate::phone::Lie;
use plist::{Dictionary, Value};
use std::io;

/// How often something is said that is said without end: a host that bears it all is no host to trust.
const WITHOUT_END: u64 = 4 << 20;

/// Bytes of a block of a file.
const BLOCK: u32 = 32 << 10;

/// Tells the lie, whatever comes back; then the backup goes on, and is content, if the host is still
/// there.
pub(super) fn tell(session: &mut Session<'_, '_>) -> Step<()> {
    let Some(lie) = session.faults.lie else { return Ok(()) };
    let udid = session.udid.clone();
    let staging = format!("{udid}/Snapshot");
    let staged = |name: &str| format!("{staging}/{name}");
    let host = &mut session.host;
    let told = match lie {
        Lie::UploadsOutside => host.upload_bytes(&staged("../../../etc/passwd"), b"mine"),
        Lie::UploadsAbsolute => host.upload_bytes("/etc/passwd", b"mine"),
        Lie::UploadsUnderNoId => host.upload_bytes(&staged("ab/abxyz"), b"nothing"),
        Lie::MakesFoldersOutside => host.create_folder(&format!("{udid}/../other")),
        Lie::MovesOutside => host.rename([(staged("Status.plist"), "../Status.plist".to_owned())]),
        Lie::RemovesOutside => host.remove(&["..".to_owned()]),
        Lie::ListsOutside => host.list("..").map(drop),
        Lie::MakesFoldersWithoutEnd => {
            let name = |n: u64| format!("{udid}-{:08}-{:06}", n / 1_000_000, n % 1_000_000);
            (0..WITHOUT_END).try_for_each(|n| host.create_folder(&name(n)))
        }
        // A short listing: it is the number that matters.
        Lie::ListsWithoutEnd => (0..WITHOUT_END).try_for_each(|_| host.list(&staging).map(drop)),
        Lie::MovesWithoutEnd => {
            let (mut here, mut there) = (staged("Here.plist"), staged("There.plist"));
            host.upload_bytes(&here, b"restless")?;
            (0..WITHOUT_END).try_for_each(|_| {
                host.rename([(here.clone(), there.clone())])?;
                std::mem::swap(&mut here, &mut there);
                Ok(())
            })
        }
        Lie::UploadsNothingWithoutEnd => {
            (0..WITHOUT_END).try_for_each(|_| raw(session, |wire| wire.number(0)))
        }
        Lie::SendsFilesWithoutEnd => raw(session, |wire| {
            (0..2 * WITHOUT_END).try_for_each(|_| {
                file_begins(wire, &staged("ab/ab00000000000000000000000000000000000000"))?;
                wire.number(1)?;
                wire.bytes(&[block::END])
            })
        }),
        Lie::PingsWithoutEnd => (0..WITHOUT_END).try_for_each(|_| {
            Ok(host.wire.send(vec!["DLMessagePing".into(), "still here".into()])?)
        }),
        Lie::SendsAFileWithoutEnd => raw(session, |wire| {
            file_begins(wire, &staged("ab/ab00000000000000000000000000000000000000"))?;
            for _ in 0..WITHOUT_END {
                wire.number(BLOCK + 1)?;
                wire.bytes(&[block::DATA])?;
                wire.bytes(&[7; BLOCK as usize])?;
            }
            Ok(())
        }),
        Lie::SaysABlockIsHuge => raw(session, |wire| {
            file_begins(wire, &staged("ab/ab00000000000000000000000000000000000000"))?;
            wire.number(u32::MAX)
        }),
        Lie::SaysANameIsHuge => raw(session, |wire| wire.number(u32::MAX - 3)),
        Lie::SaysAMessageIsHuge => raw_message(session, u32::MAX, &[]),
        Lie::SendsABomb => whole(session, &nested(40, 9)),
        Lie::SendsACycle => whole(session, &cycle()),
        Lie::SendsADepth => whole(session, depth().as_bytes()),
        // Told by ending.
        Lie::SaysItIsDone | Lie::SaysItIsFinished => Ok(()),
    };
    match told {
        Err(Stop::Broken(error)) => Err(Stop::Broken(error)),
        Ok(()) | Err(Stop::Refused(_)) => Ok(()),
    }
}

type Wire<'a> = super::super::wire::Wire<'a>;

/// After the announcement of files, what `write` writes.
fn raw(
    session: &mut Session<'_, '_>,
    write: impl FnOnce(&mut Wire<'_>) -> io::Result<()>,
) -> Step<()> {
    let wire = &mut session.host.wire;
    let nothing = Value::Dictionary(Dictionary::new());
    wire.send(vec!["DLMessageUploadFiles".into(), nothing, 0.0.into(), 0u64.into()])?;
    write(wire)?;
    wire.flush()?;
    // Whatever comes, this is no conversation any more.
    wire.receive()?;
    Ok(())
}

fn file_begins(wire: &mut Wire<'_>, path: &str) -> io::Result<()> {
    for text in ["/.b/6/somewhere", path] {
        wire.number(u32::try_from(text.len()).map_err(io::Error::other)?)?;
        wire.bytes(text.as_bytes())?;
    }
    Ok(())
}

fn raw_message(session: &mut Session<'_, '_>, length: u32, bytes: &[u8]) -> Step<()> {
    let wire = &mut session.host.wire;
    wire.number(length)?;
    wire.bytes(bytes)?;
    wire.flush()?;
    wire.receive()?;
    Ok(())
}

/// A whole message of bytes that are no message.
fn whole(session: &mut Session<'_, '_>, bytes: &[u8]) -> Step<()> {
    raw_message(session, u32::try_from(bytes.len()).map_err(io::Error::other)?, bytes)
}

/// A binary list: arrays of references of one byte, each array's own.
fn binary(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut list = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets.extend_from_slice(&u16::try_from(list.len()).unwrap_or(u16::MAX).to_be_bytes());
        list.extend_from_slice(object);
    }
    let table = list.len();
    list.extend_from_slice(&offsets);
    list.extend_from_slice(&[0, 0, 0, 0, 0, 0, 2, 1]);
    for number in [objects.len(), 0, table] {
        list.extend_from_slice(&u64::try_from(number).unwrap_or(0).to_be_bytes());
    }
    list
}

/// Arrays of `width` references to the next, `levels` deep: few bytes, and more values than memory.
fn nested(levels: u8, width: u8) -> Vec<u8> {
    let mut objects: Vec<Vec<u8>> = (1..levels)
        .map(|next| [vec![0xA0 | width], vec![next; usize::from(width)]].concat())
        .collect();
    objects.push(b"\x52DL".to_vec());
    binary(&objects)
}

/// An array that holds itself.
fn cycle() -> Vec<u8> {
    binary(&[vec![0xA1, 0]])
}

/// A million arrays, each in the one before.
fn depth() -> String {
    const LEVELS: usize = 1_000_000;
    let head = "<?xml version=\"1.0\"?><plist version=\"1.0\">";
    format!("{head}{}{}</plist>", "<array>".repeat(LEVELS), "</array>".repeat(LEVELS))
}
