//! What lockdown answers.
use crate::tape::{Tape, framed};
use devsnap_device::DeviceErrorKind;
use devsnap_device::lockdown::{DeviceInfo, Lockdown};
use devsnap_device::plist_guard::TEXT_LEN_MAX;
use devsnap_device::transport::AtMost;
use plist::{Dictionary, Value};
use std::time::Duration;

/// No tape is waited for.
const SOON: AtMost = AtMost(Duration::from_secs(5));

/// Whatever comes instead of answers is an error of the device or of the connection, and what is
/// taken for a device has a name that is safe as a path's. Input: the stream of a connection.
pub fn lockdown_answer(data: &[u8]) {
    let mut lockdown = match Lockdown::over(Tape::of(data.to_vec()), SOON) {
        Ok(lockdown) => lockdown,
        Err(error) => panic!("a tape can be spoken to, but {error}"),
    };
    let heard = lockdown.query_type().and_then(|()| lockdown.value(None, None));
    let info = heard.and_then(DeviceInfo::of_values);
    let refused = lockdown.ask("StartService", Dictionary::new());
    match info {
        Ok(info) => {
            let texts = [&info.name, &info.product_type, &info.product_version];
            assert!(texts.iter().all(|text| text.len() <= TEXT_LEN_MAX));
            assert!(info.udid.as_str().bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
            assert!(info.udid_on_the_wire.len() <= TEXT_LEN_MAX);
        }
        Err(error) => {
            let kinds = [
                DeviceErrorKind::ConnectionLost,
                DeviceErrorKind::Protocol,
                DeviceErrorKind::DeviceFailed,
            ];
            let kind = error.kind();
            assert!(kinds.contains(&kind) || is_refusal(kind), "{error}");
        }
    }
    if let Ok(Err(refusal)) = refused {
        let told = refusal.into_error("starting a service").to_string();
        assert!(!told.chars().any(char::is_control));
    }
}

/// Kinds that a word of refusal stands for.
fn is_refusal(kind: DeviceErrorKind) -> bool {
    use DeviceErrorKind::{FindMyOn, Locked, Managed, NotTrusted, SetupUnfinished, TrustRefused};
    [FindMyOn, Locked, Managed, NotTrusted, SetupUnfinished, TrustRefused].contains(&kind)
}

pub(crate) fn lockdown_answer_seeds() -> Vec<Vec<u8>> {
    let answer = |fields: Vec<(&str, Value)>| {
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value));
        let mut bytes = Vec::new();
        let written = Value::Dictionary(fields.collect()).to_writer_xml(&mut bytes);
        written.expect("because a Vec takes every write");
        framed(&bytes)
    };
    let who =
        answer(vec![("Request", "QueryType".into()), ("Type", "com.apple.mobile.lockdown".into())]);
    let device = Dictionary::from_iter([
        ("UniqueDeviceID", Value::from("00008030-001A2B3C4D5E6F78")),
        ("DeviceName", "Ann\u{2019}s iPhone".into()),
        ("ProductType", "iPhone14,5".into()),
        ("ProductVersion", "17.5.1".into()),
        ("BuildVersion", "21F90".into()),
    ]);
    let values = answer(vec![("Request", "GetValue".into()), ("Value", Value::Dictionary(device))]);
    let refused =
        answer(vec![("Request", "StartService".into()), ("Error", "InvalidHostID".into())]);
    let failed = answer(vec![("Request", "QueryType".into()), ("Result", "Failure".into())]);
    vec![[who, values, refused].concat(), failed]
}
