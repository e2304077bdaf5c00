//! One process's stay as a writer: marks that tell sweepers and readers where it stands.
//!
//! `<sid>.open` is put before anything is read for reuse, `<sid>.beat-<k>` every few minutes,
//! `<sid>.end` when the snapshot is there, by the session itself and by nobody else. Whoever gives
//! a session up puts `<sid>.fence`; then its snapshot does not count. The order and why it is safe
//! stand in `docs/crash-safety.md`; each mark is sealed and says who put it.
use super::Repository;
use super::running::Running;
use crate::backend::{Body, ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::SessionId;
use crate::seal::{
    SessionKey, WriterId, open_object, open_record, random_array, seal_object, sign_record,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

const PURPOSE: &str = "session mark";

/// The longest mark that is read, in bytes.
const MARK_LEN_MAX: usize = 16 << 10;

#[derive(Serialize, Deserialize)]
struct Mark {
    mark: String,
    at_secs: i64,
    program: String,
}

/// An open session.
pub struct Session {
    repository: Repository,
    id: SessionId,
    key: SessionKey,
    program: String,
    beats: AtomicU64,
    /// Whether it is there for others to see.
    marked: bool,
    /// What tells this computer's next run whether this process lives.
    running: Option<Running>,
}

impl Session {
    /// Puts the session's `open`, gives up what dead processes of this computer have left open, then
    /// lists what sweepers have marked. Whoever opens it lists snapshots next, and the index after
    /// them.
    ///
    /// # Errors
    ///
    /// As [`Backend::put`](crate::backend::Backend::put); a mark that could not be read.
    pub fn open(repository: &Repository, program: &str) -> Result<Session> {
        let rehearsed = Session::rehearse(repository, program)?;
        // Before `open`: whatever cuts this off is found by the next run.
        let running = Running::begin(repository.cache_folder(), rehearsed.id);
        let session = Session { marked: true, running, ..rehearsed };
        let opened = session
            .put("open")
            .and_then(|()| repository.fence_dead(program).map(drop))
            .and_then(|()| repository.note_condemned().map(drop));
        match opened {
            Ok(()) => Ok(session),
            Err(error) => {
                // It may be there in spite of the error, and no sweeper need wait for it.
                let _ = session.end_without_snapshot();
                Err(error)
            }
        }
    }

    /// A session that puts no marks: nothing may be stored in it.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn rehearse(repository: &Repository, program: &str) -> Result<Session> {
        let id = SessionId::from_bytes(random_array()?);
        let key = repository.keys().recipient.new_session(repository.id(), id)?;
        let (repository, program) = (repository.clone(), program.to_owned());
        let beats = AtomicU64::new(0);
        Ok(Session { repository, id, key, program, beats, marked: false, running: None })
    }

    /// Its name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// What its packs are sealed with.
    pub fn key(&self) -> &SessionKey {
        &self.key
    }

    /// Says that the session is alive.
    ///
    /// # Errors
    ///
    /// As [`Backend::put`](crate::backend::Backend::put).
    pub fn beat(&self) -> Result<()> {
        debug_assert!(self.marked, "a rehearsal does not last");
        let number = self.beats.fetch_add(1, Ordering::Relaxed) + 1;
        self.put(&format!("beat-{number}"))
    }

    /// Goes on only while nobody has given this session up.
    ///
    /// # Errors
    ///
    /// [`Fenced`](ErrorKind::Fenced).
    pub fn check_unfenced(&self) -> Result<()> {
        // Two lists, since one is no view of one moment: it could meet `open` first, and the place of
        // `fence` when clean-up had removed both (rule 7).
        let own = self.id.to_hex();
        let is_fenced = SessionMarks::list(&self.repository, &own)?.has(self.id, "fence");
        if !is_fenced && SessionMarks::list(&self.repository, &own)?.has(self.id, "open") {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Fenced, format!("finishing session {}", self.id.short())))
    }

    /// Ends the session: from now on its snapshot counts, and no sweeper waits for it.
    ///
    /// # Errors
    ///
    /// As [`Backend::put`](crate::backend::Backend::put).
    pub fn end(&self) -> Result<()> {
        self.put("end")?;
        self.clean_up();
        self.forget_running();
        Ok(())
    }

    /// Ends a session that put no snapshot: nobody need wait for it. Its `end` goes too, since
    /// there is nothing it could confirm.
    ///
    /// # Errors
    ///
    /// As [`Backend::put`](crate::backend::Backend::put).
    pub fn end_without_snapshot(&self) -> Result<()> {
        if !self.marked {
            return Ok(());
        }
        self.put("end")?;
        self.clean_up();
        self.forget_running();
        self.repository.backend().remove(&mark_key(self.id, "end"))?;
        Ok(())
    }

    fn forget_running(&self) {
        if let Some(running) = &self.running {
            running.forget();
        }
    }

    /// Removes heartbeats and `open`; what cannot be removed is litter for a later sweep.
    fn clean_up(&self) {
        let beats = (1..=self.beats.load(Ordering::Relaxed)).map(|n| format!("beat-{n}"));
        for mark in beats.chain(["open".to_owned()]) {
            let _ = self.repository.backend().remove(&mark_key(self.id, &mark));
        }
    }

    fn put(&self, mark: &str) -> Result<()> {
        put_mark(&self.repository, self.id, mark, &self.program)
    }
}

/// A session that no sweep may pass: it is open, and nobody has given it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// Its name.
    pub id: SessionId,
    /// The program that opened it, as it said; nothing when its mark cannot be read.
    pub program: Option<String>,
    /// When it last put a mark, by the storage's clock: seconds since 1970.
    pub last_sign_secs: Option<i64>,
}

impl Repository {
    /// Gives a session up on its behalf: it will not count, and no sweep waits for it. The run
    /// itself, if there still is one, notices before it ends (rules 7 and 12 of
    /// `docs/crash-safety.md`).
    ///
    /// # Errors
    ///
    /// What storing meets.
    pub(crate) fn fence(&self, session: SessionId, program: &str) -> Result<()> {
        put_mark(self, session, "fence", program)
    }

    /// Removes marks of a session, in this order.
    ///
    /// # Errors
    ///
    /// What removing meets; some may be gone then.
    pub(crate) fn remove_marks(
        &self,
        session: SessionId,
        marks: impl IntoIterator<Item = String>,
    ) -> Result<()> {
        for mark in marks {
            self.backend().remove(&mark_key(session, &mark))?;
        }
        Ok(())
    }

    /// The sessions that block a sweep (rule 12 of `docs/crash-safety.md`). Where stations write, an
    /// `end` or a `fence` is none unless who opened the session signed it, or (a fence) a full key:
    /// the names alone anybody may put there who can write to the storage.
    ///
    /// # Errors
    ///
    /// A mark could not be fetched.
    pub(crate) fn blocking_sessions(&self, marks: &SessionMarks) -> Result<Vec<SessionId>> {
        let mut blocking: Vec<SessionId> = marks.blocking().collect();
        if !self.config().has_stations() {
            return Ok(blocking);
        }
        for session in marks.claimed_over() {
            let Some((opener, _)) = self.signed_mark(session, "open")? else { continue };
            let mut is_over = false;
            if marks.has(session, "end") {
                let ended = self.signed_mark(session, "end")?;
                is_over |= ended.is_some_and(|(writer, _)| writer == opener);
            }
            if !is_over && marks.has(session, "fence") {
                let fenced = self.signed_mark(session, "fence")?;
                is_over |= fenced
                    .is_some_and(|(writer, _)| writer == opener || self.config().is_full(writer));
            }
            if !is_over {
                blocking.push(session);
            }
        }
        Ok(blocking)
    }

    /// Who signed a mark, and the program that put it; `None` when it is gone or no such mark.
    pub(super) fn signed_mark(
        &self,
        session: SessionId,
        mark: &str,
    ) -> Result<Option<(WriterId, String)>> {
        match self.read_mark(session, mark) {
            Ok(found) => Ok(Some(found)),
            Err(e) => match e.kind() {
                ErrorKind::NotFound | ErrorKind::Damaged | ErrorKind::TooNew => Ok(None),
                _ => Err(e),
            },
        }
    }

    fn read_mark(&self, session: SessionId, name: &str) -> Result<(WriterId, String)> {
        let object = self.backend().get_whole(&mark_key(session, name), MARK_LEN_MAX as u64)?;
        let keys = self.keys();
        let record = open_object(keys, ObjectKind::Session, &object, MARK_LEN_MAX)?;
        let certified = |public: &[u8; 32]| self.config().writer(public);
        let (writer, body) = open_record(&record, keys.repository(), PURPOSE, certified)?;
        let damaged = || Error::new(ErrorKind::Damaged, "reading a session mark");
        let body = body.strip_prefix(session.as_bytes().as_slice()).ok_or_else(damaged)?;
        let mark: Mark = rmp_serde::from_slice(body).map_err(|e| damaged().because(e))?;
        if mark.mark != name {
            return Err(damaged().because("it is another mark under this name"));
        }
        Ok((writer, mark.program))
    }
}

fn mark_key(session: SessionId, mark: &str) -> ObjectKey {
    ObjectKey::new(ObjectKind::Session, format!("{}.{mark}", session.to_hex()))
}

fn put_mark(repository: &Repository, session: SessionId, mark: &str, program: &str) -> Result<()> {
    let body = Mark { mark: mark.to_owned(), at_secs: now_secs(), program: program.to_owned() };
    let body = rmp_serde::to_vec_named(&body).expect("because every field has a form");
    let keys = repository.keys();
    // The session's id is part of what is signed: a mark is no mark of another session.
    let body = [session.as_bytes().as_slice(), &body].concat();
    let record = sign_record(&keys.signer, keys.repository(), PURPOSE, &body);
    let object = seal_object(keys, ObjectKind::Session, &record)?;
    repository.backend().put(&mark_key(session, mark), Body::Bytes(object.into()))?;
    Ok(())
}

/// Seconds since 1970 by this computer's clock; for people.
pub fn now_secs() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Which marks stand, by session, each with when the storage says it was put: one listing.
pub struct SessionMarks(BTreeMap<SessionId, BTreeMap<String, Option<i64>>>);

impl SessionMarks {
    /// Lists the marks of sessions whose id begins with `prefix` in hex.
    ///
    /// # Errors
    ///
    /// The listing broke off.
    pub fn list(repository: &Repository, prefix: &str) -> Result<Self> {
        let mut marks: BTreeMap<SessionId, BTreeMap<String, Option<i64>>> = BTreeMap::new();
        for listed in repository.backend().list(ObjectKind::Session, prefix) {
            let listed = listed?;
            let Some((id, mark)) = listed.key.name().split_once('.') else { continue };
            if let Ok(id) = id.parse() {
                let put_at_secs = listed.stored_at_secs;
                marks.entry(id).or_default().insert(mark.to_owned(), put_at_secs);
            }
        }
        Ok(SessionMarks(marks))
    }

    fn has(&self, session: SessionId, mark: &str) -> bool {
        self.0.get(&session).is_some_and(|marks| marks.contains_key(mark))
    }

    /// Whether the session has ended, so that its snapshot counts.
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.has(session, "end")
    }

    /// Whether the session is open and nobody has given it up.
    pub fn stands(&self, session: SessionId) -> bool {
        self.has(session, "open") && !self.has(session, "fence")
    }

    /// The sessions there are, with their marks.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (SessionId, Vec<&str>)> {
        self.0.iter().map(|(id, marks)| (*id, marks.keys().map(String::as_str).collect()))
    }

    /// Those that are open and of which somebody says that they are over.
    fn claimed_over(&self) -> impl Iterator<Item = SessionId> {
        let over = |id: &SessionId| self.has(*id, "end") || self.has(*id, "fence");
        self.0.keys().copied().filter(move |id| self.has(*id, "open") && over(id))
    }

    /// Those that block a sweep, as far as names tell.
    fn blocking(&self) -> impl Iterator<Item = SessionId> {
        self.0.keys().copied().filter(|id| self.stands(*id) && !self.has_ended(*id))
    }

    /// What is known of an open session: of a program only what a writer of this repository signed.
    pub fn about(&self, repository: &Repository, id: SessionId) -> OpenSession {
        let program = repository.read_mark(id, "open").ok().map(|(_, program)| program);
        let last_sign_secs = self.0.get(&id).and_then(|marks| marks.values().copied().max()?);
        OpenSession { id, program, last_sign_secs }
    }
}
