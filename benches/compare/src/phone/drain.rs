//! A host that takes everything a phone sends and keeps nothing but what the phone reads back: how fast
//! the simulator is by itself.
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use devsnap_device::devicelink::file_stream::{self, FileEnd, Receiver};
use devsnap_device::devicelink::message::response_code;
use devsnap_device::devicelink::{DeviceLink, Message, Status, StatusCode};
use devsnap_device::lockdown::{Escrow, PairRecords, Pairing, PairingPatience, TrustedDevice};
use devsnap_device::mobilebackup2;
use devsnap_device::transport::{AtMost, Transport, Usbmuxd, UsbmuxdAddress};
use devsnap_device::watch::Unwatched;
use plist::{Dictionary, Value};

use crate::measure::Usage;

/// How long the phone may be silent.
const PATIENCE: AtMost = AtMost(Duration::from_secs(600));

/// Has the phone back itself up into nothing. Its processor time and memory are the bench's own, and
/// told as nothing.
pub(crate) fn back_up(address: &str, home: &Path) -> Result<Usage> {
    let address = UsbmuxdAddress::parse(address).context("the simulator's address")?;
    let transport: Arc<dyn Transport> = Arc::new(Usbmuxd::at(address));
    let mut wait = PATIENCE;
    let device = transport.devices()?.pop().context("there is no phone")?;
    let records = PairRecords::in_folder(home.join("records"));
    let pairing = Pairing {
        transport: &*transport,
        address: &device,
        records: &records,
        watch: &Unwatched,
        patience: PairingPatience::default(),
    };
    let record = pairing.trusted_record(&mut wait)?;
    let udid = device.udid.as_str().to_owned();
    let device = TrustedDevice::new(transport.clone(), device, record);
    let start = Instant::now();
    let mut session = device.session(&mut wait)?;
    let started = session.start(mobilebackup2::SERVICE, Escrow::Sent)?;
    session.end();
    let mut link = DeviceLink::greet(device.connect(started, &mut wait)?)?;
    link.hello()?;
    let mut request = Dictionary::new();
    for (key, value) in
        [("TargetIdentifier", &*udid), ("SourceIdentifier", &*udid), ("MessageName", "Backup")]
    {
        request.insert(key.to_owned(), value.into());
    }
    link.request(request, &mut wait)?;
    let mut kept = Kept::default();
    while let Some(message) = link.receive(&mut wait)? {
        let status = match message {
            Message::Process(response) => {
                ensure!(response_code(&response) == Some(0), "the phone failed: {response:?}");
                link.say_goodbye(&mut wait);
                let wall_s = start.elapsed().as_secs_f64();
                return Ok(Usage { wall_s, cpu_s: 0.0, peak_rss_bytes: 0, written_bytes: 0 });
            }
            Message::UploadFiles { .. } => {
                file_stream::receive(&mut link.wire(&mut wait), &mut kept)?;
                Status::done()
            }
            Message::DownloadFiles { paths, .. } => kept.send(&mut link, &paths, &mut wait)?,
            Message::GetFreeDiskSpace => Status::with((1_u64 << 45).into()),
            Message::ContentsOfDirectory { path } => Status::with(kept.list(&path)),
            Message::MoveItems { moves, .. } => {
                kept.rename(&moves);
                Status::done()
            }
            Message::RemoveItems { paths, .. } => {
                kept.remove(&paths);
                Status::done()
            }
            Message::Ping => continue,
            _ => Status::done(),
        };
        link.answer(status, &mut wait)?;
    }
    bail!("the phone left")
}

/// The lists of the set, by path: some hundred kilobytes, and `Manifest.db`. Of all else the sizes.
#[derive(Default)]
struct Kept {
    files: HashMap<String, Vec<u8>>,
    sizes: BTreeMap<String, u64>,
    arriving: Option<(String, u64, Option<Vec<u8>>)>,
}

impl Kept {
    /// Moves files, or folders with all below them.
    fn rename(&mut self, moves: &[(String, String)]) {
        for (from, to) in moves {
            let below = format!("{from}/");
            let is_moved = |path: &&String| *path == from || path.starts_with(&below);
            let start = self.sizes.range(from.clone()..).map(|(path, _)| path);
            let moved: Vec<String> =
                start.take_while(|path| path.starts_with(from)).filter(is_moved).cloned().collect();
            for path in moved {
                let new = format!("{to}{}", &path[from.len()..]);
                let size = self.sizes.remove(&path).unwrap_or_default();
                self.sizes.insert(new.clone(), size);
                if let Some(bytes) = self.files.remove(&path) {
                    self.files.insert(new, bytes);
                }
            }
        }
    }

    fn remove(&mut self, paths: &[String]) {
        for gone in paths {
            let below = format!("{gone}/");
            self.sizes.retain(|path, _| path != gone && !path.starts_with(&below));
            self.files.retain(|path, _| path != gone && !path.starts_with(&below));
        }
    }

    /// What lies directly in `folder`; folders are those that something lies in.
    fn list(&self, folder: &str) -> Value {
        let start = format!("{folder}/");
        let within = self.sizes.range(start.clone()..).take_while(|(p, _)| p.starts_with(&start));
        let mut lines = Dictionary::new();
        for (path, size) in within {
            let (name, kind, size) = match path[start.len()..].split_once('/') {
                Some((name, _)) => (name, "DLFileTypeDirectory", 0),
                None => (&path[start.len()..], "DLFileTypeRegular", *size),
            };
            let mut line = Dictionary::new();
            line.insert("DLFileType".to_owned(), kind.into());
            line.insert("DLFileSize".to_owned(), size.into());
            let date: plist::Date = std::time::SystemTime::now().into();
            line.insert("DLFileModificationDate".to_owned(), Value::Date(date));
            lines.insert(name.to_owned(), Value::Dictionary(line));
        }
        Value::Dictionary(lines)
    }

    fn send(&self, link: &mut DeviceLink, paths: &[String], wait: &mut AtMost) -> Result<Status> {
        let mut failed = Dictionary::new();
        let mut wire = link.wire(wait);
        for path in paths {
            let sent = match self.files.get(path) {
                Some(bytes) => file_stream::send_file(&mut wire, path, Ok(&mut &bytes[..]))?,
                None => {
                    let missing = io::Error::from(io::ErrorKind::NotFound);
                    file_stream::send_file(&mut wire, path, Err(missing))?
                }
            };
            if let Err(error) = sent {
                let code = StatusCode::of(&error);
                let mut why = Dictionary::new();
                why.insert("DLFileErrorString".to_owned(), code.words().into());
                why.insert("DLFileErrorCode".to_owned(), code.on_the_wire());
                failed.insert(path.clone(), Value::Dictionary(why));
            }
        }
        file_stream::send_end(&mut wire)?;
        if failed.is_empty() {
            return Ok(Status::done());
        }
        let text = Some(StatusCode::Multi.words().to_owned());
        Ok(Status { code: StatusCode::Multi, text, payload: Some(Value::Dictionary(failed)) })
    }
}

impl Receiver for Kept {
    fn begin(&mut self, _: &[u8], host_path: &[u8]) {
        let path = String::from_utf8_lossy(host_path).into_owned();
        let is_list = path.ends_with(".plist") || path.ends_with(".db");
        self.arriving = Some((path, 0, is_list.then(Vec::new)));
    }
    fn data(&mut self, bytes: &[u8]) {
        if let Some((_, size, list)) = &mut self.arriving {
            *size += bytes.len() as u64;
            list.iter_mut().for_each(|list| list.extend_from_slice(bytes));
        }
    }
    fn end(&mut self, _: FileEnd) {
        if let Some((path, size, list)) = self.arriving.take() {
            self.files.extend(list.map(|list| (path.clone(), list)));
            self.sizes.insert(path, size);
        }
    }
}
