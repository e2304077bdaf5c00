//! What a day does to a phone.
use super::body::{Body, Shape};
use super::item::{Item, Kind};
use super::{Contents, MESSAGES};
use crate::random::Random;

/// A day in seconds.
const DAY: i64 = 86_400;

type Key = (String, String);

/// Whether a file's time tells that the file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traces {
    /// That of every file does.
    All,
    /// That of one file does not.
    OneHidden,
}

/// Changes `contents` as a day of use does: databases change some pages in place and some grow,
/// photos come, files are changed, deleted, renamed; one is touched (another time, the same bytes),
/// and one may be changed without a trace in its time, which no incremental backup can see.
pub(super) fn pass(contents: &mut Contents, seed: u64, traces: Traces) {
    contents.clock += DAY;
    let mut day = Day { random: Random::split(seed, "day"), now: contents.clock };
    let mut databases = day.shuffled(keys(contents, |shape| shape == Shape::Database));
    // No day without messages.
    databases.sort_by_key(|(domain, path)| (domain.as_str(), path.as_str()) != MESSAGES);
    let half = databases.len().div_ceil(2);
    for key in &databases[..half] {
        day.change(contents, key, true);
    }
    day.photos(contents);
    let mut others = day.shuffled(keys(contents, |shape| shape != Shape::Database));
    let some = (others.len() / 100).max(1);
    let mut next = |count: usize| others.split_off(others.len().saturating_sub(count));
    for key in next(some) {
        day.change(contents, &key, true);
    }
    for key in next(some.div_ceil(2)) {
        contents.remove(&key.0, &key.1);
    }
    for key in next(some.div_ceil(2)) {
        day.rename(contents, &key);
    }
    for key in next(1) {
        if let Some(item) = contents.get_mut(&key.0, &key.1) {
            day.stamp(item);
        }
    }
    for key in next(1) {
        day.change(contents, &key, traces == Traces::All);
    }
}

/// Files of certain shapes that may be changed: neither empty, nor linked more than once.
fn keys(contents: &Contents, of: impl Fn(Shape) -> bool) -> Vec<Key> {
    let plain = |item: &&Item| {
        let shape = item.body.as_ref().map(|body| body.shape);
        item.kind == Kind::File && item.size > 0 && shape.is_some_and(&of)
    };
    contents
        .items()
        .filter(plain)
        .filter(|item| !item.relative_path.contains("hard links/"))
        .map(|item| (item.domain.clone(), item.relative_path.clone()))
        .collect()
}

struct Day {
    random: Random,
    now: i64,
}

impl Day {
    fn shuffled(&mut self, mut keys: Vec<Key>) -> Vec<Key> {
        self.random.shuffle(&mut keys);
        keys
    }

    /// Some moment of the day.
    fn stamp(&mut self, item: &mut Item) {
        let ago = i64::try_from(self.random.below(40_000)).unwrap_or(0);
        item.mtime = self.now - ago;
        item.ctime = item.mtime;
    }

    fn change(&mut self, contents: &mut Contents, key: &Key, leaves_a_trace: bool) {
        let grows = leaves_a_trace && self.random.one_in(4);
        let more = 1 + self.random.below(20_000);
        let Some(item) = contents.get_mut(&key.0, &key.1) else { return };
        let Some(body) = &item.body else { return };
        let changed = if grows { body.changed().grown(more) } else { body.changed() };
        item.set_body(changed);
        if leaves_a_trace {
            self.stamp(item);
        }
    }

    fn photos(&mut self, contents: &mut Contents) {
        let photos: Vec<u64> = contents
            .items()
            .filter(|item| item.relative_path.starts_with("Media/DCIM/"))
            .filter(|item| item.kind == Kind::File)
            .map(|item| item.size)
            .collect();
        let count = u64::try_from(photos.len()).unwrap_or(0);
        let size = photos.iter().sum::<u64>() / count.max(1);
        contents.folder_for_photos(self.now);
        for number in 0..(count / 50).max(1) {
            let path = format!("Media/DCIM/199APPLE/IMG_{}_{number}.HEIC", self.now);
            let body = Body::new(
                Shape::Noise,
                self.random.next(),
                size / 2 + self.random.below(size.max(1)),
            );
            contents.new_file("CameraRollDomain", &path, body, self.now);
        }
    }

    /// The same file under another name in the same folder.
    fn rename(&mut self, contents: &mut Contents, key: &Key) {
        let Some(mut item) = contents.remove(&key.0, &key.1) else { return };
        let (above, _) = item.relative_path.rsplit_once('/').unwrap_or(("", ""));
        let separator = if above.is_empty() { "" } else { "/" };
        item.relative_path =
            format!("{above}{separator}renamed {:08x}", self.random.below(1 << 32));
        item.ctime = self.now;
        contents.put(item);
    }
}
