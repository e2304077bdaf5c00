//! Where a repository is, as people write it.
//!
//! A location never carries a secret: a name or password within it is refused when it is parsed,
//! so that it can be shown, logged and kept in a file without a thought.
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place for a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A folder: `/path`, `path` or `file:///path`.
    Folder(PathBuf),
    /// A bucket: `s3://bucket/prefix`, or `s3:https://host:port/bucket/prefix` elsewhere than AWS.
    S3(S3Location),
}

/// A bucket and what all names in it begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    /// `scheme://host[:port]` of the service; `None` stands for AWS, or for what the environment
    /// names as the endpoint.
    pub endpoint: Option<String>,
    /// The bucket's name.
    pub bucket: String,
    /// A folder in the bucket, without slashes at its ends; empty for the bucket itself.
    pub prefix: String,
}

/// Why a location could not be understood. Never repeats what was written: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// Nothing was written.
    #[error("the location is empty; write a folder such as /mnt/backup, or s3://bucket/folder")]
    Empty,
    /// It names somebody.
    #[error(
        "a location must not hold a user name, password or parameters; \
         give credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
    )]
    HoldsCredentials,
    /// SFTP.
    #[error("SFTP is not supported yet; mount the server (e.g. with sshfs) or use S3")]
    Sftp,
    /// Any other scheme.
    #[error(
        "this kind of location is not known; write a folder, file:///folder, s3://bucket/folder, or s3:https://host/bucket/folder"
    )]
    UnknownScheme,
    /// A `file:` location with a host.
    #[error("a file location has three slashes: file:///folder")]
    FileHost,
    /// An S3 location without `://`.
    #[error("an S3 location is s3://bucket/folder, or s3:https://host/bucket/folder")]
    NoEndpointScheme,
    /// The host or its port.
    #[error("the host of the S3 location is missing or malformed")]
    BadHost,
    /// The bucket.
    #[error("the bucket is missing or malformed: 3 to 63 of a-z A-Z 0-9 . - _")]
    BadBucket,
    /// The folder.
    #[error(
        "the folder within the bucket must not hold empty, `.` or `..` parts, or control characters"
    )]
    BadPrefix,
    /// A path with a NUL, or percent signs that stand for nothing.
    #[error("the path is malformed")]
    BadPath,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(written: &str) -> Result<Self, LocationError> {
        if written.is_empty() {
            return Err(LocationError::Empty);
        }
        if written.contains('\0') {
            return Err(LocationError::BadPath);
        }
        match scheme_of(written) {
            None => Ok(Location::Folder(PathBuf::from(written))),
            Some(("file", rest)) => parse_file(rest),
            Some(("s3", rest)) => parse_s3(rest).map(Location::S3),
            Some(("sftp", _)) => Err(LocationError::Sftp),
            Some(_) => Err(LocationError::UnknownScheme),
        }
    }
}

/// Other tools' schemes that are written without `//`.
const BARE_SCHEMES: [&str; 10] =
    ["file", "s3", "sftp", "rest", "b2", "azure", "gs", "swift", "rclone", "local"];

/// `scheme:rest`, when it looks like one rather than like a folder with a colon in its name.
fn scheme_of(written: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = written.split_once(':')?;
    let word = scheme.len() > 1
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (word && (rest.starts_with("//") || BARE_SCHEMES.contains(&scheme))).then_some((scheme, rest))
}

fn parse_file(rest: &str) -> Result<Location, LocationError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(LocationError::FileHost);
    }
    percent_decoded(path).map(|path| Location::Folder(path.into())).ok_or(LocationError::BadPath)
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut parts = path.split('%');
    decoded.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let digits = part.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        decoded.push(u8::from_str_radix(digits, 16).ok().filter(|byte| *byte != 0)?);
        decoded.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(decoded).ok()
}

fn parse_s3(rest: &str) -> Result<S3Location, LocationError> {
    if rest.contains(['@', '?', '#']) {
        return Err(LocationError::HoldsCredentials);
    }
    if let Some(path) = rest.strip_prefix("//") {
        let (bucket, prefix) = parse_bucket(path)?;
        return Ok(S3Location { endpoint: None, bucket, prefix });
    }
    let (scheme, address) = rest.split_once("://").ok_or(LocationError::NoEndpointScheme)?;
    if !matches!(scheme, "http" | "https") {
        return Err(LocationError::NoEndpointScheme);
    }
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    if !is_host(host) {
        return Err(LocationError::BadHost);
    }
    let (bucket, prefix) = parse_bucket(path)?;
    Ok(S3Location { endpoint: Some(format!("{scheme}://{host}")), bucket, prefix })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, port.strip_prefix(':').or(Some(""))),
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let v6 = host.starts_with('[');
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b) || (v6 && b == b':');
    !name.is_empty()
        && name.bytes().all(fits)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn parse_bucket(path: &str) -> Result<(String, String), LocationError> {
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let named = (3..=63).contains(&bucket.len()) && bucket.bytes().all(fits);
    if !named || bucket.starts_with('.') {
        return Err(LocationError::BadBucket);
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let bad = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
    if !prefix.is_empty() && prefix.split('/').any(bad) {
        return Err(LocationError::BadPrefix);
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Folder(path) => write!(f, "{}", path.display()),
            Location::S3(s3) => s3.fmt(f),
        }
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            None => write!(f, "s3://{}", self.bucket)?,
            Some(endpoint) => write!(f, "s3:{endpoint}/{}", self.bucket)?,
        }
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(endpoint: Option<&str>, bucket: &str, prefix: &str) -> Location {
        let endpoint = endpoint.map(str::to_owned);
        Location::S3(S3Location { endpoint, bucket: bucket.into(), prefix: prefix.into() })
    }

    #[test]
    fn folders_are_taken_as_they_are_written() {
        for path in ["/mnt/backup", "backup", "./s3:x", "a:b", "C:x", "/s3://odd", "with space"] {
            assert_eq!(path.parse(), Ok(Location::Folder(path.into())));
        }
        assert_eq!("file:///a%20b/c".parse(), Ok(Location::Folder("/a b/c".into())));
    }

    #[test]
    fn buckets_are_read_and_shown_the_same() {
        for (written, location) in [
            ("s3://bucket", s3(None, "bucket", "")),
            ("s3://bucket/a/b", s3(None, "bucket", "a/b")),
            ("s3:https://host.example/bucket", s3(Some("https://host.example"), "bucket", "")),
            ("s3:http://127.0.0.1:8333/bkt/p", s3(Some("http://127.0.0.1:8333"), "bkt", "p")),
            ("s3:http://[::1]:8333/bkt", s3(Some("http://[::1]:8333"), "bkt", "")),
        ] {
            assert_eq!(written.parse(), Ok(location.clone()));
            assert_eq!(location.to_string(), written);
        }
        assert_eq!("s3://bucket/a/".parse(), Ok(s3(None, "bucket", "a")));
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for written in [
            "s3:https://key:hunter2@host/bucket",
            "s3://hunter2@bucket/a",
            "s3:https://host/bucket?X-Amz-Security-Token=hunter2",
            "s3://bucket/a#hunter2",
        ] {
            let error = written.parse::<Location>().unwrap_err();
            assert_eq!(error, LocationError::HoldsCredentials, "{written}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_is_not_understood_is_said_and_not_guessed() {
        use LocationError::{
            BadBucket, BadHost, BadPath, BadPrefix, Empty, FileHost, NoEndpointScheme, Sftp,
            UnknownScheme,
        };
        for (written, error) in [
            ("", Empty),
            ("a\0b", BadPath),
            ("file://host/a", FileHost),
            ("file:a", FileHost),
            ("file:///%zz", BadPath),
            ("file:///a%0", BadPath),
            ("file:///%00", BadPath),
            ("sftp:user@host:/a", Sftp),
            ("sftp://host/a", Sftp),
            ("b2:bucket", UnknownScheme),
            ("ftp://host/a", UnknownScheme),
            ("s3:host/bucket", NoEndpointScheme),
            ("s3:ftp://host/bucket", NoEndpointScheme),
            ("s3:https:///bucket", BadHost),
            ("s3:https://host:99999/bucket", BadHost),
            ("s3:https://host:/bucket", BadHost),
            ("s3:https://ho st/bucket", BadHost),
            ("s3:https://host", BadBucket),
            ("s3://", BadBucket),
            ("s3://ab", BadBucket),
            ("s3://bucket/a//b", BadPrefix),
            ("s3://bucket/../b", BadPrefix),
        ] {
            assert_eq!(written.parse::<Location>(), Err(error), "{written:?}");
        }
    }
}
