//! What goes wrong, on purpose. All services read it; what is not set is well.
use plist::Value;
use std::time::Duration;

/// What is to go wrong with one phone.
///
/// A plain value: whoever starts a phone fills it in, and may replace it while the phone runs
/// ([`Phone::set_faults`](crate::phone::Phone::set_faults)). Connections that are already being
/// served may go by the value they began with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// What becomes of the passcode sheet before a backup, a restore and a change of password.
    pub passcode: Passcode,
    /// The screen is locked: `PasswordProtected` is true, and mobilebackup2 wants an escrow bag.
    pub locked: bool,
    /// What becomes of the question whether to trust the host.
    pub trust: Trust,
    /// Lockdown answers these requests with an error.
    pub lockdown_refusals: Vec<LockdownRefusal>,
    /// Lockdown tells these values otherwise; the phone goes by them too.
    pub lockdown_values: Vec<LockdownValue>,
    /// What the phone asks of a host in a restore that no phone asks.
    pub odd_restore: Option<OddRestore>,
    /// What the phone says to a host in a backup that no phone says.
    pub lie: Option<Lie>,
    /// What becomes of the first lock of `/com.apple.itunes.lock_sync`.
    pub sync_lock: SyncLock,
    /// A connection that breaks off.
    pub cut: Option<Cut>,
    /// Silence before something is said. The connection stays open.
    pub silence: Option<Silence>,
    /// Bytes per second at most on every connection, to the host; `None` is as fast as it goes.
    pub bytes_per_second: Option<u64>,
    /// Backup, restore and change of password end in this MBErrorDomain code, once asked for.
    pub refusal: Option<u32>,
    /// A management profile wants backups encrypted (`RequiresEncryption`): the backup password can
    /// be changed and not taken away.
    pub requires_encryption: bool,
    /// Bytes that a backup needs on the host, whatever it really has: more than the host says is
    /// free ends in code 105.
    pub low_space: Option<u64>,
    /// Seconds without an answer to Marco after which a network phone drops its connections.
    pub heartbeat_patience: Option<Duration>,
}

/// What becomes of the passcode sheet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Passcode {
    /// There is no passcode: nothing is asked.
    #[default]
    Absent,
    /// The right passcode is typed after this time.
    Entered(Duration),
    /// The person taps "Cancel" at once.
    Denied,
    /// Nobody is there; the sheet goes away when the phone gives up.
    Never,
}

/// What becomes of the question whether to trust a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Yes, after the host has been told so many times that the dialog is pending.
    After(u32),
    /// The person taps "Don't Trust".
    Denied,
}

impl Default for Trust {
    fn default() -> Self {
        Trust::After(0)
    }
}

/// One kind of request that lockdown refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockdownRefusal {
    /// E.g. `StartSession`, or `StartService`.
    pub request: String,
    /// E.g. `InvalidHostID`, sent as it stands.
    pub error: String,
    /// How often; `None` is always.
    pub times: Option<u32>,
}

/// A value that lockdown tells otherwise than it would.
#[derive(Debug, Clone, PartialEq)]
pub struct LockdownValue {
    /// E.g. `com.apple.fmip`; `""` is the default domain.
    pub domain: String,
    /// E.g. `IsAssociated`.
    pub key: String,
    /// What it tells; `None`: nothing.
    pub value: Option<Value>,
}

impl LockdownValue {
    /// Whether "Find My" is on, where lockdown tells it.
    pub const FIND_MY: (&str, &str) = ("com.apple.fmip", "IsAssociated");
    /// How much room the phone has, in bytes, where lockdown tells it.
    pub const FREE_BYTES: (&str, &str) = ("com.apple.disk_usage", "AmountDataAvailable");

    /// `value` in this place.
    pub fn of((domain, key): (&str, &str), value: Option<Value>) -> LockdownValue {
        LockdownValue { domain: domain.to_owned(), key: key.to_owned(), value }
    }
}

impl Faults {
    /// What is told in this place otherwise than usual, if anything is.
    pub(crate) fn lockdown_value(&self, (domain, key): (&str, &str)) -> Option<&Value> {
        let mut values = self.lockdown_values.iter();
        values.find(|v| v.domain == domain && v.key == key)?.value.as_ref()
    }
}

/// What a phone says in a backup, before the first file, that no phone says. Whatever it is answered, it
/// goes on, and is content, while there is a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A file for a place outside of all backups.
    UploadsOutside,
    /// The same, from the root.
    UploadsAbsolute,
    /// A file whose name is no file's id.
    UploadsUnderNoId,
    /// A folder outside.
    MakesFoldersOutside,
    /// A file moved to the outside.
    MovesOutside,
    /// All of it removed.
    RemovesOutside,
    /// What lies above listed.
    ListsOutside,
    /// Folder after folder.
    MakesFoldersWithoutEnd,
    /// A greeting after the other.
    PingsWithoutEnd,
    /// A listing after the other.
    ListsWithoutEnd,
    /// One file moved to and fro.
    MovesWithoutEnd,
    /// Files announced, and none sent.
    UploadsNothingWithoutEnd,
    /// One empty file, over and over.
    SendsFilesWithoutEnd,
    /// A file that never ends.
    SendsAFileWithoutEnd,
    /// A block that is said to have 4 GiB.
    SaysABlockIsHuge,
    /// A name that is said to have 4 GiB.
    SaysANameIsHuge,
    /// A message that is said to have 4 GiB.
    SaysAMessageIsHuge,
    /// A message of 400 bytes that is more values than there is memory.
    SendsABomb,
    /// A message that holds itself.
    SendsACycle,
    /// A message of a million arrays, each in the one before.
    SendsADepth,
    /// That all is well, before the first file.
    SaysItIsDone,
    /// That the set is finished, of which nothing has been sent, and that all is well.
    SaysItIsFinished,
}

impl Lie {
    /// All of them.
    pub const ALL: [Lie; 22] = [
        Lie::UploadsOutside,
        Lie::UploadsAbsolute,
        Lie::UploadsUnderNoId,
        Lie::MakesFoldersOutside,
        Lie::MovesOutside,
        Lie::RemovesOutside,
        Lie::ListsOutside,
        Lie::MakesFoldersWithoutEnd,
        Lie::PingsWithoutEnd,
        Lie::ListsWithoutEnd,
        Lie::MovesWithoutEnd,
        Lie::UploadsNothingWithoutEnd,
        Lie::SendsFilesWithoutEnd,
        Lie::SendsAFileWithoutEnd,
        Lie::SaysABlockIsHuge,
        Lie::SaysANameIsHuge,
        Lie::SaysAMessageIsHuge,
        Lie::SendsABomb,
        Lie::SendsACycle,
        Lie::SendsADepth,
        Lie::SaysItIsDone,
        Lie::SaysItIsFinished,
    ];
}

/// What a phone asks of a host in a restore, before the files, that no phone asks. Whatever it is
/// answered, it goes on, and is content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddRestore {
    /// For a file outside of all backups.
    AsksOutside,
    /// To list what lies above the backup.
    ListsOutside,
    /// To take a file into the backup.
    Uploads,
    /// To take a file outside of all backups.
    UploadsOutside,
    /// To make a folder in the backup.
    MakesFolder,
    /// To move a file of the backup.
    Moves,
    /// To remove a file of the backup.
    Removes,
    /// To copy the whole backup.
    Copies,
    /// For a file that the backup does not have.
    AsksForMore,
}

impl OddRestore {
    /// All of them.
    pub const ALL: [OddRestore; 9] = [
        OddRestore::AsksOutside,
        OddRestore::ListsOutside,
        OddRestore::Uploads,
        OddRestore::UploadsOutside,
        OddRestore::MakesFolder,
        OddRestore::Moves,
        OddRestore::Removes,
        OddRestore::Copies,
        OddRestore::AsksForMore,
    ];
}

/// What becomes of the lock that keeps two programs from syncing at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SyncLock {
    /// The first who asks has it.
    #[default]
    Free,
    /// So many attempts are told that it would block.
    Blocks(u32),
    /// Another program has it and never lets go.
    Held,
}

/// Where a connection breaks off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The service's name, e.g. `com.apple.mobilebackup2`; lockdown itself is
    /// `com.apple.mobile.lockdown`.
    pub service: String,
    /// The place.
    pub at: CutAt,
    /// How many connections it happens to; then the fault is over.
    pub times: u32,
}

/// The place where a connection breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutAt {
    /// After the phone has put so many bytes on the wire (of TLS, where there is TLS).
    SentByte(u64),
    /// After so many bytes of the host's have been read from the wire.
    ReceivedByte(u64),
    /// In place of the phone's message of this number; its first is number 0.
    Message(u64),
    /// As a stage of a backup or restore begins.
    Stage(Stage),
}

/// The stages of a MobileBackup2 connection, in order (protocol.md 9.1 and 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Version exchange and Hello.
    Greeting,
    /// The host's request is there; the sheet is up.
    Passcode,
    /// The phone reads what the host has of earlier.
    Reading,
    /// Snapshot and scan: the long silence.
    Preparing,
    /// Folders are made and files sent, or (restore) fetched.
    Uploading,
    /// Files are moved from `Snapshot` to their places.
    Moving,
    /// What is obsolete is removed.
    Removing,
    /// Read back and compared.
    Verifying,
    /// All is done but the last response.
    Finishing,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 9] = [
        Stage::Greeting,
        Stage::Passcode,
        Stage::Reading,
        Stage::Preparing,
        Stage::Uploading,
        Stage::Moving,
        Stage::Removing,
        Stage::Verifying,
        Stage::Finishing,
    ];

    /// Its name in flags.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Greeting => "greeting",
            Stage::Passcode => "passcode",
            Stage::Reading => "reading",
            Stage::Preparing => "preparing",
            Stage::Uploading => "uploading",
            Stage::Moving => "moving",
            Stage::Removing => "removing",
            Stage::Verifying => "verifying",
            Stage::Finishing => "finishing",
        }
    }
}

/// How long the phone says nothing, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The service's name, as in [`Cut::service`].
    pub service: String,
    /// Before which message, counted from 0; mobilebackup2 takes [`CutAt::Stage`] too.
    pub before: CutAt,
    /// How long.
    pub lasts: Duration,
}
