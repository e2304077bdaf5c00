//! Contents of phones, from the command line.
use crate::args::{Day, Generate, Points, TruthOf};
use devsnap_simulator::contents::truth::{backup_path, backups, newest_point, point_path};
use devsnap_simulator::contents::{Contents, Kind, Truth};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Puts contents on a phone that has none.
///
/// # Errors
///
/// It has some, or the folder cannot be written.
pub(crate) fn generate(arguments: &Generate) -> io::Result<()> {
    let folder = arguments.of.folder().map_err(io::Error::other)?;
    if newest_point(&folder)?.is_some() {
        let reason = format!("there is a phone in {} already", folder.display());
        return Err(io::Error::new(ErrorKind::AlreadyExists, reason));
    }
    let mut contents = Contents::generate(arguments.seed, &arguments.proportions());
    if let Some(bytes) = arguments.messages {
        contents.set_messages(bytes);
    }
    contents.save(&folder)?;
    tell_of(&contents, &folder)
}

/// Lets days pass.
///
/// # Errors
///
/// There is no phone, or its folder cannot be written.
pub(crate) fn day(arguments: &Day) -> io::Result<()> {
    let folder = arguments.of.folder().map_err(io::Error::other)?;
    let mut contents = Contents::open(&folder)?;
    for number in 0..arguments.days {
        let seed = arguments.seed.unwrap_or_else(|| u64::from(contents.point()) + 1);
        let seed = seed + u64::from(number) * u64::from(arguments.seed.is_some());
        match arguments.openly {
            true => contents.mutate_openly(seed),
            false => contents.mutate(seed),
        }
        contents.save(&folder)?;
        tell_of(&contents, &folder)?;
    }
    Ok(())
}

fn tell_of(contents: &Contents, folder: &Path) -> io::Result<()> {
    let files = contents.items().filter(|item| item.kind == Kind::File);
    let (count, bytes) = files
        .fold((0_u64, 0_u64), |(count, bytes), item| (count + 1, bytes.saturating_add(item.size)));
    let path = point_path(folder, contents.point());
    let point = contents.point();
    say(&format!("point {point}: {count} files, {bytes} bytes; the truth is {}\n", path.display()))
}

/// Lists points in time and backups.
///
/// # Errors
///
/// There is no phone, or its folder cannot be read.
pub(crate) fn points(arguments: &Points) -> io::Result<()> {
    let folder = arguments.of.folder().map_err(io::Error::other)?;
    let newest = newest_point(&folder)?
        .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no phone in this folder"))?;
    for point in 0..=newest {
        let path = point_path(&folder, point);
        if path.is_file() {
            say(&format!("point   {point:<11} {}\n", path.display()))?;
        }
    }
    for date in backups(&folder)? {
        let path = backup_path(&folder, date);
        let backup = Truth::read(&path)?.backup;
        let words = backup.map_or_else(String::new, |backup| {
            let full = if backup.full { "full" } else { "incremental" };
            let encrypted = if backup.encrypted { ", encrypted" } else { "" };
            format!("{full}{encrypted}, {} blobs sent", backup.sent.len())
        });
        say(&format!("backup  {date:<11} {}  ({words})\n", path.display()))?;
    }
    Ok(())
}

/// Writes a truth as JSON.
///
/// # Errors
///
/// There is none of that number or date; the output cannot be written.
pub(crate) fn truth(arguments: &TruthOf) -> io::Result<()> {
    let folder = arguments.of.folder().map_err(io::Error::other)?;
    let path = match (&arguments.backup, arguments.point) {
        (Some(date), _) => backup_path(&folder, date_of(&folder, date)?),
        (None, Some(point)) => point_path(&folder, point),
        (None, None) => match newest_point(&folder)? {
            Some(point) => point_path(&folder, point),
            None => return Err(io::Error::new(ErrorKind::NotFound, "no phone in this folder")),
        },
    };
    let json = fs::read(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    match &arguments.output {
        Some(file) => fs::write(file, &json),
        None => {
            io::stdout().write_all(&json)?;
            say("\n")
        }
    }
}

fn date_of(folder: &Path, word: &str) -> io::Result<i64> {
    let none = || io::Error::new(ErrorKind::NotFound, "there is no such backup of this phone");
    match word {
        "latest" => backups(folder)?.last().copied().ok_or_else(none),
        date => date.parse().map_err(|_| none()),
    }
}

fn say(line: &str) -> io::Result<()> {
    io::stdout().write_all(line.as_bytes())
}
