//! One connection to lockdownd: a request, an answer, in plaintext until a session begins.
use super::ports::Waiting;
use super::{Lockdown, SERVICE, values};
use crate::connection::Connection;
use crate::phone::Mishaps;
use crate::plist_stream::{Encoding, Incoming, send};
use crate::services::{self, Link};
use crate::tls::{Tls, Trusted};
use crate::transcript::{Call, Overheard};
use plist::{Dictionary, Value};
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

/// A connection in plaintext, or inside TLS as long as a session lasts.
enum Channel<C: Connection> {
    Plain(C),
    Secret(Box<Tls<C>>),
}

impl<C: Connection> Read for Channel<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(connection) => connection.read(buffer),
            Channel::Secret(tls) => tls.read(buffer),
        }
    }
}

impl<C: Connection> Write for Channel<C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(connection) => connection.write(bytes),
            Channel::Secret(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Channel::Plain(connection) => connection.flush(),
            Channel::Secret(tls) => tls.flush(),
        }
    }
}

impl<C: Connection> Connection for Channel<C> {
    fn set_read_timeout(&mut self, wait_at_most: Option<Duration>) -> io::Result<()> {
        match self {
            Channel::Plain(connection) => connection.set_read_timeout(wait_at_most),
            Channel::Secret(tls) => tls.set_read_timeout(wait_at_most),
        }
    }
}

/// What becomes of the connection once the answer is out.
enum Then {
    GoOn,
    StartTls(Trusted),
    EndTls,
    Close,
}

/// An answer without the request's name.
type Answer = Result<(Dictionary, Then), String>;

/// A session that has begun.
struct Active {
    id: String,
    trusted: Trusted,
}

struct Session<'a> {
    lockdown: &'a Lockdown,
    link: &'a Link,
    active: Option<Active>,
}

/// Serves `connection` until the host leaves or says nothing for too long.
pub(super) fn serve<C: Connection>(
    lockdown: &Lockdown,
    connection: C,
    link: &Link,
    call: &Call,
) -> io::Result<()> {
    let mut session = Session { lockdown, link, active: None };
    let mut channel = Channel::Plain(connection);
    let mut incoming = Incoming::default();
    let mut mishaps = Mishaps::of(&lockdown.phone, SERVICE);
    loop {
        channel.set_read_timeout(Some(lockdown.options.idle))?;
        let request = match incoming.receive(&mut Overheard::new(&mut channel, call)) {
            Ok(Some(request)) => request.into_dictionary().unwrap_or_default(),
            Ok(None) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (reply, then) = session.reply(&request)?;
        mishaps.strike()?;
        send(&mut Overheard::new(&mut channel, call), reply, Encoding::Xml)?;
        channel = match (then, channel) {
            (Then::StartTls(trusted), Channel::Plain(connection)) => {
                Channel::Secret(Box::new(trusted.accept(connection)?))
            }
            (Then::EndTls, Channel::Secret(tls)) => Channel::Plain(tls.end()?),
            (Then::Close, _) => return Ok(()),
            (_, channel) => channel,
        };
    }
}

impl Session<'_> {
    fn reply(&mut self, request: &Dictionary) -> io::Result<(Dictionary, Then)> {
        let name = text(request, "Request").unwrap_or_default();
        let answer = match self.lockdown.refusal(name) {
            Some(error) => Err(error),
            None => self.answer(name, request)?,
        };
        let (mut reply, then) = answer.unwrap_or_else(|error| {
            (Dictionary::from_iter([("Error".to_owned(), Value::from(error))]), Then::GoOn)
        });
        reply.insert("Request".into(), name.into());
        Ok((reply, then))
    }

    fn answer(&mut self, name: &str, request: &Dictionary) -> io::Result<Answer> {
        match name {
            "QueryType" => Ok(with("Type", SERVICE)),
            "GetValue" => self.get_value(request),
            "SetValue" => Ok(self.set_value(request)),
            "RemoveValue" => Ok(self.remove_value(request)),
            "Pair" => self.pair(request),
            "Unpair" => self.unpair(request),
            "StartSession" => self.start_session(request),
            "StopSession" => Ok(self.stop_session(request)),
            "StartService" => Ok(self.start_service(request)),
            "Goodbye" => Ok(Ok((Dictionary::new(), Then::Close))),
            "" => Ok(refuse("InvalidRequest")),
            _ => Ok(refuse("UnknownRequest")),
        }
    }

    fn get_value(&self, request: &Dictionary) -> io::Result<Answer> {
        let domain = text(request, "Domain").unwrap_or_default();
        let mut values = self.lockdown.domain(domain)?;
        let is_known =
            |key: &str| self.lockdown.domain(domain).is_ok_and(|all| all.contains_key(key));
        if self.active.is_none() {
            values = if domain.is_empty() { values::public(values) } else { Dictionary::new() };
        }
        let mut reply = Dictionary::new();
        if !domain.is_empty() {
            reply.insert("Domain".into(), domain.into());
        }
        let value = match text(request, "Key") {
            Some(key) => {
                reply.insert("Key".into(), key.into());
                match values.remove(key) {
                    Some(value) => value,
                    None if self.active.is_none() && is_known(key) => {
                        return Ok(refuse("GetProhibited"));
                    }
                    None => return Ok(refuse("MissingValue")),
                }
            }
            None if values.is_empty() && self.active.is_none() => {
                return Ok(refuse("GetProhibited"));
            }
            None => Value::Dictionary(values),
        };
        reply.insert("Value".into(), value);
        Ok(Ok((reply, Then::GoOn)))
    }

    fn set_value(&self, request: &Dictionary) -> Answer {
        let domain = text(request, "Domain").unwrap_or_default();
        let Some(key) = text(request, "Key") else { return refuse("MissingKey") };
        let Some(value) = request.get("Value") else { return refuse("MissingValue") };
        // usbmuxd says so before it pairs (protocol.md 3.4); all else needs trust.
        if self.active.is_none() && key != "UntrustedHostBUID" {
            return refuse("SetProhibited");
        }
        match self.lockdown.settings.set(domain, key, value.clone()) {
            Ok(()) => done(),
            Err(error) => refuse(error),
        }
    }

    fn remove_value(&self, request: &Dictionary) -> Answer {
        let Some(key) = text(request, "Key") else { return refuse("MissingKey") };
        if self.active.is_none() {
            return refuse("RemoveProhibited");
        }
        self.lockdown.settings.remove(text(request, "Domain").unwrap_or_default(), key);
        done()
    }

    fn pair(&self, request: &Dictionary) -> io::Result<Answer> {
        let record = request.get("PairRecord").and_then(Value::as_dictionary);
        Ok(match self.lockdown.pair(record, self.link)? {
            Ok(escrow_bag) => with("EscrowBag", Value::Data(escrow_bag)),
            Err(error) => refuse(error),
        })
    }

    fn unpair(&self, request: &Dictionary) -> io::Result<Answer> {
        let record = request.get("PairRecord").and_then(Value::as_dictionary);
        let Some(host_id) = record.and_then(|record| text(record, "HostID")) else {
            return Ok(refuse("MissingHostID"));
        };
        Ok(if self.lockdown.unpair(host_id)? { done() } else { refuse("InvalidHostID") })
    }

    fn start_session(&mut self, request: &Dictionary) -> io::Result<Answer> {
        if self.active.is_some() {
            return Ok(refuse("SessionActive"));
        }
        let Some(host_id) = text(request, "HostID") else { return Ok(refuse("MissingHostID")) };
        let Some(trusted) = self.lockdown.trusted(host_id)? else {
            return Ok(refuse("InvalidHostID"));
        };
        let id = session_id()?;
        let mut reply = Dictionary::new();
        reply.insert("SessionID".into(), id.as_str().into());
        reply.insert("EnableSessionSSL".into(), true.into());
        self.active = Some(Active { id, trusted: trusted.clone() });
        Ok(Ok((reply, Then::StartTls(trusted))))
    }

    fn stop_session(&mut self, request: &Dictionary) -> Answer {
        let Some(active) = &self.active else { return refuse("SessionInactive") };
        match text(request, "SessionID") {
            None => refuse("MissingSessionID"),
            Some(id) if id != active.id => refuse("InvalidSessionID"),
            Some(_) => {
                self.active = None;
                let reply = Dictionary::from_iter([("Result".to_owned(), Value::from("Success"))]);
                Ok((reply, Then::EndTls))
            }
        }
    }

    fn start_service(&self, request: &Dictionary) -> Answer {
        let Some(service) = text(request, "Service") else { return refuse("MissingService") };
        if !services::exists(service) {
            return refuse("InvalidService");
        }
        if self.active.is_none() && !services::needs_no_trust(service) {
            return refuse("SessionInactive");
        }
        let escrow_bag = request.get("EscrowBag").and_then(Value::as_data);
        let may_run_locked = escrow_bag.is_some_and(|bag| self.lockdown.knows_escrow_bag(bag));
        if services::needs_unlocking(service)
            && self.lockdown.phone.faults().locked
            && !may_run_locked
        {
            return refuse("PasswordProtected");
        }
        let trusted = match &self.active {
            Some(active) if self.lockdown.options.service_tls => Some(active.trusted.clone()),
            _ => None,
        };
        let speaks_tls = trusted.is_some();
        let port = self.lockdown.ports.open(Waiting { service: service.to_owned(), trusted });
        if let Link::Network(network) = self.link {
            network.open(port);
        }
        let mut reply = Dictionary::new();
        reply.insert("Service".into(), service.into());
        reply.insert("Port".into(), u64::from(port).into());
        reply.insert("EnableServiceSSL".into(), speaks_tls.into());
        Ok((reply, Then::GoOn))
    }
}

fn text<'a>(dictionary: &'a Dictionary, key: &str) -> Option<&'a str> {
    dictionary.get(key).and_then(Value::as_string)
}

fn with(key: &str, value: impl Into<Value>) -> Answer {
    Ok((Dictionary::from_iter([(key.to_owned(), value.into())]), Then::GoOn))
}

fn done() -> Answer {
    Ok((Dictionary::new(), Then::GoOn))
}

fn refuse(error: &str) -> Answer {
    Err(error.to_owned())
}

/// A fresh UUID, as sessions are named.
fn session_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(crate::random::uuid(bytes))
}
