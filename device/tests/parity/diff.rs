//! Two lists of lines, laid side by side.

/// A line of either list, or of both, by its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Both have it, theirs and ours in these places.
    Both(usize, usize),
    /// Only idevicebackup2 says it.
    Theirs(usize),
    /// Only devsnap says it.
    Ours(usize),
}

/// The two lists as one, by a longest common subsequence.
pub(crate) fn side_by_side<T: PartialEq>(theirs: &[T], ours: &[T]) -> Vec<Line> {
    let width = ours.len() + 1;
    // How much the lists have in common from these places on.
    let mut common = vec![0_u32; (theirs.len() + 1) * width];
    for t in (0..theirs.len()).rev() {
        for o in (0..ours.len()).rev() {
            common[t * width + o] = if theirs[t] == ours[o] {
                common[(t + 1) * width + o + 1] + 1
            } else {
                common[(t + 1) * width + o].max(common[t * width + o + 1])
            };
        }
    }
    let (mut t, mut o) = (0, 0);
    let mut lines = Vec::new();
    while t < theirs.len() || o < ours.len() {
        let has_both = t < theirs.len() && o < ours.len();
        let line = if has_both && theirs[t] == ours[o] {
            Line::Both(t, o)
        } else if o == ours.len()
            || has_both && common[(t + 1) * width + o] >= common[t * width + o + 1]
        {
            Line::Theirs(t)
        } else {
            Line::Ours(o)
        };
        t += usize::from(!matches!(line, Line::Ours(_)));
        o += usize::from(!matches!(line, Line::Theirs(_)));
        lines.push(line);
    }
    lines
}

#[test]
fn the_two_lists_are_laid_side_by_side() {
    use Line::{Both, Ours, Theirs};
    assert_eq!(
        side_by_side(b"abxc", b"aybc"),
        [Both(0, 0), Ours(1), Both(1, 2), Theirs(2), Both(3, 3)]
    );
    assert_eq!(side_by_side(b"", b"a"), [Ours(0)]);
}
