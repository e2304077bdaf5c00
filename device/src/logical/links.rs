//! Which links of a device may stand in a folder of this computer.

/// Whether a link that stands `depth` folders below its domain leads nowhere but into that domain.
///
/// `..` may stand at the beginning only, and not lead above the domain. The folders above a link are
/// folders and no links, so that much is as it looks; what follows goes down, at most through other
/// links, each of which stays within in turn. A `..` behind a name could follow a link first and be
/// somewhere else than it looks.
pub(super) fn stays_within(target: &str, depth: usize) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return false;
    }
    let names = target.split('/').filter(|name| !name.is_empty() && *name != ".");
    let names: Vec<&str> = names.collect();
    let up = names.iter().take_while(|name| **name == "..").count();
    up <= depth && !names[up..].contains(&"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_within_its_domain_or_is_none() {
        for (target, depth) in [("x", 0), ("./a/b", 0), ("../x", 1), ("../..", 2), ("a//b/", 0)] {
            assert!(stays_within(target, depth), "{target}");
        }
        for (target, depth) in [
            ("", 0),
            ("/var/mobile/x", 5),
            ("..", 0),
            ("../../x", 1),
            // With `a` a link to a folder far above, this would be outside.
            ("a/..", 3),
            ("a/../../x", 3),
            ("x\0y", 0),
        ] {
            assert!(!stays_within(target, depth), "{target}");
        }
    }
}
