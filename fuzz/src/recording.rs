//! Recordings of what a device says.
use crate::tape::Tape;
use devsnap_device::Udid;
use devsnap_device::lockdown::PORT;
use devsnap_device::plist_stream::{Encoding, frame};
use devsnap_device::recording::Recorder;
use devsnap_device::transport::{ConnectionKind, DeviceAddress, DeviceStream, Events, Transport};
use devsnap_device::{DeviceError, DeviceErrorKind};
use plist::{Dictionary, Value};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

const UDID: &str = "00008030-001A2B3C4D5E6F78";

/// Where the services wait that are listened to, in the order they are started.
const SERVICES: [&str; 3] =
    ["com.apple.mobilebackup2", "com.apple.afc", "com.apple.mobile.installation_proxy"];

/// A recording is lines of JSON, and has no UDID in it, whatever the device says, in whichever
/// service.
pub fn recording(data: &[u8]) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let out = Box::new(Shared(written.clone()));
    let recorder = Recorder::to(out, "fuzz").expect("because the system has random bytes");
    let device = recorder.over(Arc::new(Device(data.to_vec())));
    let attached = device.devices().expect("because it has one");
    for (port, service) in (1..).zip(SERVICES) {
        hear(&*device, &attached[0], PORT, &asking_for(service));
        hear(&*device, &attached[0], port, b"");
    }
    drop(device);
    recorder.finish().expect("because a Vec takes every write");
    let text = written.lock().expect("because no holder panics").clone();
    let text = String::from_utf8(text).expect("because JSON is text").to_ascii_lowercase();
    assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{text}");
    for udid in [UDID.to_owned(), UDID.replace('-', "")] {
        assert!(!text.contains(&udid.to_ascii_lowercase()), "{text}");
    }
}

/// Says `ours` and hears all that the device says.
fn hear(device: &dyn Transport, at: &DeviceAddress, port: u16, ours: &[u8]) {
    let mut stream = device.connect(at, port).expect("because all ports are open");
    stream.write_all(ours).expect("because it takes every write");
    let _ = stream.read_to_end(&mut Vec::new());
}

fn asking_for(service: &str) -> Vec<u8> {
    let fields = [("Request", "StartService"), ("Service", service)];
    let fields = fields.map(|(key, value)| (key.to_owned(), Value::from(value)));
    frame(&Value::Dictionary(Dictionary::from_iter(fields)), Encoding::Xml)
}

/// Gives each service of the list its port, then says its bytes; on other ports its bytes only.
struct Device(Vec<u8>);

impl Device {
    fn answers(&self) -> Vec<u8> {
        let mut said = Vec::new();
        for port in 1..=SERVICES.len() {
            let answer = [("Port".to_owned(), Value::from(port as u64))];
            said.extend(frame(&Value::Dictionary(Dictionary::from_iter(answer)), Encoding::Binary));
        }
        said
    }
}

impl Transport for Device {
    fn devices(&self) -> Result<Vec<DeviceAddress>, DeviceError> {
        let udid = Udid::parse(UDID).expect("because it is one");
        Ok(vec![DeviceAddress { udid, kind: ConnectionKind::Usb, handle: 1 }])
    }
    fn watch(&self) -> Result<Box<dyn Events>, DeviceError> {
        Err(DeviceError::new(DeviceErrorKind::NoUsbmuxd, "nothing happens"))
    }
    fn connect(&self, _: &DeviceAddress, port: u16) -> Result<Box<dyn DeviceStream>, DeviceError> {
        let mut said = if port == PORT { self.answers() } else { Vec::new() };
        said.extend_from_slice(&self.0);
        Ok(Tape::of(said))
    }
    fn pair_record(&self, _: &Udid) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(None)
    }
    fn save_pair_record(&self, _: &DeviceAddress, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }
    fn delete_pair_record(&self, _: &Udid) -> Result<(), DeviceError> {
        Ok(())
    }
    fn system_buid(&self) -> Result<Option<String>, DeviceError> {
        Ok(None)
    }
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("because no holder panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn recording_seeds() -> Vec<Vec<u8>> {
    let path = format!("{UDID}/Snapshot/ab/ab34567890123456789012345678901234567890");
    let upload = Value::Array(vec!["DLMessageUploadFiles".into(), 0.5.into(), 7.into()]);
    let mut files = frame(&upload, Encoding::Binary);
    let mut put = |bytes: &[u8]| {
        files.extend(u32::try_from(bytes.len()).expect("because it is short").to_be_bytes());
        files.extend(bytes);
    };
    for bytes in [UDID.as_bytes(), path.as_bytes(), b"\x0chello", b"\x00", b""] {
        put(bytes);
    }
    let fields = [
        ("ErrorDescription", format!("no room for {UDID} in {path}")),
        ("Status", UDID.to_owned()),
        ("Label", format!("of {UDID}")),
        (UDID, path.clone()),
        ("CFBundleIdentifier", format!("org.{UDID}")),
    ];
    let fields = fields.map(|(key, value)| (key.to_owned(), Value::from(value)));
    let said = Value::Dictionary(Dictionary::from_iter(fields));
    let words = vec!["DLMessageProcessMessage".into(), said.clone(), path.into()];
    vec![
        files,
        frame(&said, Encoding::Xml),
        frame(&Value::Array(words), Encoding::Binary),
        [b"CFA6LPAA".as_slice(), &[65, 0, 0, 0, 0, 0, 0, 0], &[0; 24], UDID.as_bytes()].concat(),
    ]
}
