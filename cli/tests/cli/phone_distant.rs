//! Restores onto a phone from a bucket: what is needed is fetched before the phone is asked, and what
//! the bucket does not give out is found then.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::{Table, newest};
use crate::program::{ends_with, err, objects_of};
use devsnap_simulator::mobilebackup2::RestoreReport;
use devsnap_testkit::S3Server;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// What S3 answers for an object that a rule has moved to an archive.
const ARCHIVED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InvalidObjectState\
                        </Code><Message>The operation is not valid for the object's storage class\
                        </Message></Error>";

/// `Info.plist`, `Manifest.plist`, `Status.plist`, `Manifest.db`.
const LISTS: u64 = 4;

/// A way to the server on which reads of packs of content are counted, or refused.
struct Door {
    port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    is_archived: AtomicBool,
    pack_reads: AtomicU64,
}

impl Door {
    fn before(server: &S3Server) -> Door {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let (noting, behind) = (Arc::clone(&seen), server.endpoint().replace("http://", ""));
        // It ends with the process: nobody can tell when a client will not come any more.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (noting, behind) = (Arc::clone(&noting), behind.clone());
                thread::spawn(move || noting.pass(client, &behind));
            }
        });
        Door { port, seen }
    }

    fn pack_reads(&self) -> u64 {
        self.seen.pack_reads.swap(0, Ordering::Relaxed)
    }
}

impl Seen {
    /// Passes one request on and its answer back; then both connections are closed.
    fn pass(&self, client: TcpStream, behind: &str) -> io::Result<()> {
        let mut from = BufReader::new(client.try_clone()?);
        let (mut head, mut body_len, mut line) = (String::new(), 0, String::new());
        while from.read_line(&mut line)? > 0 && line != "\r\n" {
            let name = line.to_ascii_lowercase();
            if let Some(len) = name.strip_prefix("content-length:") {
                body_len = len.trim().parse().map_err(io::Error::other)?;
            }
            if !name.starts_with("connection:") {
                head.push_str(&line);
            }
            line.clear();
        }
        let mut to = client;
        let asked = head.lines().next().unwrap_or_default();
        if asked.starts_with("GET ") && asked.contains("/data/") && !asked.contains("list-type") {
            self.pack_reads.fetch_add(1, Ordering::Relaxed);
            if self.is_archived.load(Ordering::Relaxed) {
                let len = ARCHIVED.len();
                write!(
                    to,
                    "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\n\
                     Content-Length: {len}\r\nConnection: close\r\n\r\n{ARCHIVED}"
                )?;
                return to.shutdown(Shutdown::Write);
            }
        }
        let mut server = TcpStream::connect(behind)?;
        write!(server, "{head}Connection: close\r\n\r\n")?;
        io::copy(&mut (&mut from).take(body_len), &mut server)?;
        io::copy(&mut server, &mut to)?;
        to.shutdown(Shutdown::Write)
    }
}

/// A phone, and a bucket behind a door.
struct Scene {
    table: Table,
    server: &'static S3Server,
    door: Door,
    location: String,
}

impl Scene {
    fn ready() -> Scene {
        let server = S3Server::shared();
        let door = Door::before(server);
        let front = format!("http://127.0.0.1:{}", door.port);
        let location = server.fresh_location().replace(&server.endpoint(), &front);
        let scene = Scene { table: Table::with(&[0]), server, door, location };
        scene.done(&["init"]);
        scene.done(&["pair", "--wait", "1s"]);
        scene.done(&["snapshot"]);
        scene
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = self.table.command(words);
        command.env("DEVSNAP_REPOSITORY", &self.location);
        command.env("DEVSNAP_PASSWORD_FILE", self.table.at("password"));
        command.envs(self.server.variables()).output().unwrap()
    }

    fn done(&self, words: &[&str]) -> Output {
        let output = self.run(words);
        ends_with(&output, 0, "");
        output
    }

    fn restore(&self, more: &[&str]) -> Output {
        self.run(&[&["restore", "latest", "--device", "Ada's iPhone", "--yes"], more].concat())
    }

    fn packs(&self) -> u64 {
        let stats = self.done(&["stats", "--json"]);
        let said = objects_of(&String::from_utf8(stats.stdout).unwrap());
        said.last().unwrap()["data_packs"].as_u64().unwrap()
    }

    fn report(&self) -> Option<RestoreReport> {
        RestoreReport::newest(self.table.phone(0).folder()).ok()
    }
}

#[test]
fn from_a_bucket_each_pack_is_read_once_whatever_the_phone_asks() {
    let scene = Scene::ready();
    scene.door.pack_reads();
    let done = scene.restore(&["--replace", "--verbose"]);
    ends_with(&done, 0, "to this computer's disk");
    // Before that its lists are read, and one pack is asked for a byte.
    let (reads, packs) = (scene.door.pack_reads(), scene.packs());
    assert!((packs..=packs + LISTS + 1).contains(&reads), "{reads} reads of {packs} packs");
    let report = scene.report().unwrap();
    assert_eq!((report.same, report.error), (report.asked, None));
    assert!(report.asked > 50);
}

#[test]
fn a_bucket_that_does_not_give_its_packs_out_is_found_before_the_phone_is_asked() {
    let scene = Scene::ready();
    scene.door.seen.is_archived.store(true, Ordering::Relaxed);
    for more in [&["--stage", "auto"][..], &["--stage", "never"], &["--dry-run"]] {
        let refused = scene.restore(more);
        assert_ne!(refused.status.code(), Some(0), "{more:?}");
        assert!(err(&refused).contains("cold storage"), "{more:?}: {}", err(&refused));
        assert!(scene.report().is_none(), "{more:?}: the phone was asked");
    }
    scene.door.seen.is_archived.store(false, Ordering::Relaxed);
    ends_with(&scene.restore(&["--stage", "never"]), 0, "");
    let truth = newest(scene.table.phone(0).folder());
    assert_eq!(scene.report().unwrap().asked, scene.report().unwrap().same);
    assert!(truth.items.len() > 50);
}
