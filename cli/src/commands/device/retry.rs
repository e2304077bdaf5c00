//! Which failures of a device are worth a second try, and when.
use devsnap_device::DeviceErrorKind;
use std::time::Duration;

/// How long a dropped link is left alone: a device that was unplugged needs a moment to be seen.
const AFTER_LINK: Duration = Duration::from_secs(5);

/// How long a device that still has a snapshot of a run that broke off is left alone.
const AFTER_SNAPSHOT: Duration = Duration::from_secs(60);

/// The second tries that a run still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chances {
    link: bool,
    snapshot: bool,
}

/// One more try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chance {
    /// After so long.
    pub(super) pause: Duration,
    /// What it is called, for people.
    pub(super) why: &'static str,
}

impl Chances {
    /// One after a dropped link, and one after a snapshot that is in the device's way.
    pub(super) fn of_a_run() -> Chances {
        Chances { link: true, snapshot: true }
    }

    /// Whether to try again after a failure of this kind. What stays as it is until a person does
    /// something (too little room, a wrong password, no passcode) never is.
    pub(super) fn after(&mut self, kind: DeviceErrorKind) -> Option<Chance> {
        match kind {
            DeviceErrorKind::ConnectionLost => std::mem::take(&mut self.link).then_some(Chance {
                pause: AFTER_LINK,
                why: "the connection broke off; trying once more",
            }),
            DeviceErrorKind::RestartDevice => {
                std::mem::take(&mut self.snapshot).then_some(Chance {
                    pause: AFTER_SNAPSHOT,
                    why: "the device still has a snapshot of a run that broke off; trying once \
                          more in a minute",
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_device::mobilebackup2::errors::failure;

    #[test]
    fn a_dropped_link_and_code_3_have_one_more_chance_each() {
        let mut chances = Chances::of_a_run();
        assert_eq!(chances.after(DeviceErrorKind::ConnectionLost).unwrap().pause.as_secs(), 5);
        assert_eq!(chances.after(failure(3, None).kind()).unwrap().pause.as_secs(), 60);
        assert_eq!(chances.after(DeviceErrorKind::ConnectionLost), None);
        assert_eq!(chances.after(DeviceErrorKind::RestartDevice), None);
    }

    #[test]
    fn what_only_a_person_can_change_is_not_tried_again() {
        for code in [1, 22, 105, 106, 202, 203, 205, 207, 208, 211, 212] {
            let kind = failure(code, None).kind();
            assert_eq!(Chances::of_a_run().after(kind), None, "{code}");
        }
    }
}
