//! The phone speaks: what it said, with contents made up.
use super::{
    AFC_HEADER_LEN, AFC_MAGIC, Channel, MESSAGE_LEN_MAX, PIECE, Played, Player, Stop, packet_body,
};
use crate::plist_stream::encode;
use crate::replay::compare::AnswerTo;
use crate::replay::made_up;
use crate::replay::recording::{Encoding, FileEnd, FileSaid, Said};
use plist::Value;
use serde_json::Value as Json;
use std::io::{Read, Write};

impl Player<'_> {
    fn write(&mut self, bytes: &[u8]) -> Played<()> {
        match &mut self.channel {
            Channel::Plain(wire) => wire.write_all(bytes)?,
            Channel::Secret(tls) => tls.write_all(bytes)?,
            Channel::Closed => return Err(Stop::Closed),
        }
        Ok(())
    }

    pub(super) fn say(&mut self, said: &Said) -> Played<()> {
        match said {
            Said::Message(list, encoding) => self.say_list(list, *encoding)?,
            Said::Unreadable(bytes, hash) => {
                self.write(&length(*bytes))?;
                self.write_drawn(hash, *bytes)?;
            }
            Said::Packet(number, operation, parameters, body) => {
                let body = packet_body(body);
                let whole = (AFC_HEADER_LEN + body.len()) as u64;
                let mut packet = AFC_MAGIC.to_vec();
                for word in [whole, AFC_HEADER_LEN as u64 + parameters, *number, *operation] {
                    packet.extend(word.to_le_bytes());
                }
                packet.extend(body);
                self.write(&packet)?;
            }
            Said::File(file) => self.say_file(file)?,
            Said::FilesEnd => self.write(&[0; 4])?,
            Said::Opaque(bytes, hash) => self.write_drawn(hash, *bytes)?,
            Said::Partial(bytes, of) => {
                let mut part = length(of.saturating_sub(4)).to_vec();
                part.resize(usize::try_from(*bytes).unwrap_or(0).min(MESSAGE_LEN_MAX), 0);
                self.write(&part)?;
            }
        }
        match &mut self.channel {
            Channel::Plain(wire) => wire.flush()?,
            Channel::Secret(tls) => tls.flush()?,
            Channel::Closed => {}
        }
        Ok(())
    }

    fn write_drawn(&mut self, hash: &str, bytes: u64) -> Played<()> {
        let mut drawn = made_up::Drawn::new(hash, bytes);
        let mut piece = vec![0; PIECE];
        loop {
            match drawn.read(&mut piece)? {
                0 => return Ok(()),
                count => self.write(&piece[..count])?,
            }
        }
    }

    fn say_list(&mut self, list: &Json, encoding: Encoding) -> Played<()> {
        self.answer_to = AnswerTo::message(list);
        let mut value = made_up::list(list).ok_or(Stop::Closed)?;
        if self.asks_for_key
            && let Some(fields) = value.as_dictionary_mut()
            && fields.get("Value").is_some_and(|value| value.as_data().is_some())
            && let Some(key) = self.play.trust.public_key()
        {
            fields.insert("Value".to_owned(), Value::Data(key.as_bytes().to_vec()));
        }
        let body = encode(&value, encoding)?;
        self.write(&length(body.len() as u64))?;
        self.write(&body)
    }

    fn say_file(&mut self, said: &FileSaid) -> Played<()> {
        let device_path = format!("/{}", "x".repeat(said.device_path_len.saturating_sub(1)));
        for path in [device_path.as_str(), said.path.as_str()] {
            self.write(&length(path.len() as u64))?;
            self.write(path.as_bytes())?;
        }
        let (mut left, mut content) = made_up::file(said);
        // A list may be longer or shorter than it was; then it comes in one block.
        let as_one = [(u32::try_from(left).unwrap_or(u32::MAX), 1)];
        let blocks = if left == said.bytes { &said.blocks[..] } else { &as_one[..] };
        let runs = blocks.iter().flat_map(|(len, count)| (0..*count).map(move |_| *len));
        let rest = std::iter::repeat(u32::try_from(PIECE).unwrap_or(u32::MAX));
        let mut blocks = runs.chain(rest);
        let mut piece = vec![0; PIECE];
        while let Some(block) = blocks.next().filter(|_| left > 0) {
            self.write(&length(u64::from(block) + 1))?;
            self.write(&[0x0c])?;
            let mut of_block = u64::from(block).min(left);
            left -= of_block;
            while of_block > 0 {
                let count = usize::try_from(of_block).unwrap_or(PIECE).min(PIECE);
                content.read_exact(&mut piece[..count])?;
                self.write(&piece[..count])?;
                of_block -= count as u64;
            }
        }
        match &said.end {
            FileEnd::Whole => self.write(&[0, 0, 0, 1, 0]),
            FileEnd::Cut => Ok(()),
            FileEnd::Failed(code, words) => {
                self.write(&length(words.len() as u64 + 1))?;
                self.write(&[*code])?;
                self.write(words.as_bytes())
            }
        }
    }
}

fn length(bytes: u64) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}
