//! What is held of blocks that were fetched ahead: which wait, which are on their way, which are here,
//! and which may go. No input or output, no threads.
use crate::id::PackId;
use crate::pack::BlockEntry;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// A pack, and the ordinal of a block in it.
pub(super) type BlockId = (PackId, u32);

/// What a block takes in memory beside its bytes, roughly.
const BLOCK_WEIGHT: u64 = 128;

/// Blocks that are fetched with one request.
pub(super) struct Job {
    pub(super) pack: PackId,
    /// Ordinal and entry, ascending by offset.
    pub(super) blocks: Vec<(u32, BlockEntry)>,
    /// Bytes held while it is under way: the stretch of the pack, and the opened blocks.
    pub(super) cost: u64,
}

impl Job {
    fn ids(&self) -> impl Iterator<Item = BlockId> + '_ {
        self.blocks.iter().map(|(ordinal, _)| (self.pack, *ordinal))
    }
}

/// What is known of a block somebody asks for.
pub(super) enum Found {
    /// Nothing: it was not planned, could not be fetched, or had to go.
    Unknown,
    /// Its job, which is the asker's to run now.
    Waiting(Job),
    /// Somebody is fetching it.
    OnItsWay,
    /// The block.
    Here(Bytes),
}

/// Who a block is for.
#[derive(Clone, Copy)]
struct Wanted {
    /// How often it will still be asked for.
    uses: usize,
    /// The round it was last planned in.
    round: u64,
}

enum State {
    Waiting,
    OnItsWay,
    /// The block; the number is larger for what came later.
    Here(Bytes, u64),
}

struct Slot {
    wanted: Wanted,
    state: State,
}

impl Slot {
    /// By this, of blocks that are here, what goes first stands first: what was served, then what was
    /// planned longest ago.
    fn rank(&self, id: &BlockId) -> Option<Rank> {
        match self.state {
            State::Here(_, stamp) if self.wanted.uses == 0 => Some((0, stamp, *id)),
            State::Here(_, stamp) => Some((self.wanted.round.saturating_add(1), stamp, *id)),
            State::Waiting | State::OnItsWay => None,
        }
    }
}

/// 0 or one more than the round; the stamp; the block.
type Rank = (u64, u64, BlockId);

/// The state of a [`ReadAhead`](super::ReadAhead).
pub(super) struct Window {
    held_max: u64,
    /// Bytes of blocks that are here, and the cost of jobs under way.
    held: u64,
    slots: HashMap<BlockId, Slot>,
    /// What is here, in the order in which it goes when there is no room.
    leaving: BTreeSet<Rank>,
    queue: VecDeque<Job>,
    round: u64,
    stamps: u64,
    is_stopping: bool,
}

impl Window {
    pub(super) fn new(held_max: u64) -> Self {
        Window {
            held_max,
            held: 0,
            slots: HashMap::new(),
            leaving: BTreeSet::new(),
            queue: VecDeque::new(),
            round: 0,
            stamps: 0,
            is_stopping: false,
        }
    }

    pub(super) fn held_max(&self) -> u64 {
        self.held_max
    }

    pub(super) fn knows(&self, id: &BlockId) -> bool {
        self.slots.contains_key(id)
    }

    /// Whether there could ever be room for a block; an index may say any length.
    pub(super) fn fits(&self, block: &BlockEntry) -> bool {
        u64::from(block.stored_len) + u64::from(block.raw_len) <= self.held_max / 2
    }

    /// Jobs that have not begun are forgotten: who planned them has moved on.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
        for job in std::mem::take(&mut self.queue) {
            self.forget(&job);
        }
    }

    /// Adds jobs, each block to be asked for so often; how many jobs. Blocks that are known are
    /// fetched once all the same: an index that lies may name one block in two requests.
    pub(super) fn queue(&mut self, jobs: Vec<(Job, Vec<usize>)>) -> usize {
        let before = self.queue.len();
        for (mut job, uses) in jobs {
            let mut uses = uses.into_iter();
            job.blocks.retain(|(ordinal, _)| {
                let (id, uses) = ((job.pack, *ordinal), uses.next().unwrap_or(0));
                let is_new = !self.slots.contains_key(&id);
                let wanted = Wanted { uses, round: self.round };
                self.slots.entry(id).or_insert(Slot { wanted, state: State::Waiting });
                is_new
            });
            if !job.blocks.is_empty() {
                self.queue.push_back(job);
            }
        }
        self.queue.len() - before
    }

    /// The next job that somebody still wants, if there is room for it.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        loop {
            let job = self.queue.front()?;
            let is_wanted = |id| self.slots.get(&id).is_some_and(|slot| slot.wanted.uses > 0);
            let (cost, is_wanted) = (job.cost, job.ids().any(is_wanted));
            if is_wanted && !self.make_room(cost) {
                return None;
            }
            let job = self.queue.pop_front()?;
            if is_wanted {
                self.begin(&job);
                return Some(job);
            }
            self.forget(&job);
        }
    }

    /// A block somebody needs now.
    pub(super) fn take(&mut self, id: &BlockId) -> Found {
        match self.slots.get(id).map(|slot| &slot.state) {
            None => return Found::Unknown,
            Some(State::OnItsWay) => return Found::OnItsWay,
            Some(State::Here(block, _)) => {
                let block = block.clone();
                self.served(id);
                return Found::Here(block);
            }
            Some(State::Waiting) => {}
        }
        let position = self.queue.iter().position(|job| job.ids().any(|other| other == *id));
        let Some(job) = position.and_then(|position| self.queue.remove(position)) else {
            self.slots.remove(id);
            return Found::Unknown;
        };
        self.make_room(job.cost);
        self.begin(&job);
        Found::Waiting(job)
    }

    fn begin(&mut self, job: &Job) {
        self.held = self.held.saturating_add(job.cost);
        for id in job.ids() {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.state = State::OnItsWay;
            }
        }
    }

    /// Ends a job with its opened blocks, or with none when it failed. What there is no room for is
    /// forgotten.
    pub(super) fn arrived(&mut self, job: &Job, blocks: Vec<Bytes>) {
        self.held = self.held.saturating_sub(job.cost);
        let mut blocks = blocks.into_iter();
        for id in job.ids() {
            let slot = self.slots.remove(&id);
            let (Some(Slot { wanted, .. }), Some(block)) = (slot, blocks.next()) else { continue };
            let weight = weight(&block);
            if self.is_stopping || !self.make_room(weight) {
                continue;
            }
            self.held += weight;
            self.stamps += 1;
            let slot = Slot { wanted, state: State::Here(block, self.stamps) };
            self.leaving.extend(slot.rank(&id));
            self.slots.insert(id, slot);
        }
    }

    /// Notes that a known block will be asked for once more, in this round.
    pub(super) fn expect(&mut self, id: &BlockId) {
        let round = self.round;
        self.change(id, |wanted| *wanted = Wanted { uses: wanted.uses.saturating_add(1), round });
    }

    /// Notes that a block was given out, or that it will be asked for once less.
    pub(super) fn served(&mut self, id: &BlockId) {
        self.change(id, |wanted| wanted.uses = wanted.uses.saturating_sub(1));
    }

    fn change(&mut self, id: &BlockId, change: impl FnOnce(&mut Wanted)) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        if let Some(rank) = slot.rank(id) {
            self.leaving.remove(&rank);
        }
        change(&mut slot.wanted);
        self.leaving.extend(slot.rank(id));
    }

    fn forget(&mut self, job: &Job) {
        for id in job.ids() {
            self.slots.remove(&id);
        }
    }

    /// Lets go of what may go until `bytes` fit; whether they do.
    fn make_room(&mut self, bytes: u64) -> bool {
        while self.held.saturating_add(bytes) > self.held_max {
            // Wanted in this round: it stays.
            let may_go = |(rank, ..): &&Rank| *rank <= self.round;
            let Some(first) = self.leaving.first().filter(may_go).copied() else { return false };
            self.leaving.remove(&first);
            if let Some(Slot { state: State::Here(block, _), .. }) = self.slots.remove(&first.2) {
                self.held = self.held.saturating_sub(weight(&block));
            }
        }
        true
    }

    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// Nothing is counted that is not there, and nothing is there that is not counted.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut held = 0;
        for (id, slot) in &self.slots {
            if let State::Here(block, _) = &slot.state {
                held += weight(block);
                assert!(self.leaving.contains(&slot.rank(id).unwrap()));
            }
        }
        assert_eq!(held, self.held, "with nothing under way");
        let here = |slot: &&Slot| matches!(slot.state, State::Here(..));
        assert_eq!(self.leaving.len(), self.slots.values().filter(here).count());
        assert!(self.held <= self.held_max);
    }
}

fn weight(block: &Bytes) -> u64 {
    block.len() as u64 + BLOCK_WEIGHT
}
