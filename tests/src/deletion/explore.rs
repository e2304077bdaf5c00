//! Visits every state that a small system can reach, and tells the shortest way to a bad one.
//!
//! Knows nothing of sessions and packs: a model is a start, its successors and a verdict.
use super::visited::Visited;
use std::fmt::{self, Debug, Display};
use std::hash::Hash;

/// One step of one process, told in words when a trace is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) who: &'static str,
    pub(super) number: usize,
    pub(super) does: &'static str,
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.who, self.number, self.does)
    }
}

/// A system small enough to be visited whole.
pub(super) trait Model {
    /// Everything that decides what can happen next.
    type State: Copy + Eq + Hash + Debug;

    /// Where it begins.
    fn initial(&self) -> Self::State;
    /// Hands every state that is one step away to `found`.
    fn successors(&self, state: &Self::State, found: &mut dyn FnMut(Step, Self::State));
    /// What is lost in `state`, if anything is.
    fn violated(&self, state: &Self::State) -> Option<&'static str>;
    /// The stored objects of `state` in one line, for a trace.
    fn describe(&self, state: &Self::State) -> String;
}

/// What a full visit found.
pub(super) struct Verdict {
    /// States visited; every one that can be reached, unless something was lost.
    pub(super) states: usize,
    /// The shortest way to a loss.
    pub(super) loss: Option<Loss>,
}

/// A shortest run that loses data.
pub(super) struct Loss {
    pub(super) what: &'static str,
    pub(super) steps: Vec<String>,
}

impl Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {:>2}. {step}", number + 1)?;
        }
        write!(f, "  lost: {}", self.what)
    }
}

impl Verdict {
    /// Prints the run that loses data, and fails when there is none.
    pub(super) fn assert_loses(&self, variant: &str) {
        let loss = self.loss.as_ref();
        let loss =
            loss.unwrap_or_else(|| panic!("{variant} loses nothing; {} states", self.states));
        println!("{variant}: after {} steps, {} states\n{loss}", loss.steps.len(), self.states);
    }

    /// Fails with the run when something was lost.
    pub(super) fn assert_safe(&self, scope: &str) {
        if let Some(loss) = &self.loss {
            panic!("{scope} loses data after {} states:\n{loss}", self.states);
        }
        println!("{scope}: {} states, nothing lost", self.states);
    }
}

/// Visits every state breadth first, so that the first loss found is one of the shortest.
pub(super) fn explore<M: Model>(model: &M) -> Verdict {
    let mut visited = Visited::beginning_with(model.initial());
    let mut next = 0;
    while next < visited.len() {
        let state = visited.state(next);
        if let Some(what) = model.violated(&state) {
            let steps = retrace(model, &visited, next);
            return Verdict { states: visited.len(), loss: Some(Loss { what, steps }) };
        }
        model.successors(&state, &mut |_, after| visited.add(after, next));
        next += 1;
    }
    Verdict { states: visited.len(), loss: None }
}

/// The steps from the start to `visited[last]`. Steps are not kept while visiting: they are asked for again.
fn retrace<M: Model>(model: &M, visited: &Visited<M::State>, last: usize) -> Vec<String> {
    let mut path = vec![last];
    while path[path.len() - 1] != 0 {
        path.push(visited.came_from(path[path.len() - 1]));
    }
    path.reverse();
    path.windows(2)
        .map(|pair| {
            let (before, after) = (visited.state(pair[0]), visited.state(pair[1]));
            let mut told = String::new();
            model.successors(&before, &mut |step, found| {
                if found == after {
                    told = step.to_string();
                }
            });
            let (then, now) = (model.describe(&before), model.describe(&after));
            if then == now { told } else { format!("{told:<60} | {now}") }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts to three by ones and twos; three is bad if `three_is_bad`.
    struct Counter {
        three_is_bad: bool,
    }

    impl Model for Counter {
        type State = u8;
        fn initial(&self) -> u8 {
            0
        }
        fn successors(&self, state: &u8, found: &mut dyn FnMut(Step, u8)) {
            for (add, does) in [(1, "adds one"), (2, "adds two")] {
                if state + add <= 3 {
                    found(Step { who: "counter", number: 0, does }, state + add);
                }
            }
        }
        fn violated(&self, state: &u8) -> Option<&'static str> {
            (self.three_is_bad && *state == 3).then_some("three")
        }
        fn describe(&self, state: &u8) -> String {
            state.to_string()
        }
    }

    #[test]
    fn every_state_is_visited_once() {
        let verdict = explore(&Counter { three_is_bad: false });
        assert_eq!(verdict.states, 4);
        assert!(verdict.loss.is_none());
    }

    #[test]
    fn the_way_to_a_bad_state_is_a_shortest_one() {
        let loss = explore(&Counter { three_is_bad: true }).loss.unwrap();
        assert_eq!(loss.what, "three");
        assert_eq!(loss.steps.len(), 2);
        assert!(loss.steps[0].starts_with("counter 0 adds"));
    }
}
