//! Which words may stand in a recording. Whatever is not here is replaced.
use crate::lockdown::TELLING_NOTHING;

/// Keys of property lists that the protocol has names for. Others are told in lockdown only, where
/// they are identifiers by construction.
const KEYS: &[&str] = &[
    "ApplicationSINF",
    "ApplicationType",
    "BackupState",
    "BuildVersion",
    "CFBundleIdentifier",
    "ClientOptions",
    "Command",
    "Content",
    "CurrentAmount",
    "CurrentIndex",
    "CurrentList",
    "DLFileErrorCode",
    "DLFileErrorString",
    "DLFileModificationDate",
    "DLFileSize",
    "DLFileType",
    "Date",
    "DetailedErrorDescription",
    "DeviceClass",
    "DeviceName",
    "Diagnostics",
    "Domain",
    "EnableServiceSSL",
    "EnableSessionSSL",
    "Error",
    "ErrorCode",
    "ErrorDescription",
    "ErrorDetail",
    "EscrowBag",
    "ForceFullBackup",
    "Identifier",
    "Interval",
    "IsFullBackup",
    "Key",
    "Label",
    "MessageName",
    "MobileGestalt",
    "MobileGestaltKeys",
    "Name",
    "NewPassword",
    "OldPassword",
    "Options",
    "Password",
    "PasswordConfigured",
    "PercentComplete",
    "Port",
    "ProductType",
    "ProductVersion",
    "ProtocolVersion",
    "RemoveItemsNotRestored",
    "Request",
    "RestoreDontCopyBackup",
    "RestorePreserveSettings",
    "RestoreShouldReboot",
    "RestoreSystemFiles",
    "Result",
    "ReturnAttributes",
    "Service",
    "SessionID",
    "SnapshotState",
    "SourceIdentifier",
    "Status",
    "SupportedProtocolVersions",
    "SupportsSleepyTime",
    "TargetIdentifier",
    "Total",
    "Type",
    "UUID",
    "UniqueDeviceID",
    "Value",
    "Version",
    "bundleId",
    "command",
    "iTunesMetadata",
    "pngData",
];

/// Keys whose texts and numbers are words of the protocol. What says only what kind of device it is is
/// told too, as `device info --redact` tells it.
const OPEN: &[&str] = &[
    "ApplicationType",
    "BackupState",
    "Command",
    "CurrentAmount",
    "CurrentIndex",
    "DLFileType",
    "Domain",
    "Error",
    "Interval",
    "Key",
    "Label",
    "MessageName",
    "MobileGestaltKeys",
    "Port",
    "ProtocolVersion",
    "Request",
    "Result",
    "ReturnAttributes",
    "Service",
    "SnapshotState",
    "Status",
    "SupportedProtocolVersions",
    "Total",
    "Type",
    "Version",
    "command",
    "MinITunesVersion",
];

/// Keys whose texts are sentences of the device.
const SENTENCES: &[&str] = &[
    "Content",
    "DLFileErrorString",
    "DetailedErrorDescription",
    "ErrorDescription",
    "ErrorDetail",
];

/// Words that stand where everything else is a path or a sentence.
const WORDS: &[&str] = &[
    "___EmptyParameterString___",
    "DLVersionsOk",
    "No such file or directory",
    "File exists",
    "Not a directory",
    "Is a directory",
    "Input/output error",
    "Multi status",
    "No space left on device",
    "Operation not permitted",
];

/// Names in a backup folder.
const NAMES: &[&str] = &[
    "Info.plist",
    "Manifest.db",
    "Manifest.db-shm",
    "Manifest.db-wal",
    "Manifest.mbdb",
    "Manifest.plist",
    "Snapshot",
    "Status.plist",
    "_extract_",
    "_unback_",
];

/// Words with capitals that sentences of the device have, from its published messages.
const CAPITALS: &[&str] = &[
    "AFC",
    "Backup",
    "Cannot",
    "Code",
    "Could",
    "Device",
    "Domain",
    "Error",
    "Failed",
    "File",
    "Info",
    "Input",
    "Insufficient",
    "Invalid",
    "Keychain",
    "MBErrorDomain",
    "Manifest",
    "Missing",
    "Multiple",
    "No",
    "Not",
    "NSCocoaErrorDomain",
    "NSPOSIXErrorDomain",
    "NSUnderlyingError",
    "NSSQLiteErrorDomain",
    "NULL",
    "Restore",
    "Snapshot",
    "Status",
    "The",
    "This",
    "UserInfo",
    "Unable",
    "Unexpected",
    "iTunes",
];

pub(super) fn is_key(word: &str) -> bool {
    KEYS.contains(&word)
}

pub(super) fn is_open(key: &str) -> bool {
    OPEN.contains(&key) || TELLING_NOTHING.contains(&key)
}

pub(super) fn is_sentence(key: &str) -> bool {
    SENTENCES.contains(&key)
}

/// A word of DeviceLink itself.
pub(super) fn is_word(text: &str) -> bool {
    let is_name = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphabetic());
    WORDS.contains(&text) || (text.len() <= 64 && text.starts_with("DL") && is_name(text))
}

pub(super) fn is_name(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(super) fn may_begin_a_word(word: &str) -> bool {
    CAPITALS.contains(&word)
}

/// Names of notifications and services are Apple's own.
pub(super) fn is_apples(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    text.len() <= 96 && text.starts_with("com.apple.") && text.bytes().all(is_plain)
}
