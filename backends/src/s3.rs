//! A bucket of S3, or of one of the many services that speak its language, through OpenDAL.
//!
//! S3 keeps the backend's promises by itself: a PUT or a finished multipart upload is whole,
//! durable and visible at once when it is answered. What is added here: parts, so that a slow line
//! never meets a time limit; lengths, so that a short reply is an error; and the blocking face.
use crate::classify::Failure;
use crate::location::S3Location;
use crate::open::{Credentials, OpenError};
use crate::rim;
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectInfo, ObjectKey, ObjectKind,
    folder_of, key_at, path_of,
};
use devsnap_engine::interrupt::Interrupt;
use futures::{TryFutureExt, TryStreamExt};
use opendal::layers::{ConcurrentLimitLayer, RetryLayer, TimeoutLayer};
use opendal::services::S3;
use opendal::{Entry, Operator, Writer};
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;

/// What goes into one request of an upload, in bytes. S3 asks for at least 5 MiB; this is small
/// enough to pass within [`PART_TIMEOUT`] at 50 kB/s.
const PART_LEN: usize = 8 << 20;
const PART_TIMEOUT: Duration = Duration::from_secs(180);
/// For calls without a body: stat, remove, one page of a listing.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// With the delays below, about a minute of trying: longer than a router's restart is for the
/// person to decide.
const RETRIES_MAX: usize = 6;
const RETRY_DELAY_MAX: Duration = Duration::from_secs(20);
/// Uploads at once. Each holds [`PART_LEN`] bytes; more than this fills a line only where the
/// distance is long.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(8).expect("because 8 is not 0");
/// A listing holds its place between pages, so there are more places than uploads.
const REQUESTS_MAX: usize = 4 * CONNECTIONS.get();

/// A repository in a bucket.
#[derive(Debug)]
pub struct S3Backend {
    operator: Operator,
    place: String,
    interrupt: Interrupt,
}

impl S3Backend {
    /// Prepares to use the bucket at `location`; asks the service nothing yet. Once `interrupt` is raised
    /// nothing but the upload of what was read waits for a service that does not answer.
    ///
    /// # Errors
    ///
    /// [`OpenError::Settings`] when the environment does not say enough or contradicts itself.
    pub fn open(
        location: &S3Location,
        credentials: &Credentials,
        interrupt: &Interrupt,
    ) -> Result<Self, OpenError> {
        rim::prepare()?;
        let service = service(location, credentials)?;
        let operator = Operator::new(service)
            .map_err(|e| {
                OpenError::Settings(format!("the S3 settings do not fit: {}", e.message()))
            })?
            .layer(TimeoutLayer::new().with_timeout(CALL_TIMEOUT).with_io_timeout(PART_TIMEOUT))
            .layer(
                RetryLayer::new()
                    .with_jitter()
                    .with_max_times(RETRIES_MAX)
                    .with_max_delay(RETRY_DELAY_MAX),
            )
            .layer(ConcurrentLimitLayer::new(REQUESTS_MAX));
        Ok(S3Backend { operator, place: location.to_string(), interrupt: interrupt.clone() })
    }

    async fn upload(
        &self,
        path: &str,
        mut next_part: impl FnMut() -> io::Result<Option<Bytes>>,
    ) -> Result<(), Failure> {
        let mut writer = self.operator.writer_with(path).chunk(PART_LEN).await?;
        let sent = send(&mut writer, &mut next_part).await;
        if sent.is_err() {
            // What is not finished was never an object; aborting only frees its room.
            let _ = writer.abort().await;
        }
        sent
    }

    async fn size_bytes(&self, path: &str) -> Result<u64, Failure> {
        Ok(self.operator.stat(path).await?.content_length())
    }

    async fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, Failure> {
        let short = || Failure::from(BackendErrorKind::ShortObject);
        if range.is_empty() {
            // No request says "nothing, from here": the length answers what one would.
            let size_bytes = self.size_bytes(path).await?;
            let inside = range.start == range.end && range.end <= size_bytes;
            return if inside { Ok(Bytes::new()) } else { Err(short()) };
        }
        let want = range.end - range.start;
        match self.operator.read_with(path).range(range.clone()).await {
            Ok(buffer) if buffer.len() as u64 == want => Ok(buffer.to_bytes()),
            Ok(_) => Err(short()),
            Err(e) => {
                let failure = Failure::from(e);
                let unclear = matches!(
                    failure.kind(),
                    BackendErrorKind::Medium | BackendErrorKind::Unreachable
                );
                // Services answer a range past the end in many ways; the length decides.
                if unclear && self.size_bytes(path).await.is_ok_and(|size| size < range.end) {
                    return Err(short());
                }
                Err(failure)
            }
        }
    }

    async fn read_whole(&self, path: &str, max_bytes: u64) -> Result<Bytes, Failure> {
        match self.size_bytes(path).await? {
            size_bytes if size_bytes > max_bytes => Err(BackendErrorKind::TooLarge.into()),
            0 => Ok(Bytes::new()),
            size_bytes => self.read(path, 0..size_bytes).await,
        }
    }
}

async fn send(
    writer: &mut Writer,
    next_part: &mut impl FnMut() -> io::Result<Option<Bytes>>,
) -> Result<(), Failure> {
    while let Some(part) = next_part()? {
        writer.write(part).await?;
    }
    writer.close().await?;
    Ok(())
}

impl Backend for S3Backend {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        let path = path_of(key);
        let put = || -> Result<(), Failure> {
            match body {
                Body::Bytes(bytes) => {
                    let mut left = Some(bytes);
                    let upload = self.upload(&path, || Ok(left.take()));
                    match key.kind() {
                        // A few bytes that say what somebody is about. Without it others are only more
                        // patient.
                        ObjectKind::Session | ObjectKind::Gc => {
                            rim::unless_stopped(&self.interrupt, upload)
                        }
                        _ => rim::block_on(upload),
                    }
                }
                Body::File { path: from, size_bytes } => {
                    let mut file = File::open(&from)?;
                    rim::block_on(self.upload(&path, parts_of(&mut file, size_bytes)))?;
                    Ok(fs::remove_file(&from)?)
                }
            }
        };
        put().map_err(|e| e.not_as(BackendErrorKind::NotFound).of("put", Some(key)))
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        rim::unless_stopped(&self.interrupt, self.read(&path_of(key), range))
            .map_err(|e| e.of("get", Some(key)))
    }

    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        rim::unless_stopped(&self.interrupt, self.read_whole(&path_of(key), max_bytes))
            .map_err(|e| e.of("get", Some(key)))
    }

    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        let prefix = prefix.to_owned();
        let path = match ObjectKey::parse(kind, &prefix) {
            // The place of a name is also what the places of all longer names begin with.
            Some(key) => path_of(&key),
            None => folder_of(kind).to_owned(),
        };
        let failed = |e: Failure| e.not_as(BackendErrorKind::NotFound).of("list", None);
        let listing = self.operator.lister_with(&path).recursive(true).into_future();
        let listing = listing.map_err(Failure::from);
        let mut lister = match rim::unless_stopped(&self.interrupt, listing) {
            Ok(lister) => Some(lister),
            Err(e) => return Box::new(std::iter::once(Err(failed(e)))),
        };
        Box::new(std::iter::from_fn(move || {
            loop {
                let next = lister.as_mut()?.try_next().map_err(Failure::from);
                match rim::unless_stopped(&self.interrupt, next) {
                    Ok(Some(entry)) => match info(kind, &entry) {
                        Some(info) if info.key.name().starts_with(&prefix) => {
                            return Some(Ok(info));
                        }
                        _ => {}
                    },
                    Ok(None) => lister = None,
                    Err(e) => {
                        lister = None;
                        return Some(Err(failed(e)));
                    }
                }
            }
        }))
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        let path = path_of(key);
        let removal = self.operator.delete(&path).map_err(Failure::from);
        match rim::unless_stopped(&self.interrupt, removal) {
            Err(e) if e.kind() == BackendErrorKind::NotFound => Ok(()),
            done => done.map_err(|e| e.of("remove", Some(key))),
        }
    }

    fn connections(&self) -> NonZeroUsize {
        CONNECTIONS
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

/// The file in parts; an error in place of the end when it is not `size_bytes` long.
fn parts_of(file: &mut File, size_bytes: u64) -> impl FnMut() -> io::Result<Option<Bytes>> {
    let mut sent_bytes = 0;
    move || {
        let mut part = Vec::new();
        file.by_ref().take(PART_LEN as u64).read_to_end(&mut part)?;
        sent_bytes += part.len() as u64;
        let ended = part.is_empty();
        if sent_bytes > size_bytes || (ended && sent_bytes < size_bytes) {
            let said = format!("the file does not have the {size_bytes} bytes it should have");
            return Err(io::Error::new(io::ErrorKind::InvalidData, said));
        }
        Ok((!ended).then(|| part.into()))
    }
}

fn info(kind: ObjectKind, entry: &Entry) -> Option<ObjectInfo> {
    let found = entry.metadata();
    let key = key_at(kind, entry.path()).filter(|_| found.is_file())?;
    let stored_at_secs = found.last_modified().map(|time| time.into_inner().as_second());
    Some(ObjectInfo { key, size_bytes: found.content_length(), stored_at_secs })
}

fn service(location: &S3Location, credentials: &Credentials) -> Result<S3, OpenError> {
    let settings = |said: &str| OpenError::Settings(said.to_owned());
    let get = |name| credentials.get(name);
    let endpoint = location
        .endpoint
        .as_deref()
        .or_else(|| get("AWS_ENDPOINT_URL_S3"))
        .or_else(|| get("AWS_ENDPOINT_URL"));
    let region = match get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")) {
        Some(region) => region,
        // Services other than AWS ignore it, but it is part of what is signed.
        None if endpoint.is_some() => "us-east-1",
        None => return Err(settings("set AWS_REGION to the region of the bucket")),
    };
    let mut service = S3::default()
        .bucket(&location.bucket)
        .root(&format!("/{}", location.prefix))
        .region(region)
        // Always given, so that OpenDAL does not look for one by itself.
        .endpoint(endpoint.unwrap_or("https://s3.amazonaws.com"));

    service = match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            let keyed = service.access_key_id(id).secret_access_key(secret).disable_config_load();
            match get("AWS_SESSION_TOKEN") {
                Some(token) => keyed.session_token(token),
                None => keyed,
            }
        }
        // AWS's own files, roles and instance metadata, in AWS's own order.
        (None, None) => match get("AWS_PROFILE") {
            Some(profile) => service.profile(profile),
            None => service,
        },
        _ => {
            return Err(settings(
                "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither",
            ));
        }
    };
    if endpoint.is_some() {
        // The credentials of an AWS machine are of no use elsewhere, and asking takes seconds.
        service = service.disable_ec2_metadata();
    }
    // A bucket as part of the host's name needs a wildcard in its DNS and certificate; AWS has
    // one (for one level: no dots), others often not.
    let by_host = match get("DEVSNAP_S3_STYLE") {
        Some("virtual") => true,
        Some("path") => false,
        Some(_) => return Err(settings("DEVSNAP_S3_STYLE is either path or virtual")),
        None => endpoint.is_none() && !location.bucket.contains('.'),
    };
    Ok(if by_host { service.enable_virtual_host_style() } else { service })
}
