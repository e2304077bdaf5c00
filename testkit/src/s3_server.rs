//! A real S3 server for tests: SeaweedFS, on loopback, gone when the test's process is.
//!
//! `tests/servers/install` puts it in place. A test that needs it fails without it: a test that is
//! skipped in silence is no test.
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ACCESS_KEY: &str = "devsnaptest";
const SECRET_KEY: &str = "devsnaptest-secret";
const BUCKET: &str = "devsnap";

/// On a busy machine it was seen to take 12 s.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// SeaweedFS puts each gRPC port this far above its HTTP port.
const GRPC_ABOVE: u16 = 10_000;

/// Ends the server when our end of its standard input closes, however our process ends.
const KEEPER: &str = r#""$@" </dev/null & child=$!; read -r _; kill "$child"; wait "$child""#;

/// A running server with one bucket.
#[derive(Debug)]
pub struct S3Server {
    keeper: Child,
    s3_port: u16,
    prefixes: AtomicU32,
    folder: TempDir,
}

impl S3Server {
    /// The server that all tests of this process share.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn shared() -> &'static S3Server {
        static SERVER: OnceLock<S3Server> = OnceLock::new();
        SERVER.get_or_init(S3Server::start)
    }

    /// Starts a server and waits until it stores objects.
    ///
    /// # Panics
    ///
    /// With a sentence on what to do, when it is not installed or does not come up.
    pub fn start() -> S3Server {
        let weed = installed();
        let folder = tempfile::tempdir().expect("a temporary folder for the server");
        let [master, volume, filer, s3_port] = free_ports();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(weed).args(arguments(folder.path()));
        command.args([
            format!("-master.port={master}"),
            format!("-volume.port={volume}"),
            format!("-filer.port={filer}"),
            format!("-s3.port={s3_port}"),
        ]);
        let log = fs::File::create(folder.path().join("log")).expect("the server's log");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let keeper = command.spawn().expect("sh starts");
        let server = S3Server { keeper, s3_port, prefixes: AtomicU32::new(0), folder };
        server.wait_until_ready(filer);
        server
    }

    /// A place in the bucket that no other call was given, as the command line takes it.
    pub fn fresh_location(&self) -> String {
        let n = self.prefixes.fetch_add(1, Ordering::Relaxed);
        format!("s3:{}/{BUCKET}/test-{n}/repository", self.endpoint())
    }

    /// A location in a bucket that does not exist.
    pub fn missing_bucket(&self) -> String {
        format!("s3:{}/no-such-bucket/repository", self.endpoint())
    }

    /// `http://host:port`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.s3_port)
    }

    /// The environment variables that open it.
    pub fn variables(&self) -> [(&'static str, &'static str); 2] {
        [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]
    }

    /// Makes the bucket, which works when the filer does; then a file, when the volumes do; and
    /// then the S3 door answers by itself.
    fn wait_until_ready(&self, filer: u16) {
        let steps: [(u16, &str, String, &[u16]); 3] = [
            (filer, "POST", format!("/buckets/{BUCKET}/"), &[200, 201]),
            (filer, "PUT", "/ready".to_owned(), &[200, 201]),
            // Unsigned, so it is refused: by a door that is open.
            (self.s3_port, "GET", format!("/{BUCKET}"), &[403]),
        ];
        let give_up = Instant::now() + READY_WITHIN;
        for (port, method, path, want) in steps {
            while !status_of(port, method, &path).is_some_and(|status| want.contains(&status)) {
                assert!(
                    Instant::now() < give_up,
                    "SeaweedFS did not answer {method} {path} within {READY_WITHIN:?}; \
                     its last words:\n{}",
                    self.last_words()
                );
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().fold(String::new(), |mut words, line| {
            let _ = writeln!(words, "{line}");
            words
        })
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // The keeper sees the end of its input, ends the server, and is waited for, so that the
        // folder is not removed under it.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn installed() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let weed = root.join(".test-servers/venv/bin/weed");
    assert!(
        weed.is_file(),
        "this test needs a local S3 server, which is not installed: run tests/servers/install"
    );
    weed
}

fn arguments(folder: &Path) -> Vec<String> {
    let config = folder.join("s3.json");
    let identity = format!(
        r#"{{"identities":[{{"name":"test","actions":["Admin"],
            "credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}]}}]}}"#
    );
    fs::write(&config, identity).expect("the server's identities");
    let data = folder.join("data");
    fs::create_dir(&data).expect("the server's folder");
    vec![
        "server".into(),
        format!("-dir={}", data.display()),
        "-ip=127.0.0.1".into(),
        "-ip.bind=127.0.0.1".into(),
        "-master.telemetry=false".into(),
        "-master.volumeSizeLimitMB=256".into(),
        "-volume.max=60".into(),
        "-filer".into(),
        "-s3".into(),
        "-s3.port.iceberg=0".into(),
        "-s3.port.lance=0".into(),
        format!("-s3.config={}", config.display()),
    ]
}

/// Ports that are free now, each with the one above it that SeaweedFS takes too.
fn free_ports() -> [u16; 4] {
    let mut held = Vec::new();
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    while held.len() < 4 {
        let Ok(first) = free(0) else { continue };
        let port = first.local_addr().expect("a bound port").port();
        // The system gives ports from above 32,768; take those below its range, where nobody
        // else's outgoing connection can come in between.
        let Some(port) = port.checked_sub(16_384).filter(|p| *p > 1024) else { continue };
        if let (Ok(http), Ok(grpc)) = (free(port), free(port + GRPC_ABOVE)) {
            held.push((port, http, grpc));
        }
    }
    std::array::from_fn(|n| held[n].0)
}

/// The status of one HTTP request with an empty form as its body, if there is an answer.
fn status_of(port: u16, method: &str, path: &str) -> Option<u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let body = if method == "PUT" { "ready" } else { "" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut reply = [0; 12];
    stream.read_exact(&mut reply).ok()?;
    std::str::from_utf8(&reply).ok()?.rsplit(' ').next()?.parse().ok()
}
