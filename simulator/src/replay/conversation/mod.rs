//! One recorded connection, with a host at its other end: the phone's part is said, the host's part
//! is heard and compared.
mod hear;
mod say;

use super::compare::{AnswerTo, Difference};
use super::desk::Play;
use super::made_up;
use super::place_in_words;
use super::progress::Divergence;
use super::recording::{Side, Step};
use crate::tls::Tls;
use crate::wire::Wire;
use serde_json::Value as Json;
use std::io;

/// The longest message or packet of a host, in bytes.
const MESSAGE_LEN_MAX: usize = 64 << 20;
/// Pieces in which contents are made up and compared.
const PIECE: usize = 32 << 10;
const AFC_MAGIC: &[u8; 8] = b"CFA6LPAA";
const AFC_HEADER_LEN: usize = 40;

/// Why a connection is not played on.
enum Stop {
    /// Something else has ended the play.
    Over,
    /// The host departs from the recording.
    Differs(Difference),
    /// The host has closed the connection, or broke it.
    Closed,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Stop::Closed
    }
}

type Played<T> = Result<T, Stop>;

enum Channel {
    Plain(Wire),
    Secret(Box<Tls<Wire>>),
    Closed,
}

/// Plays the connection of this number to its end.
pub(super) fn play(play: &Play, number: usize, wire: Wire) {
    let mut player = Player {
        play,
        channel: Channel::Plain(wire),
        answer_to: AnswerTo::default(),
        asks_for_key: false,
    };
    let connection = &play.recording.connections[number].1;
    for (at, (place, step)) in connection.steps.iter().enumerate() {
        let difference = match player.step(*place, step) {
            Ok(()) => {
                play.progress.done(*place);
                continue;
            }
            Err(Stop::Over) => return,
            Err(Stop::Differs(difference)) => difference,
            Err(Stop::Closed) => {
                let rest = &connection.steps[at..];
                let host_speaks = |(_, step): &(usize, Step)| {
                    matches!(step, Step::Said(Side::Host, _) | Step::Secured(true))
                };
                if !rest.iter().any(host_speaks) {
                    // It had heard enough. What the phone said last crossed its leaving.
                    rest.iter().for_each(|(place, _)| play.progress.done(*place));
                    return;
                }
                Difference {
                    at: String::new(),
                    recorded: play.recording.line(*place),
                    now: "the host closes the connection".to_owned(),
                }
            }
        };
        let connection = place_in_words(&play.recording, number);
        play.progress.diverges(Divergence::of(difference, place + 1, connection));
        return;
    }
}

struct Player<'p> {
    play: &'p Play,
    channel: Channel,
    /// What the phone has said last.
    answer_to: AnswerTo,
    /// The host has asked lockdown for the phone's key.
    asks_for_key: bool,
}

impl Player<'_> {
    fn step(&mut self, place: usize, step: &Step) -> Played<()> {
        match step {
            Step::Secured(true) => self.secure(),
            Step::Secured(false) | Step::Closed(Side::Device) => {
                if !self.play.progress.waits_for(place) {
                    return Err(Stop::Over);
                }
                self.channel = Channel::Closed;
                Ok(())
            }
            Step::Closed(Side::Host) => self.hear_the_end(),
            Step::Said(Side::Device, said) => {
                if !self.play.progress.waits_for(place) {
                    return Err(Stop::Over);
                }
                self.say(said)
            }
            Step::Said(Side::Host, said) => self.hear(said),
        }
    }

    fn secure(&mut self) -> Played<()> {
        match std::mem::replace(&mut self.channel, Channel::Closed) {
            Channel::Plain(wire) => {
                let tls = self.play.trust.trusted().accept(wire).map_err(|error| {
                    Stop::Differs(Difference {
                        at: String::new(),
                        recorded: "a handshake that succeeds".to_owned(),
                        now: format!("a handshake that fails: {error}"),
                    })
                })?;
                self.channel = Channel::Secret(Box::new(tls));
                Ok(())
            }
            other => {
                self.channel = other;
                Ok(())
            }
        }
    }
}

/// The bytes of a packet after its header.
fn packet_body(body: &Json) -> Vec<u8> {
    if let Some(bytes) = body.get("data").and_then(Json::as_u64) {
        return made_up::data(body.get("hash").and_then(Json::as_str).unwrap_or_default(), bytes);
    }
    let mut bytes = Vec::new();
    for number in body.get("numbers").and_then(Json::as_array).into_iter().flatten() {
        bytes.extend(number.as_u64().unwrap_or_default().to_le_bytes());
    }
    let info = body.get("info").and_then(Json::as_array).into_iter().flatten();
    let words = info.flat_map(|pair| pair.as_array().into_iter().flatten());
    for word in words.chain(body.get("path")).filter_map(Json::as_str) {
        bytes.extend(word.as_bytes());
        bytes.push(0);
    }
    bytes
}
