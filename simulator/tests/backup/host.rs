//! A host that keeps a folder, over a pair of sockets: as small as a host can be that phones accept.
//! It can be told to misbehave.
use devsnap_simulator::contents::{Contents, Proportions};
use devsnap_simulator::mobilebackup2::{self, Habits};
use devsnap_simulator::{Connection, Phone, simulator};
use plist::{Dictionary, Value};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// No answer takes so long, unless a test wants it to.
const PATIENCE: Duration = Duration::from_secs(120);

/// The phone's end of a pair of sockets.
struct Pipe(UnixStream);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Connection for Pipe {
    fn set_read_timeout(&mut self, wait_at_most: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(wait_at_most)
    }
}

/// A phone of some hundred files, in a folder that goes away with it.
pub(crate) struct Lent {
    pub(crate) phone: Arc<Phone>,
    pub(crate) folder: TempDir,
}

impl Lent {
    /// The phone that `seed` stands for.
    pub(crate) fn new(seed: u64) -> Lent {
        let folder = tempfile::tempdir().unwrap();
        let proportions = Proportions { files: 320, bytes: 4 << 20 };
        Contents::generate(seed, &proportions).save(folder.path()).unwrap();
        Habits { keybag_rounds: 200, ..Habits::default() }.save(folder.path()).unwrap();
        let phone = Phone::new(simulator::identity(0), folder.path().to_owned()).with_seed(seed);
        Lent { phone: Arc::new(phone), folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn udid(&self) -> String {
        self.phone.identity().udid.clone()
    }

    pub(crate) fn contents(&self) -> Contents {
        Contents::open(self.path()).unwrap()
    }

    /// Lets a day pass.
    pub(crate) fn day(&self, seed: u64) {
        let mut contents = self.contents();
        contents.mutate(seed);
        contents.save(self.path()).unwrap();
    }

    /// Changes its habits.
    pub(crate) fn habits(&self, change: impl FnOnce(&mut Habits)) {
        let mut habits = Habits::load(self.path()).unwrap();
        change(&mut habits);
        habits.save(self.path()).unwrap();
    }
}

/// How the host misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// Sends files in blocks of 64 KiB.
    LargeBlocks,
    /// Answers with three elements.
    ShortAnswers,
    /// Answers with a dictionary.
    ShapelessAnswers,
    /// Does not answer.
    Silent,
    /// Says that so much is free.
    Free(u64),
    /// Drops one of the files it is sent, and says nothing.
    LosesAFile,
    /// Does not remove, and says that it did.
    KeepsAll,
    /// Lists blobs with other sizes.
    WrongSizes,
    /// Sends XML.
    Xml,
    /// Stops at the first file it cannot send, as idevicebackup2 does.
    StopsAtFailure,
}

/// The final response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    pub(crate) code: u64,
    pub(crate) text: String,
}

/// A host with a folder.
pub(crate) struct Host {
    pub(crate) root: PathBuf,
    pub(crate) quirk: Option<Quirk>,
    /// What the phone asked for: message and first path.
    pub(crate) asked: Vec<String>,
    /// Codes of all blocks that came, and the largest.
    pub(crate) failed_files: usize,
    stream: Option<UnixStream>,
    served: Option<JoinHandle<io::Result<()>>>,
}

impl Host {
    /// A host that keeps its backups in `root`.
    pub(crate) fn new(root: &Path) -> Host {
        Host {
            root: root.to_owned(),
            quirk: None,
            asked: Vec::new(),
            failed_files: 0,
            stream: None,
            served: None,
        }
    }

    pub(crate) fn with(root: &Path, quirk: Quirk) -> Host {
        Host { quirk: Some(quirk), ..Host::new(root) }
    }

    /// Backs the phone up.
    pub(crate) fn backup(&mut self, lent: &Lent) -> io::Result<Response> {
        self.request(lent, "Backup", Dictionary::new())
    }

    /// Backs it up, and it goes well.
    pub(crate) fn back_up(&mut self, lent: &Lent) {
        let response = self.backup(lent).unwrap();
        assert_eq!(response.code, 0, "{response:?}");
    }

    /// Connects, greets, asks, and serves until the response.
    pub(crate) fn request(
        &mut self,
        lent: &Lent,
        verb: &str,
        mut fields: Dictionary,
    ) -> io::Result<Response> {
        self.connect(lent)?;
        fields.insert("MessageName".into(), Value::from(verb));
        if !fields.contains_key("TargetIdentifier") {
            fields.insert("TargetIdentifier".into(), Value::from(lent.udid()));
        }
        self.send(vec!["DLMessageProcessMessage".into(), Value::Dictionary(fields)])?;
        let result = self.serve();
        self.stream = None;
        let served = self.served.take().unwrap().join().unwrap();
        if result.is_ok() {
            served.unwrap();
        }
        result
    }

    /// How the phone saw a session that failed.
    pub(crate) fn fails(&mut self, lent: &Lent) -> String {
        let ended = self.connect(lent).and_then(|()| {
            let mut fields = Dictionary::new();
            fields.insert("MessageName".into(), Value::from("Backup"));
            fields.insert("TargetIdentifier".into(), Value::from(lent.udid()));
            self.send(vec!["DLMessageProcessMessage".into(), Value::Dictionary(fields)])?;
            self.serve()
        });
        assert!(ended.is_err(), "{ended:?}");
        let served = self.served.take().unwrap().join().unwrap();
        self.stream = None;
        served.unwrap_err().to_string()
    }

    fn connect(&mut self, lent: &Lent) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(PATIENCE))?;
        self.stream = Some(ours);
        let phone = Arc::clone(&lent.phone);
        self.served =
            Some(std::thread::spawn(move || mobilebackup2::serve(&mut Pipe(theirs), &phone)));
        let hello = self.receive()?;
        assert_eq!(hello[0].as_string(), Some("DLMessageVersionExchange"));
        self.send(vec!["DLMessageVersionExchange".into(), "DLVersionsOk".into(), 400u64.into()])?;
        assert_eq!(self.receive()?[0].as_string(), Some("DLMessageDeviceReady"));
        let mut hello = Dictionary::new();
        hello.insert("MessageName".into(), "Hello".into());
        let versions = vec![Value::Real(2.0), Value::Real(2.1)];
        hello.insert("SupportedProtocolVersions".into(), Value::Array(versions));
        self.send(vec!["DLMessageProcessMessage".into(), Value::Dictionary(hello)])?;
        let answer = self.receive()?;
        assert_eq!(answer.len(), 2);
        let fields = answer[1].as_dictionary().unwrap();
        assert_eq!(fields["ErrorCode"].as_unsigned_integer(), Some(0));
        assert_eq!(fields["ProtocolVersion"].as_real(), Some(2.1));
        Ok(())
    }

    /// Answers until the final response.
    fn serve(&mut self) -> io::Result<Response> {
        loop {
            let message = self.receive()?;
            let name = message[0].as_string().unwrap().to_owned();
            let is_last = name == "DLMessageProcessMessage";
            let subject = message.get(1).filter(|_| !is_last).map(first_path).unwrap_or_default();
            self.asked.push(format!("{name} {subject}").trim_end().to_owned());
            match name.as_str() {
                "DLMessageProcessMessage" => {
                    let fields = message[1].as_dictionary().unwrap();
                    let text = fields.get("ErrorDescription").and_then(Value::as_string);
                    return Ok(Response {
                        code: fields["ErrorCode"].as_unsigned_integer().unwrap(),
                        text: text.unwrap_or_default().to_owned(),
                    });
                }
                "DLMessageDownloadFiles" => self.send_files(&message[1])?,
                "DLMessageUploadFiles" => self.take_files()?,
                "DLMessageGetFreeDiskSpace" => {
                    let free = match self.quirk {
                        Some(Quirk::Free(free)) => free,
                        _ => 1 << 40,
                    };
                    self.answer(0, Value::from(free))?;
                }
                "DLMessagePurgeDiskSpace" => self.answer(-1, nothing())?,
                "DLContentsOfDirectory" => {
                    let listing = self.listing(&subject)?;
                    self.answer(0, listing)?;
                }
                "DLMessageCreateDirectory" => {
                    fs::create_dir_all(self.root.join(&subject))?;
                    self.answer(0, nothing())?;
                }
                "DLMessageMoveItems" => {
                    for (from, to) in message[1].as_dictionary().unwrap() {
                        let to = self.root.join(to.as_string().unwrap());
                        fs::rename(self.root.join(from), to)?;
                    }
                    self.answer(0, nothing())?;
                }
                "DLMessageRemoveItems" => {
                    for path in message[1].as_array().unwrap() {
                        let path = self.root.join(path.as_string().unwrap());
                        if self.quirk == Some(Quirk::KeepsAll) {
                        } else if path.is_dir() {
                            fs::remove_dir_all(path)?;
                        } else if path.exists() {
                            fs::remove_file(path)?;
                        }
                    }
                    self.answer(0, nothing())?;
                }
                "DLMessageCopyItem" => {
                    let to = self.root.join(message[2].as_string().unwrap());
                    copy_folder(&self.root.join(&subject), &to)?;
                    self.answer(0, nothing())?;
                }
                other => panic!("the phone says {other}"),
            }
        }
    }

    fn send_files(&mut self, paths: &Value) -> io::Result<()> {
        let block = if self.quirk == Some(Quirk::LargeBlocks) { 65_536 } else { 32_768 };
        let mut errors = Dictionary::new();
        for path in paths.as_array().unwrap() {
            let path = path.as_string().unwrap();
            self.number(path.len())?;
            self.write(path.as_bytes())?;
            let Ok(bytes) = fs::read(self.root.join(path)) else {
                let text = b"No such file or directory";
                self.number(text.len() + 1)?;
                self.write(&[0x06])?;
                self.write(text)?;
                let mut error = Dictionary::new();
                error.insert("DLFileErrorString".into(), "No such file or directory".into());
                // As libimobiledevice writes it: 64 bits, unsigned.
                error.insert("DLFileErrorCode".into(), Value::from(u64::MAX - 5));
                errors.insert(path.to_owned(), Value::Dictionary(error));
                if self.quirk == Some(Quirk::StopsAtFailure) {
                    break;
                }
                continue;
            };
            for part in bytes.chunks(block) {
                self.number(part.len() + 1)?;
                self.write(&[0x0C])?;
                self.write(part)?;
            }
            self.number(1)?;
            self.write(&[0x00])?;
        }
        self.number(0)?;
        let code = if errors.is_empty() { 0 } else { -13 };
        self.answer(code, Value::Dictionary(errors))
    }

    fn take_files(&mut self) -> io::Result<()> {
        loop {
            let length = self.read_number()?;
            if length == 0 {
                break;
            }
            self.read(length)?;
            let length = self.read_number()?;
            let path = String::from_utf8(self.read(length)?).unwrap();
            // Like idevicebackup2 it makes no folders of its own accord.
            let mut file = File::create(self.root.join(&path))?;
            loop {
                let length = self.read_number()?;
                let bytes = self.read(length)?;
                match bytes[0] {
                    0x0C => file.write_all(&bytes[1..])?,
                    0x00 => break,
                    0x0B => {
                        self.failed_files += 1;
                        fs::remove_file(self.root.join(&path))?;
                        break;
                    }
                    code => panic!("a block of code {code}"),
                }
            }
        }
        if self.quirk == Some(Quirk::LosesAFile) {
            self.lose_one()?;
        }
        self.answer(0, nothing())
    }

    /// Puts an empty file in place of one that was sent, once.
    fn lose_one(&mut self) -> io::Result<()> {
        for shard in fs::read_dir(&self.root)?.flatten() {
            let Ok(snapshot) = fs::read_dir(shard.path().join("Snapshot")) else { continue };
            let shards = snapshot.flatten().filter_map(|shard| fs::read_dir(shard.path()).ok());
            for blob in shards.flatten().flatten() {
                if blob.metadata()?.len() > 0 {
                    File::create(blob.path())?;
                    self.quirk = None;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn listing(&self, path: &str) -> io::Result<Value> {
        let mut listing = Dictionary::new();
        let Ok(entries) = fs::read_dir(self.root.join(path)) else { return Ok(nothing()) };
        for entry in entries {
            let entry = entry?;
            let data = entry.metadata()?;
            let kind = if data.is_dir() { "DLFileTypeDirectory" } else { "DLFileTypeRegular" };
            let wrong = u64::from(self.quirk == Some(Quirk::WrongSizes));
            let mut fields = Dictionary::new();
            fields.insert("DLFileType".into(), kind.into());
            fields.insert("DLFileSize".into(), Value::from(data.len() + wrong));
            let date = plist::Date::from(data.modified().unwrap_or(SystemTime::UNIX_EPOCH));
            fields.insert("DLFileModificationDate".into(), Value::Date(date));
            listing.insert(entry.file_name().into_string().unwrap(), Value::Dictionary(fields));
        }
        Ok(Value::Dictionary(listing))
    }

    fn answer(&mut self, code: i64, payload: Value) -> io::Result<()> {
        // As libimobiledevice writes negative codes.
        let code = Value::from(u64::from_ne_bytes(code.to_ne_bytes()));
        let mut answer =
            vec!["DLMessageStatusResponse".into(), code, "___EmptyParameterString___".into()];
        match self.quirk {
            Some(Quirk::Silent) => return Ok(()),
            Some(Quirk::ShortAnswers) => {}
            Some(Quirk::ShapelessAnswers) => {
                answer[1] = Value::Dictionary(Dictionary::new());
                answer.push(payload);
            }
            _ => answer.push(payload),
        }
        self.send(answer)
    }

    fn send(&mut self, message: Vec<Value>) -> io::Result<()> {
        let mut bytes = Vec::new();
        let message = Value::Array(message);
        if self.quirk == Some(Quirk::Xml) {
            message.to_writer_xml(&mut bytes).unwrap();
        } else {
            message.to_writer_binary(&mut bytes).unwrap();
        }
        self.number(bytes.len())?;
        self.write(&bytes)
    }

    fn receive(&mut self) -> io::Result<Vec<Value>> {
        let length = self.read_number()?;
        let bytes = self.read(length)?;
        Ok(Value::from_reader(io::Cursor::new(bytes)).unwrap().into_array().unwrap())
    }

    fn number(&mut self, number: usize) -> io::Result<()> {
        self.write(&u32::try_from(number).unwrap().to_be_bytes())
    }

    fn read_number(&mut self) -> io::Result<usize> {
        let bytes = self.read(4)?;
        Ok(usize::try_from(u32::from_be_bytes(bytes.try_into().unwrap())).unwrap())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.as_mut().unwrap().write_all(bytes)
    }

    fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.as_mut().unwrap().read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn nothing() -> Value {
    Value::Dictionary(Dictionary::new())
}

/// A path, the first of several, or the first that is moved.
fn first_path(subject: &Value) -> String {
    let text = match subject {
        Value::Array(paths) => paths.first().and_then(Value::as_string),
        Value::Dictionary(moves) => moves.keys().next().map(String::as_str),
        other => other.as_string(),
    };
    text.unwrap_or_default().to_owned()
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
