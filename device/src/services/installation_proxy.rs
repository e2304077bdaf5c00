//! The apps of a device, as far as `Info.plist` names them.
use plist::{Dictionary, Value};

use super::ANSWER_WAIT;
use crate::error::Result;
use crate::plist_stream::{Encoding, PlistStream};
use crate::transport::DeviceStream;

/// The service.
pub const SERVICE: &str = "com.apple.mobile.installation_proxy";

/// More apps than this are not listed; a phone with a thousand is rare.
const APPS_MAX: usize = 20_000;

/// What is kept of one app at most, in bytes, and of all of them: they go into one list.
const DETAIL_LEN_MAX: usize = 1 << 20;

/// An app that the person installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name for ever.
    pub bundle_id: String,
    /// The store's licence for it.
    pub sinf: Option<Vec<u8>>,
    /// The store's description of it.
    pub metadata: Option<Vec<u8>>,
}

/// All apps that the person installed; as many as the device tells before it stops.
///
/// # Errors
///
/// The connection broke.
pub fn user_apps(stream: Box<dyn DeviceStream>) -> Result<Vec<App>> {
    let mut stream = PlistStream::over(stream, Encoding::Xml)?;
    stream.send(&Value::Dictionary(browse()), &mut ANSWER_WAIT.clone())?;
    let mut apps = Vec::new();
    loop {
        let answer = stream.receive_dictionary(&mut ANSWER_WAIT.clone())?;
        let status = answer.get("Status").and_then(Value::as_string);
        let listed = answer.get("CurrentList").and_then(Value::as_array);
        apps.extend(listed.into_iter().flatten().filter_map(app));
        if status != Some("BrowsingApplications") || apps.len() > APPS_MAX {
            return Ok(apps);
        }
    }
}

fn browse() -> Dictionary {
    let attributes = ["CFBundleIdentifier", "ApplicationSINF", "iTunesMetadata"];
    let mut options = Dictionary::new();
    options.insert("ApplicationType".to_owned(), "User".into());
    let attributes = attributes.map(Value::from).to_vec();
    options.insert("ReturnAttributes".to_owned(), Value::Array(attributes));
    let mut request = Dictionary::new();
    request.insert("Command".to_owned(), "Browse".into());
    request.insert("ClientOptions".to_owned(), Value::Dictionary(options));
    request
}

fn app(listed: &Value) -> Option<App> {
    let listed = listed.as_dictionary()?;
    let bundle_id = listed.get("CFBundleIdentifier")?.as_string()?;
    let data = |key: &str| {
        let data = listed.get(key)?.as_data()?;
        (data.len() <= DETAIL_LEN_MAX).then(|| data.to_vec())
    };
    (!bundle_id.is_empty() && bundle_id.len() <= 256).then(|| App {
        bundle_id: bundle_id.to_owned(),
        sinf: data("ApplicationSINF"),
        metadata: data("iTunesMetadata"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plist_stream::frame;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn apps_come_in_pieces_until_the_device_says_complete() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut say = |status: &str, ids: &[&str]| {
            let list = ids.iter().map(|id| {
                let mut app = Dictionary::new();
                app.insert("CFBundleIdentifier".to_owned(), (*id).into());
                app.insert("ApplicationSINF".to_owned(), Value::Data(vec![1]));
                Value::Dictionary(app)
            });
            let mut answer = Dictionary::new();
            answer.insert("Status".to_owned(), status.into());
            answer.insert("CurrentList".to_owned(), Value::Array(list.collect()));
            far.write_all(&frame(&Value::Dictionary(answer), Encoding::Xml)).unwrap();
        };
        say("BrowsingApplications", &["org.one", ""]);
        say("BrowsingApplications", &["org.two"]);
        say("Complete", &[]);
        let apps = user_apps(Box::new(near)).unwrap();
        let ids: Vec<_> = apps.iter().map(|app| app.bundle_id.as_str()).collect();
        assert_eq!(ids, ["org.one", "org.two"]);
        assert_eq!((apps[0].sinf.as_deref(), &apps[0].metadata), (Some(&[1][..]), &None));
    }
}
