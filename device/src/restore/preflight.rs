//! What is known before a device is asked to take a snapshot: whether it can, and will.
use crate::backup_set::SnapshotState;
use crate::error::{DeviceError, DeviceErrorKind};
use crate::lockdown::DeviceInfo;

use super::{Offer, Ready};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// The snapshot lacks something of what it should hold.
    Incomplete,
    /// It is of a backup that was never finished.
    Unfinished,
    /// It is of a newer version of the system than the device has.
    NewerSystem,
    /// Nobody can tell which of the two systems is newer.
    UnknownSystem,
    /// "Find My" is on.
    FindMyOn,
    /// The device does not say whether "Find My" is on.
    FindMyUnknown,
    /// The device has too little room.
    NoRoom,
    /// It has less than the snapshot needs by itself, and may have it all the same.
    RoomTight,
    /// The device does not say how much room it has.
    RoomUnknown,
}

impl FindingKind {
    /// The word for it, in JSON.
    pub fn word(self) -> &'static str {
        match self {
            FindingKind::Incomplete => "incomplete",
            FindingKind::Unfinished => "unfinished",
            FindingKind::NewerSystem => "newer-system",
            FindingKind::UnknownSystem => "unknown-system",
            FindingKind::FindMyOn => "find-my-on",
            FindingKind::FindMyUnknown => "find-my-unknown",
            FindingKind::NoRoom => "no-room",
            FindingKind::RoomTight => "room-tight",
            FindingKind::RoomUnknown => "room-unknown",
        }
    }

    /// What a person can do about it; `None` for what only a warning is for.
    fn refuses(self) -> Option<DeviceErrorKind> {
        match self {
            FindingKind::Incomplete | FindingKind::Unfinished | FindingKind::NewerSystem => {
                Some(DeviceErrorKind::SnapshotUnfit)
            }
            FindingKind::FindMyOn => Some(DeviceErrorKind::FindMyOn),
            FindingKind::NoRoom => Some(DeviceErrorKind::NoSpaceOnDevice),
            FindingKind::UnknownSystem
            | FindingKind::FindMyUnknown
            | FindingKind::RoomTight
            | FindingKind::RoomUnknown => None,
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// In a sentence without a full stop, safe to print.
    pub sentence: String,
}

impl Finding {
    /// Whether it stands in the way.
    pub fn refuses(&self) -> bool {
        self.kind.refuses().is_some()
    }
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preflight {
    /// One after the other, what stands in the way first.
    pub findings: Vec<Finding>,
}

impl Preflight {
    /// Holds a device against what is offered. What is on the device makes room for it when `makes_room`:
    /// it goes, or it is of the same device and is written over.
    pub(super) fn of(
        offer: &Offer,
        info: &DeviceInfo,
        ready: &Ready,
        makes_room: bool,
    ) -> Preflight {
        let mut found = Preflight::default();
        found.snapshot(offer);
        found.system(&offer.product_version, &info.product_version);
        match ready.find_my {
            Some(true) => found.note(
                FindingKind::FindMyOn,
                "\"Find My\" is on; it must be off while the device is restored",
            ),
            Some(false) => {}
            None => found.note(
                FindingKind::FindMyUnknown,
                "the device does not say whether \"Find My\" is on; it refuses if it is",
            ),
        }
        found.room(offer.size().1, ready, makes_room);
        found.findings.sort_by_key(|finding| !finding.refuses());
        found
    }

    /// What stands in the way, all of it, as one error; `None` when nothing does.
    pub fn refusal(&self) -> Option<DeviceError> {
        let mut refusing = self.findings.iter().filter(|finding| finding.refuses());
        let first = refusing.next()?;
        let kind = first.kind.refuses()?;
        let mut sentence = first.sentence.clone();
        for more in refusing {
            sentence = sentence + "; " + &more.sentence;
        }
        Some(DeviceError::new(kind, sentence))
    }

    fn note(&mut self, kind: FindingKind, sentence: impl Into<String>) {
        self.findings.push(Finding { kind, sentence: sentence.into() });
    }

    fn snapshot(&mut self, offer: &Offer) {
        let is_incomplete = FindingKind::Incomplete;
        if !offer.extent.is_complete {
            self.note(is_incomplete, "the snapshot is incomplete: not all the device had is in it");
        }
        if !offer.absent.is_empty() {
            let absent = offer.absent.join(", ");
            self.note(is_incomplete, format!("the snapshot holds no {absent}"));
        }
        if offer.extent.without_bytes > 0 {
            let files = offer.extent.without_bytes;
            self.note(is_incomplete, format!("the snapshot lacks the bytes of {files} files"));
        }
        match &offer.state {
            Some(SnapshotState::Finished) => {}
            Some(state) => self.note(
                FindingKind::Unfinished,
                format!("the snapshot is of a backup that did not end (\"{state}\")"),
            ),
            // Without the file it is absent already.
            None if offer.absent.contains(&"Status.plist") => {}
            None => self.note(
                FindingKind::Unfinished,
                "Status.plist of the snapshot does not say that its backup was finished",
            ),
        }
    }

    fn system(&mut self, snapshots: &str, devices: &str) {
        match (numbers(snapshots), numbers(devices)) {
            (Some(of_snapshot), Some(of_device)) if of_snapshot > of_device => self.note(
                FindingKind::NewerSystem,
                format!(
                    "the snapshot is of version {snapshots} of the system and the device has \
                     {devices}: update the device first"
                ),
            ),
            (Some(_), Some(_)) => {}
            (of_snapshot, _) => {
                let (whose, said) = match of_snapshot {
                    None => ("the snapshot", snapshots),
                    Some(_) => ("the device", devices),
                };
                self.note(
                    FindingKind::UnknownSystem,
                    format!(
                        "{whose} says \"{}\" of its system: nobody can tell which is newer",
                        said.chars().take(40).collect::<String>().escape_debug()
                    ),
                );
            }
        }
    }

    fn room(&mut self, wanted: u64, ready: &Ready, makes_room: bool) {
        match (ready.free_bytes, ready.capacity_bytes) {
            (_, Some(capacity)) if capacity < wanted => self.note(
                FindingKind::NoRoom,
                format!("the snapshot has {wanted} bytes and the device holds {capacity} at most"),
            ),
            (Some(free), _) if free < wanted && makes_room => self.note(
                FindingKind::RoomTight,
                format!(
                    "the snapshot has {wanted} bytes and the device has room for {free} now; what \
                     is on it makes room, and if that is too little it refuses"
                ),
            ),
            (Some(free), _) if free < wanted => self.note(
                FindingKind::NoRoom,
                format!("the snapshot has {wanted} bytes and the device has room for {free}"),
            ),
            (Some(_), _) => {}
            (None, _) => self.note(
                FindingKind::RoomUnknown,
                format!("the device does not say whether it has room for {wanted} bytes"),
            ),
        }
    }
}

/// A version as numbers, without the zeros at its end: 26.0 is 26.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let mut numbers = version
        .split('.')
        .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten())
        .collect::<Option<Vec<u32>>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    (!numbers.is_empty()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let of = |snapshots: &str, devices: &str| {
            let mut found = Preflight::default();
            found.system(snapshots, devices);
            found.findings.first().map(|finding| finding.kind)
        };
        for (older, newer) in
            [("9.3.5", "10.0"), ("17.5", "17.5.1"), ("17.9", "17.10"), ("26", "26.1")]
        {
            assert_eq!(of(older, newer), None, "{older} {newer}");
            assert_eq!(of(newer, older), Some(FindingKind::NewerSystem), "{newer} {older}");
        }
        assert_eq!((of("26.0", "26"), of("26", "26.0.0")), (None, None));
        for odd in ["", "x", "17.", "1.-2", "99999999999"] {
            assert_eq!(of(odd, "17.5"), Some(FindingKind::UnknownSystem), "{odd}");
            assert_eq!(of("17.5", odd), Some(FindingKind::UnknownSystem), "{odd}");
        }
    }

    #[test]
    fn room_that_is_not_known_is_only_warned_of() {
        let of = |free| kind_of_room(free, None, false);
        assert_eq!(of(Some(999)), Some(FindingKind::NoRoom));
        assert_eq!((of(Some(1000)), of(None)), (None, Some(FindingKind::RoomUnknown)));
        assert!(FindingKind::RoomUnknown.refuses().is_none());
    }

    /// What is found of a device that shall take 1000 bytes.
    fn kind_of_room(
        free_bytes: Option<u64>,
        capacity_bytes: Option<u64>,
        makes_room: bool,
    ) -> Option<FindingKind> {
        let mut found = Preflight::default();
        found.room(1000, &Ready { free_bytes, capacity_bytes, find_my: None }, makes_room);
        found.findings.first().map(|finding| finding.kind)
    }

    #[test]
    fn what_goes_makes_room_for_what_comes_but_a_device_holds_no_more_than_it_can() {
        let of = |free, capacity| kind_of_room(Some(free), Some(capacity), true);
        assert_eq!(of(999, 1000), Some(FindingKind::RoomTight));
        assert!(FindingKind::RoomTight.refuses().is_none());
        assert_eq!(of(999, 999), Some(FindingKind::NoRoom));
        assert_eq!(of(1000, 1000), None);
    }

    #[test]
    fn all_that_stands_in_the_way_is_told_at_once() {
        let mut found = Preflight::default();
        found.system("18.0", "17.5");
        let ready = Ready { free_bytes: Some(1), capacity_bytes: None, find_my: None };
        found.room(10, &ready, false);
        let said = found.refusal().unwrap();
        assert_eq!(said.kind(), DeviceErrorKind::SnapshotUnfit);
        assert!(
            said.to_string().contains("update the device") && said.to_string().contains("room")
        );
    }
}
