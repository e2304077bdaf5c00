use super::*;
use crate::error::{Error, ErrorKind};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

const BLOCK: u32 = 1000;

/// Blocks of a pack stand one behind another; the plaintext of each names it.
fn place(pack: u8, ordinal: u32) -> BlobLocation {
    let block = BlockEntry { offset: ordinal * BLOCK, stored_len: BLOCK, raw_len: BLOCK };
    let pack = PackId::from_bytes([pack; 32]);
    BlobLocation { pack, block, ordinal, offset: 0, len: BLOCK }
}

fn plain(pack: &PackId, ordinal: u32) -> Vec<u8> {
    let mut plain = vec![pack.as_bytes()[0]; BLOCK as usize];
    plain[..4].copy_from_slice(&ordinal.to_le_bytes());
    plain
}

/// What was asked of a store; `u32::MAX` stands for a pack that is gone.
#[derive(Default)]
struct Shelf {
    requests: AtomicUsize,
    fetched: Mutex<Vec<(PackId, u32)>>,
    lost: Mutex<BTreeSet<PackId>>,
}

impl Shelf {
    fn ahead(self: &Arc<Self>, workers: usize, held_max: u64) -> ReadAhead {
        let shelf = self.clone();
        let fetch = move |pack: &PackId, blocks: &[(u32, BlockEntry)]| {
            shelf.requests.fetch_add(1, Ordering::Relaxed);
            if shelf.lost.lock().unwrap().contains(pack) {
                return Err(Error::new(ErrorKind::NotFound, "reading a pack"));
            }
            shelf.fetched.lock().unwrap().extend(blocks.iter().map(|(n, _)| (*pack, *n)));
            Ok(blocks.iter().map(|(n, _)| plain(pack, *n)).collect())
        };
        ReadAhead::bounded(Box::new(fetch), workers, held_max, 8 * u64::from(BLOCK))
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

fn served(ahead: &ReadAhead, at: &BlobLocation) -> bool {
    let block = ahead.take(at);
    if let Some(block) = &block {
        assert_eq!(*block, plain(&at.pack, at.ordinal));
    }
    block.is_some()
}

#[test]
fn neighbours_are_fetched_with_one_request_in_whatever_order_they_are_asked_for() {
    // Nobody works beside the one who asks: what he fetches comes with its neighbours.
    for workers in [0, 3] {
        let shelf = Arc::new(Shelf::default());
        let ahead = shelf.ahead(workers, 1 << 20);
        let places = [place(1, 2), place(2, 0), place(1, 0), place(1, 1), place(1, 2)];
        ahead.prefetch(&places);
        for at in &places {
            assert!(served(&ahead, at));
        }
        assert_eq!(shelf.requests(), 2, "{workers} workers");
        ahead.shared.lock().check();
    }
}

#[test]
fn what_was_served_goes_first_and_what_an_older_batch_wanted_goes_before_what_this_one_wants() {
    let shelf = Arc::new(Shelf::default());
    // Room for eight blocks, or for four on their way.
    let ahead = shelf.ahead(0, 8 * 1128);
    let older: Vec<_> = (0..4).map(|n| place(1, n)).collect();
    ahead.prefetch(&older);
    assert!(served(&ahead, &older[3]) && shelf.requests() == 1);
    let newer: Vec<_> = (0..2).map(|n| place(2, n)).collect();
    ahead.prefetch(&newer);
    assert!(served(&ahead, &newer[0]));
    assert!(served(&ahead, &older[0]), "there was room for both");
    let third: Vec<_> = (0..4).map(|n| place(3, n)).collect();
    ahead.prefetch(&third);
    assert!(served(&ahead, &third[0]));
    assert!(!served(&ahead, &older[3]), "served long ago");
    assert!(third.iter().all(|at| served(&ahead, at)));
    assert_eq!(shelf.requests(), 3);
    ahead.shared.lock().check();
}

#[test]
fn a_plan_that_is_larger_than_the_room_is_served_to_its_end_and_holds_no_more_than_the_room() {
    for workers in [0, 1, 4] {
        let shelf = Arc::new(Shelf::default());
        let ahead = shelf.ahead(workers, 40 * u64::from(BLOCK));
        let places: Vec<_> = (0..600).map(|n| place(u8::try_from(n % 7).unwrap(), n)).collect();
        ahead.prefetch(&places);
        let found = places.iter().filter(|at| served(&ahead, at)).count();
        assert!(found > 500, "most of it was fetched ahead: {found}");
        drop(ahead);
        // Nobody asks, and everything is asked for in the wrong order.
        let ahead = shelf.ahead(workers, 40 * u64::from(BLOCK));
        ahead.prefetch(&places);
        for at in places.iter().rev() {
            served(&ahead, at);
        }
    }
}

#[test]
fn what_cannot_be_fetched_is_left_to_who_asks_and_blocks_that_nobody_planned_are_unknown() {
    for workers in [0, 2] {
        let shelf = Arc::new(Shelf::default());
        shelf.lost.lock().unwrap().insert(place(1, 0).pack);
        let ahead = shelf.ahead(workers, 1 << 20);
        ahead.prefetch(&[place(1, 0), place(1, 1), place(2, 0)]);
        assert!(!served(&ahead, &place(1, 0)) && !served(&ahead, &place(1, 1)));
        assert!(served(&ahead, &place(2, 0)) && !served(&ahead, &place(3, 0)));
        ahead.shared.lock().check();
    }
}

#[test]
fn a_fetch_that_panics_keeps_nobody_waiting() {
    let fetch = |_: &PackId, _: &[(u32, BlockEntry)]| panic!("as the test wants it");
    let ahead = ReadAhead::bounded(Box::new(fetch), 1, 1 << 20, 8000);
    ahead.prefetch(&[place(1, 0)]);
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ahead.take(&place(1, 0))));
    assert!(asked.is_err() || asked.is_ok_and(|found| found.is_none()));
    assert!(ahead.take(&place(1, 0)).is_none());
}

#[test]
fn lengths_that_an_index_made_up_hold_no_room() {
    let shelf = Arc::new(Shelf::default());
    let ahead = shelf.ahead(1, 1 << 20);
    let mut absurd = place(1, 0);
    absurd.block.raw_len = u32::MAX;
    let mut overlapping = place(1, 2);
    overlapping.block.offset = 1500;
    let mut twice = place(1, 2);
    twice.block.offset = 900_000_000;
    ahead.prefetch(&[absurd, place(1, 1), overlapping, twice, place(1, 3)]);
    assert!(!served(&ahead, &absurd), "never planned");
    assert!([place(1, 1), overlapping, place(1, 3)].iter().all(|at| served(&ahead, at)));
    ahead.shared.lock().check();
}

#[test]
fn what_a_reader_gives_up_is_not_fetched() {
    let shelf = Arc::new(Shelf::default());
    let ahead = shelf.ahead(0, 1 << 20);
    let places = [place(1, 0), place(1, 1), place(2, 0)];
    assert_eq!(ahead.look_ahead(&places), [true; 3]);
    assert_eq!(ahead.look_ahead(&places), [false; 3]);
    ahead.give_up(places[..2].iter());
    let next = ahead.shared.lock().next_job().unwrap();
    assert_eq!(next.pack, places[2].pack);
    drop(UnderWay { shared: &ahead.shared, job: &next, blocks: Vec::new() });
    assert!(ahead.take(&places[0]).is_none() && shelf.requests() == 0);
}

#[test]
fn the_last_handle_waits_for_requests_under_way_and_drops_what_waits() {
    let shelf = Arc::new(Shelf::default());
    let ahead = shelf.ahead(2, 1 << 20);
    ahead.prefetch(&(0..500).map(|n| place(1, n)).collect::<Vec<_>>());
    drop(ahead);
    let requests = shelf.requests();
    assert_eq!(Arc::strong_count(&shelf), 1, "no thread is left");
    assert_eq!(shelf.requests(), requests);
}

proptest! {
    #[test]
    fn whatever_is_planned_and_asked_for_every_block_is_the_right_one(
        steps in proptest::collection::vec(
            (0u8..3, proptest::collection::vec((0u8..4, 0u32..40), 1..30)), 1..20),
        workers in 0usize..3,
        room in 1u64..60,
    ) {
        let shelf = Arc::new(Shelf::default());
        let ahead = shelf.ahead(workers, room * u64::from(BLOCK));
        for (step, places) in steps {
            let places: Vec<_> = places.into_iter().map(|(pack, n)| place(pack, n)).collect();
            match step {
                0 => ahead.prefetch(&places),
                1 => drop(ahead.look_ahead(&places)),
                _ => ahead.give_up(places.iter()),
            }
            for at in places.iter().step_by(2) {
                served(&ahead, at);
            }
        }
        ahead.shared.lock().stop();
        let (shared, workers) = (ahead.shared.clone(), ahead.workers.lock().unwrap().len());
        drop(ahead);
        prop_assert!(workers <= 3);
        shared.lock().check();
    }
}
