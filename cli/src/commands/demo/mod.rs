//! `devsnap demo`: two days of a phone in software, kept and brought back.
//!
//! What a person does in their first days, by the same calls that the other commands make: a
//! repository, a device that comes to trust this computer, a full and an incremental snapshot, a
//! restore of both. Only the phone is not real: it is `devsnap-simulator`, reached as usbmuxd is,
//! over TCP. It keeps the truth about itself, and by that everything is compared in the end.
//!
//! Nothing that belongs to the person takes part: no repository, cache, device or variable.
mod desk;
mod phone;
mod place;
mod proof;
mod story;

use super::Session;
use crate::args::DemoArgs;
use crate::failure::{ExitCode, Failure};
use desk::Desk;
use jiff::Timestamp;
use phone::DemoPhone;
use place::Place;
use std::time::Instant;
use story::Story;

/// A day in seconds.
const DAY: i64 = 86_400;

/// The days, as the folders are named that they are restored to.
const DAYS: [&str; 2] = ["day-1", "day-2"];

pub(super) fn run(session: &Session<'_>, args: &DemoArgs) -> Result<ExitCode, Failure> {
    let place = Place::prepare(args.dir.as_deref())?;
    match tell(session, &place) {
        Ok(()) => Ok(ExitCode::Done),
        Err(failure) if failure.is_silent() => Err(failure),
        Err(_) if session.interrupt.is_raised() => {
            let stopped = Failure::new(ExitCode::Interrupted, "the demo was stopped");
            Err(stopped.hint(place.what_is_left()))
        }
        Err(failure) => Err(failure.hint(place.what_is_left())),
    }
}

fn tell(session: &Session<'_>, place: &Place) -> Result<(), Failure> {
    let began = Instant::now();
    let story = Story { report: session.report };
    story.begin()?;
    let phone = DemoPhone::switch_on(&place.at("phone"))?;
    session.interrupt.check()?;
    story.phone(phone.identity(), &phone.truth()?)?;
    let desk = Desk::set_up(session, place)?;

    // A day apart, so that each is found by its date.
    let now = Timestamp::now();
    let yesterday = Timestamp::from_second(now.as_second() - DAY).unwrap_or(now);
    let first = desk.back_up(&phone, yesterday)?;
    story.full_backup(&first)?;
    let changes = phone.pass_a_day()?;
    story.day(&changes)?;
    let second = desk.back_up(&phone, now)?;
    story.incremental_backup(&second)?;

    let mut proved = proof::Proved::default();
    for (day, kept) in DAYS.into_iter().zip([&first, &second]) {
        let folder = place.at(day);
        let equal = proof::restored_and_equal(session, desk.repository(), kept, &folder)?;
        story.restored(day, kept, equal)?;
        proved.add(equal);
    }
    story.end(&proved, began.elapsed(), place.kept())
}
