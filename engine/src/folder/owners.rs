//! Owners of restored files, which only the system's administrator may give away.
use super::attributes::note;
use crate::node::Node;
use rustix::fs::{Gid, Stat, Uid};
use rustix::io::{Errno, Result};
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives files back to their owners as far as this process may.
#[derive(Debug)]
pub(super) struct Owners {
    /// Whether giving files away should work, so that each failure is told by itself.
    may_give_away: bool,
    /// Paths that stay with the user who runs this process.
    kept: AtomicU64,
}

impl Owners {
    pub(super) fn new(may_give_away: bool) -> Self {
        Owners { may_give_away, kept: AtomicU64::new(0) }
    }

    /// Gives what is `present` the owner of `node` by `chown`; answers whether it has it now.
    ///
    /// An ordinary user may at most choose among their own groups. That their files stay theirs
    /// is what they expect, on another computer above all: it is counted and told once.
    pub(super) fn give(
        &self,
        present: Result<Stat>,
        node: &Node,
        chown: impl Fn(Option<Uid>, Option<Gid>) -> Result<()>,
        notes: &mut Vec<String>,
    ) -> bool {
        if present.is_ok_and(|stat| (stat.st_uid, stat.st_gid) == (node.uid, node.gid)) {
            return true;
        }
        let (uid, gid) = owner_of(node);
        match chown(uid, gid) {
            Ok(()) => return true,
            Err(Errno::PERM) if !self.may_give_away => {
                self.kept.fetch_add(1, Ordering::Relaxed);
                // The group alone may be one of the user's own.
                let _ = chown(None, gid);
            }
            Err(errno) => notes.push(note(&format!("owner {}:{}", node.uid, node.gid), errno)),
        }
        false
    }

    /// What is to be said at the end, if anything.
    pub(super) fn remark(&self) -> Option<String> {
        let kept = self.kept.load(Ordering::Relaxed);
        (kept > 0).then(|| {
            format!(
                "owners of {kept} paths were not set: only root may give files to other users or \
                 groups"
            )
        })
    }
}

/// The node's owner for `chown`; the number that would mean "leave as it is" is left as it is.
fn owner_of(node: &Node) -> (Option<Uid>, Option<Gid>) {
    let uid = (node.uid != u32::MAX).then(|| Uid::from_raw(node.uid));
    (uid, (node.gid != u32::MAX).then(|| Gid::from_raw(node.gid)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeKind;
    use std::cell::RefCell;

    fn stranger() -> Node {
        let mut node = Node::new(NodeKind::File, 0o4755);
        (node.uid, node.gid) = (4001, 4002);
        node
    }

    fn give(owners: &Owners, refused: Errno) -> (bool, Vec<String>, Vec<(bool, bool)>) {
        let (mut notes, asked) = (Vec::new(), RefCell::new(Vec::new()));
        let chown = |uid: Option<Uid>, gid: Option<Gid>| {
            asked.borrow_mut().push((uid.is_some(), gid.is_some()));
            if uid.is_some() { Err(refused) } else { Ok(()) }
        };
        let given = owners.give(Err(Errno::NOENT), &stranger(), chown, &mut notes);
        (given, notes, asked.into_inner())
    }

    #[test]
    fn an_ordinary_user_keeps_the_files_and_is_told_once() {
        let owners = Owners::new(false);
        assert_eq!(owners.remark(), None);
        for _ in 0..2 {
            let (given, notes, asked) = give(&owners, Errno::PERM);
            assert!(!given && notes.is_empty());
            assert_eq!(asked, [(true, true), (false, true)]);
        }
        assert!(owners.remark().unwrap().starts_with("owners of 2 paths were not set"));
    }

    #[test]
    fn root_is_told_of_each_path_and_so_is_everybody_of_other_failures() {
        for (owners, errno) in [(Owners::new(true), Errno::PERM), (Owners::new(false), Errno::ROFS)]
        {
            let (given, notes, _) = give(&owners, errno);
            assert!(!given && notes[0].starts_with("owner 4001:4002 could not be set"));
            assert_eq!(owners.remark(), None);
        }
    }
}
