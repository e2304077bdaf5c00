//! What happens to files on the phone while they are being sent.
use super::plan::Upload;
use crate::contents::{Contents, Shape};
use crate::random::Random;
use std::collections::BTreeMap;

/// What happens to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// It is changed: its stream ends in an error, and it is sent once more.
    Changes,
    /// It gets longer than its metadata said, and is sent so.
    Grows,
    /// It is deleted: its stream ends in an error, and it is not in the backup.
    Vanishes,
}

/// Decides by chance. In a backup of a dozen files or more each of the three happens.
pub(super) fn forecast(
    uploads: &[Upload],
    contents: &Contents,
    random: &mut Random,
) -> BTreeMap<String, Weather> {
    let mut names: Vec<(&Upload, bool)> = uploads
        .iter()
        .filter_map(|upload| {
            let item = contents.get(&upload.domain, &upload.relative_path)?;
            let body = item.body.as_ref()?;
            // Files that every phone has, and those that are there for their names, stay.
            let ordinary = item.domain.starts_with("AppDomain")
                && !item.domain.starts_with("AppDomain-com.example.odd")
                || item.relative_path.starts_with("Media/DCIM/");
            let grows = matches!(body.shape, Shape::Noise | Shape::Text);
            ordinary.then_some((upload, grows))
        })
        .collect();
    random.shuffle(&mut names);
    let some = if names.len() < 12 { 0 } else { names.len().div_ceil(100) };
    let mut weather = BTreeMap::new();
    for (number, (upload, grows)) in names.iter().enumerate() {
        let what = if number < some {
            Weather::Changes
        } else if number < 2 * some {
            Weather::Vanishes
        } else {
            // The first of those that can grow.
            if weather.values().filter(|w| **w == Weather::Grows).count() >= some {
                break;
            }
            if !grows {
                continue;
            }
            Weather::Grows
        };
        weather.insert(upload.file_id.clone(), what);
    }
    weather
}
