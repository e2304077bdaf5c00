//! A host that takes everything a phone sends and keeps nothing: how fast the simulator is by itself.
use std::{
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
    while let Some(message) = link.receive(&mut wait)? {
        let status = match message {
            Message::Process(response) => {
                ensure!(response_code(&response) == Some(0), "the phone failed: {response:?}");
                link.say_goodbye(&mut wait);
                let wall_s = start.elapsed().as_secs_f64();
                return Ok(Usage { wall_s, cpu_s: 0.0, peak_rss_bytes: 0, written_bytes: 0 });
            }
            Message::UploadFiles { .. } => {
                file_stream::receive(&mut link.wire(&mut wait), &mut Nobody)?;
                Status::done()
            }
            Message::DownloadFiles { paths, .. } => nothing_there(&mut link, &paths, &mut wait)?,
            Message::GetFreeDiskSpace => Status::with((1_u64 << 45).into()),
            Message::ContentsOfDirectory { .. } => {
                Status::with(Value::Dictionary(Dictionary::new()))
            }
            Message::Ping => continue,
            _ => Status::done(),
        };
        link.answer(status, &mut wait)?;
    }
    bail!("the phone left")
}

fn nothing_there(link: &mut DeviceLink, paths: &[String], wait: &mut AtMost) -> Result<Status> {
    let mut failed = Dictionary::new();
    let mut wire = link.wire(wait);
    for path in paths {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let code = StatusCode::of(&missing);
        let sent = file_stream::send_file(&mut wire, path, Err(missing))?;
        debug_assert!(sent.is_err(), "because there is nothing");
        let mut why = Dictionary::new();
        why.insert("DLFileErrorString".to_owned(), code.words().into());
        why.insert("DLFileErrorCode".to_owned(), code.on_the_wire());
        failed.insert(path.clone(), Value::Dictionary(why));
    }
    file_stream::send_end(&mut wire)?;
    let text = Some(StatusCode::Multi.words().to_owned());
    Ok(Status { code: StatusCode::Multi, text, payload: Some(Value::Dictionary(failed)) })
}

struct Nobody;

impl Receiver for Nobody {
    fn begin(&mut self, _: &[u8], _: &[u8]) {}
    fn data(&mut self, _: &[u8]) {}
    fn end(&mut self, _: FileEnd) {}
}
