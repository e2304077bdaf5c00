//! One TCP connection, made unkind: bytes go out in pieces that no reader can count on.
//!
//! One thing is spared, since libimobiledevice counts on it: it reads the head of a message
//! (usbmuxd's 16 bytes, a length's 4, AFC's 40) with one call, and gives up when less comes. So the
//! head of each write leaves in one piece, but inside TLS, where nobody sees it, and in weather that
//! is cruel.
//!
//! What is written is sometimes kept back until the next write, so that a message and what follows
//! it leave together, and sometimes leaves in crumbs. It is never kept back while the phone waits
//! for the host, so nothing deadlocks that would not on a real phone.
use crate::connection::Connection;
use crate::phone::CutAt;
use crate::random::Random;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

/// More than this is never kept back.
const KEPT_BACK_MAX: usize = 16 * 1024;
/// Only so many bytes of one write leave one by one: the rest would make no test better.
const SINGLE_BYTES_MAX: usize = 48;
/// The longest head of a message: AFC's.
const HEAD_BYTES: usize = 40;
/// A pause long enough for a reader on this machine to see a short read.
const CRUMB_PAUSE: Duration = Duration::from_micros(60);
/// How long a closing connection waits for what the host still says, and how often it reads that.
const LINGER: Duration = Duration::from_millis(100);
const LINGER_READS_MAX: usize = 64;

/// How bytes leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weather {
    /// In pieces drawn by lot, heads of messages apart.
    #[default]
    Unkind,
    /// In pieces drawn by lot, anywhere.
    Cruel,
    /// As they are written.
    Fair,
}

/// What a connection does to the bytes on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions {
    /// How bytes leave.
    pub weather: Weather,
    /// The byte at which it breaks off ([`CutAt::SentByte`] or [`CutAt::ReceivedByte`]).
    pub cut: Option<CutAt>,
    /// Bytes per second at most, to the host.
    pub bytes_per_second: Option<u64>,
}

/// A TCP connection in its weather.
pub struct Wire {
    stream: TcpStream,
    random: Random,
    conditions: Conditions,
    kept_back: Vec<u8>,
    /// Where in `kept_back` the writes begin.
    heads: Vec<usize>,
    carries_tls: bool,
    sent: u64,
    received: u64,
}

impl Wire {
    /// `stream` from now on under `conditions`; bytes are counted from here.
    pub fn new(stream: TcpStream, random: Random, conditions: Conditions) -> Wire {
        Wire {
            stream,
            random,
            conditions,
            kept_back: Vec::new(),
            heads: Vec::new(),
            carries_tls: false,
            sent: 0,
            received: 0,
        }
    }

    /// Other conditions from now on; the count of bytes begins anew. What was kept back leaves
    /// under the new conditions, and is not counted.
    #[must_use]
    pub fn under(mut self, mut conditions: Conditions) -> Wire {
        if let Some(CutAt::SentByte(limit)) = &mut conditions.cut {
            *limit = limit.saturating_add(self.kept_back.len() as u64);
        }
        self.conditions = conditions;
        (self.sent, self.received) = (0, 0);
        self
    }

    fn break_off(&mut self) -> io::Error {
        // Fails only when it is closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
        io::Error::new(ErrorKind::ConnectionAborted, "cut, as was asked for")
    }

    fn send_kept_back(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.kept_back);
        let mut heads = std::mem::take(&mut self.heads);
        if self.carries_tls || self.conditions.weather == Weather::Cruel {
            heads.clear();
        }
        let mut end = bytes.len();
        if let Some(CutAt::SentByte(limit)) = self.conditions.cut {
            end = end.min(to_usize(limit.saturating_sub(self.sent)));
        }
        let step = self.conditions.bytes_per_second.map_or(usize::MAX, pace_step);
        let mut start = 0;
        while start < end {
            let next = start.saturating_add(step).min(end);
            let places = self.places_to_tear(next - start);
            self.send_torn(&bytes[start..next], places, |at| is_in_a_head(&heads, start + at))?;
            if let Some(rate) = self.conditions.bytes_per_second {
                thread::sleep(Duration::from_micros(
                    (next - start) as u64 * 1_000_000 / rate.max(1),
                ));
            }
            start = next;
        }
        if end < bytes.len() { Err(self.break_off()) } else { Ok(()) }
    }

    /// Where to tear `length` bytes apart, by lot, in order.
    fn places_to_tear(&mut self, length: usize) -> Vec<usize> {
        if self.conditions.weather == Weather::Fair || length < 2 {
            return Vec::new();
        }
        let random = &mut self.random;
        let mut somewhere = || to_usize(1 + random.below(length as u64 - 1));
        let mut places = match somewhere() % 8 {
            // Nowhere.
            0..=2 => Vec::new(),
            // Into crumbs, then the rest.
            3 => {
                let start = somewhere();
                let crumbs = 1 + somewhere() % SINGLE_BYTES_MAX;
                (start..length.min(start + crumbs)).collect()
            }
            // In a length prefix.
            4 => vec![1 + somewhere() % 3],
            // Before the last byte.
            5 => vec![length - 1],
            // Into a few pieces.
            _ => vec![somewhere(), somewhere(), somewhere()],
        };
        places.retain(|place| *place < length);
        places.sort_unstable();
        places.dedup();
        places
    }

    fn send_torn(
        &mut self,
        bytes: &[u8],
        places: Vec<usize>,
        is_spared: impl Fn(usize) -> bool,
    ) -> io::Result<()> {
        let mut start = 0;
        for place in places.into_iter().filter(|place| !is_spared(*place)) {
            self.stream.write_all(&bytes[start..place])?;
            thread::sleep(CRUMB_PAUSE);
            start = place;
        }
        self.stream.write_all(&bytes[start..])?;
        self.sent += bytes.len() as u64;
        Ok(())
    }
}

/// Whether a tear at `place` would go through the head of a write.
fn is_in_a_head(heads: &[usize], place: usize) -> bool {
    heads.iter().any(|head| (head + 1..head + HEAD_BYTES).contains(&place))
}

/// A tenth of a second's bytes.
fn pace_step(bytes_per_second: u64) -> usize {
    to_usize((bytes_per_second / 10).max(1))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.send_kept_back()?;
        let mut most = buffer.len();
        if let Some(CutAt::ReceivedByte(limit)) = self.conditions.cut {
            let left = limit.saturating_sub(self.received);
            if left == 0 {
                return Err(self.break_off());
            }
            most = most.min(to_usize(left));
        }
        let count = self.stream.read(&mut buffer[..most])?;
        self.received += count as u64;
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heads.push(self.kept_back.len());
        self.kept_back.extend_from_slice(bytes);
        let keep = self.conditions.weather != Weather::Fair && self.random.one_in(2);
        if !keep || self.kept_back.len() > KEPT_BACK_MAX {
            self.send_kept_back()?;
        }
        Ok(bytes.len())
    }

    /// Sends what was kept back. A service need not call it before it reads.
    fn flush(&mut self) -> io::Result<()> {
        self.send_kept_back()
    }
}

impl Connection for Wire {
    fn set_read_timeout(&mut self, wait_at_most: Option<Duration>) -> io::Result<()> {
        // Zero would mean an error here, and "for ever" to the system.
        let wait_at_most = wait_at_most.map(|wait| wait.max(Duration::from_millis(1)));
        self.stream.set_read_timeout(wait_at_most)
    }

    fn set_carries_tls(&mut self, carries_tls: bool) {
        self.carries_tls = carries_tls;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A socket closed on unread bytes resets the connection, and what the host has not read yet
        // is lost with it; usbmuxd hands on what the phone said last. The host may have gone: nobody
        // is left to be told.
        let _ = self.send_kept_back();
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(LINGER));
        let mut buffer = [0; 4096];
        for _ in 0..LINGER_READS_MAX {
            if !matches!(self.stream.read(&mut buffer), Ok(count) if count > 0) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A wire to a thread that reads all and notes the sizes of its reads.
    fn read_by_a_host(
        conditions: Conditions,
        talk: impl FnOnce(&mut Wire) -> io::Result<()>,
    ) -> (io::Result<()>, Vec<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut host = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        let reader = thread::spawn(move || {
            let (mut reads, mut buffer) = (Vec::new(), [0; 65536]);
            while let Ok(count) = host.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                reads.push(buffer[..count].to_vec());
            }
            reads
        });
        let mut wire = Wire::new(stream, Random::new(1), conditions);
        let result = talk(&mut wire);
        drop(wire);
        (result, reader.join().unwrap())
    }

    #[test]
    fn unkind_weather_spares_heads_and_cruel_weather_spares_nothing() {
        let torn_heads = |weather| {
            let conditions = Conditions { weather, ..Conditions::default() };
            let (result, reads) = read_by_a_host(conditions, |wire| {
                (0..300).try_for_each(|_| wire.write_all(&[7; 100]))
            });
            result.unwrap();
            let ends = reads.iter().scan(0, |end, read| {
                *end += read.len();
                Some(*end)
            });
            ends.filter(|end| (1..HEAD_BYTES).contains(&(end % 100))).count()
        };

        assert_eq!(torn_heads(Weather::Unkind), 0);
        assert_ne!(torn_heads(Weather::Cruel), 0);
    }

    #[test]
    fn unkind_weather_tears_messages_apart_and_joins_them_and_loses_nothing() {
        let messages: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; 100]).collect();

        let (result, reads) = read_by_a_host(Conditions::default(), |wire| {
            messages.iter().try_for_each(|message| wire.write_all(message))
        });

        result.unwrap();
        assert_eq!(reads.concat(), messages.concat());
        assert!(reads.iter().any(|read| read.len() < 100), "nothing was torn apart");
        assert!(reads.iter().any(|read| read.len() > 100), "nothing was joined");
    }

    #[test]
    fn a_cut_comes_after_exactly_the_bytes_that_were_asked_for() {
        let conditions = Conditions { cut: Some(CutAt::SentByte(250)), ..Conditions::default() };

        let (result, reads) = read_by_a_host(conditions, |wire| {
            (0..10).try_for_each(|_| wire.write_all(&[7; 100])).and_then(|()| wire.flush())
        });

        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        assert_eq!(reads.concat().len(), 250);
    }
}
