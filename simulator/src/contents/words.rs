//! Names and words that the contents are made of.
use crate::random::Random;

/// For texts and for names of folders and files.
pub(super) const PLAIN: &[&str] = &[
    "account", "album", "anchor", "archive", "badge", "bridge", "cache", "calendar", "camera",
    "channel", "city", "cloud", "context", "corner", "current", "delta", "device", "draft",
    "engine", "entry", "event", "export", "field", "filter", "folder", "garden", "group",
    "harbour", "history", "index", "island", "journal", "kernel", "label", "lantern", "ledger",
    "library", "market", "media", "message", "meta", "model", "morning", "mountain", "notes",
    "number", "object", "orchard", "page", "paper", "people", "places", "planet", "plugin",
    "queue", "quiet", "record", "region", "river", "route", "season", "session", "settings",
    "shelf", "signal", "sketch", "store", "stream", "summary", "table", "theme", "thread",
    "ticket", "token", "track", "travel", "update", "user", "valley", "vector", "village", "voice",
    "weather", "window",
];

/// Folders that nearly every container has.
pub(super) const CONTAINER: &[&str] = &[
    "Documents",
    "Library",
    "Library/Application Support",
    "Library/Preferences",
    "Library/Cookies",
    "Library/WebKit",
    "Library/Saved Application State",
    "SystemData",
];

/// Names that programs stumble over. All are legal on a phone.
pub(super) const ODD: &[&str] = &[
    "Re\u{301}sume\u{301}.txt",
    "emoji \u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467}.txt",
    "new\nline.txt",
    "quote\"'`.txt",
    "back\\slash.txt",
    "colon:name.txt",
    " leading space",
    "trailing space ",
    "trailing dot.",
    "CON",
    "nul.txt",
    "%2e%2e%2fescape",
    "..two dots",
    "...",
    "-rf",
    "$HOME; `true` & | > x",
    "Icon\r",
    "UPPER.txt",
    "upper.txt",
    "\u{65E5}\u{672C}\u{8A9E}.txt",
    "\u{202E}right to left",
    "question?<>*|.txt",
];

/// One of `words`.
pub(super) fn pick(random: &mut Random, words: &[&'static str]) -> &'static str {
    let bound = u64::try_from(words.len()).unwrap_or(1);
    words[usize::try_from(random.below(bound)).unwrap_or(0)]
}
