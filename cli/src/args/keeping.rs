//! What is kept, what goes, and what is said of snapshots.
use clap::Args;
use devsnap_engine::prune::MaxUnused;
use std::num::NonZeroU32;

/// `forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Forget exactly these: latest, latest~2, id, tag or date
    #[arg(value_name = "SNAP")]
    pub snapshots: Vec<String>,
    /// What to keep.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Say what would be forgotten, forget nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// A policy.
#[derive(Debug, Clone, Default, Args)]
pub struct PolicyArgs {
    /// Keep the newest N; N is a number or `all`, here and below
    #[arg(long, value_name = "N", value_parser = count)]
    pub keep_last: Option<CountArg>,
    /// Keep one for each of the last N hours that have any
    #[arg(long, value_name = "N", value_parser = count)]
    pub keep_hourly: Option<CountArg>,
    /// Keep one for each of the last N days that have any
    #[arg(long, value_name = "N", value_parser = count)]
    pub keep_daily: Option<CountArg>,
    /// Keep one for each of the last N weeks that have any
    #[arg(long, value_name = "N", value_parser = count)]
    pub keep_weekly: Option<CountArg>,
    /// Keep one for each of the last N months that have any
    #[arg(long, value_name = "N", value_parser = count)]
    pub keep_monthly: Option<CountArg>,
    /// Keep one for each of the last N years that have any
    #[arg(long, value_name = "N", value_parser = count)]
    pub keep_yearly: Option<CountArg>,
    /// Keep all that are no further back from the newest, e.g. 1y6m14d2h
    #[arg(long, value_name = "DURATION")]
    pub keep_within: Option<String>,
    /// Keep all that have this tag; may be repeated
    #[arg(long = "keep-tag", value_name = "TAG")]
    pub keep_tags: Vec<String>,
    /// Judge only what is of this device (name or UDID), computer, folder or COMPUTER:/FOLDER
    #[arg(long, value_name = "NAME")]
    pub of: Option<String>,
    /// Let even the last snapshot of a device or folder go
    #[arg(long)]
    pub allow_last: bool,
    /// Believe dates that are far from when the snapshots were stored, as after copying a repository
    #[arg(long)]
    pub trust_dates: bool,
}

/// How many a rule keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountArg {
    /// So many
    UpTo(NonZeroU32),
    /// All there are
    All,
}

/// `tag`.
#[derive(Debug, Args)]
pub struct TagArgs {
    /// Which snapshots: latest, latest~2, id, tag or date
    #[arg(value_name = "SNAP", required = true)]
    pub snapshots: Vec<String>,
    /// Give them this tag; may be repeated
    #[arg(long, value_name = "TAG")]
    pub add: Vec<String>,
    /// Take this tag from them; may be repeated
    #[arg(long, value_name = "TAG")]
    pub remove: Vec<String>,
}

/// `describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Which snapshot: latest, latest~2, id, tag or date
    #[arg(value_name = "SNAP")]
    pub snapshot: String,
    /// The sentence; an empty one takes the last one back
    #[arg(value_name = "TEXT")]
    pub text: String,
}

/// `prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// What may stay though nobody needs it, because it shares packs with what is needed: a size
    /// (500MiB), a share of what is needed (5%), or `unlimited`
    #[arg(long, value_name = "LIMIT", default_value = "5%", value_parser = max_unused)]
    pub max_unused: MaxUnused,
    /// Give up sessions that are in the way and have not stirred for so many hours
    #[arg(long, value_name = "HOURS", default_value_t = 48)]
    pub fence_after_hours: u32,
    /// What to forget first.
    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// A size, a share with a percent sign, or no limit.
fn max_unused(text: &str) -> Result<MaxUnused, String> {
    if text == "unlimited" {
        return Ok(MaxUnused::Unlimited);
    }
    if let Some(share) = text.strip_suffix('%') {
        return match share.trim().parse::<f64>() {
            Ok(share) if share.is_finite() && share >= 0.0 => Ok(MaxUnused::Percent(share)),
            _ => Err("a share is a number and a percent sign, e.g. 5%".to_owned()),
        };
    }
    let size = text.parse::<bytesize::ByteSize>();
    size.map(|size| MaxUnused::Bytes(size.as_u64()))
        .map_err(|_| "a limit is a size (500MiB), a share (5%) or `unlimited`".to_owned())
}

fn count(text: &str) -> Result<CountArg, String> {
    match (text, text.parse()) {
        ("all", _) => Ok(CountArg::All),
        (_, Ok(count)) => Ok(CountArg::UpTo(count)),
        _ => Err("it is a number from 1 on, or all".to_owned()),
    }
}
