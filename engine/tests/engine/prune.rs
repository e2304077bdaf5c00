//! What no snapshot needs goes, and nothing else, whoever else is at work.
use crate::crash::wait_alone;
use devsnap_engine::backend::{Backend, BackendErrorKind, ObjectKey, ObjectKind};
use devsnap_engine::check::{CheckOptions, check};
use devsnap_engine::error::{ErrorKind, Result};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::prune::{MaxUnused, PruneOptions, PruneReport, prune};
use devsnap_engine::repository::{Repository, Session};
use devsnap_engine::snapshot::Snapshot;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{Held, held, held_by_disk};
use devsnap_testkit::{
    Call, CrashBackend, Effect, FaultBackend, HookedBackend, InFlight, MemoryBackend,
    TestRepository, When,
};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(super) const PHONE: PhoneLike = PhoneLike { seed: 11, files: 50, total_bytes: 1 << 20 };

pub(super) fn options(max_unused: MaxUnused) -> PruneOptions {
    PruneOptions {
        max_unused,
        dry_run: false,
        forgotten: BTreeSet::new(),
        fence_after: Duration::from_secs(48 * 3600),
        now_secs: 0,
        program: "test".to_owned(),
    }
}

pub(super) fn run(repository: &Repository, options: &PruneOptions) -> Result<PruneReport> {
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    prune(repository, options, &progress, &Interrupt::new())
}

/// Five days of a phone, and what each held.
pub(super) struct Days {
    pub(super) memory: Arc<MemoryBackend>,
    pub(super) here: TestRepository,
    days: Vec<(Snapshot, Held)>,
}

impl Days {
    pub(super) fn new() -> Days {
        let memory = Arc::new(MemoryBackend::new());
        let here = TestRepository::over(memory.clone());
        let folder = tempfile::tempdir().expect("because there is room");
        PHONE.write(folder.path()).expect("because there is room");
        let mut days = Vec::new();
        for day in 1..=5 {
            let made = here.snapshot(folder.path()).expect("because memory is healthy");
            days.push((made.named.snapshot, held_by_disk(folder.path())));
            PHONE.mutate(folder.path(), day).expect("because there is room");
        }
        Days { memory, here, days }
    }

    /// The same once more, on a computer that knows nothing.
    pub(super) fn copy(&self) -> Days {
        let memory = Arc::new(MemoryBackend::with_contents(self.memory.contents()));
        let here = TestRepository::existing(memory.clone());
        Days { memory, here, days: self.days.clone() }
    }

    /// Forgets all but the days named.
    pub(super) fn keep(&self, kept: &[usize]) {
        let repository = self.here.open().expect("because it opens");
        let named = repository.snapshots().expect("because they can be listed").named;
        for (day, named) in named.iter().enumerate() {
            if !kept.contains(&day) {
                let key = ObjectKey::new(ObjectKind::Snapshot, named.id.to_hex());
                self.memory.remove(&key).expect("because memory is healthy");
            }
        }
    }

    /// Every kept day comes back exactly on a computer that knows nothing.
    fn assert_readable(&self, kept: &[usize], why: &str) {
        let afresh = TestRepository::existing(self.memory.clone());
        let repository = afresh.open().expect(why);
        let snapshots = repository.snapshots().expect(why).named;
        assert_eq!(snapshots.len(), kept.len(), "{why}");
        for (named, day) in snapshots.iter().zip(kept) {
            assert_eq!(named.snapshot, self.days[*day].0, "{why}");
            assert!(held(&repository, &named.snapshot).expect(why) == self.days[*day].1, "{why}");
        }
    }

    /// The same, and nothing is amiss.
    pub(super) fn assert_whole(&self, kept: &[usize], why: &str) {
        self.assert_readable(kept, why);
        let repository = TestRepository::existing(self.memory.clone()).open().expect(why);
        let options = CheckOptions { read_data_percent: Some(100) };
        let found = check(&repository, &options, &Silent, &Interrupt::new()).expect(why);
        assert!(found.findings.is_empty(), "{why}: {:?}", found.findings);
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        [ObjectKind::DataPack, ObjectKind::MetaPack]
            .into_iter()
            .flat_map(|kind| self.memory.list(kind, "").collect::<Vec<_>>())
            .map(|info| info.expect("because memory can be listed").size_bytes)
            .sum()
    }

    pub(super) fn count(&self, kind: ObjectKind) -> usize {
        self.memory.list(kind, "").count()
    }
}

#[test]
fn what_only_forgotten_snapshots_held_goes_and_the_others_stay_whole() {
    let scene = Days::new();
    for kept in [vec![4], vec![0], vec![0, 2, 4], vec![]] {
        for max_unused in [MaxUnused::Bytes(0), MaxUnused::Percent(5.0), MaxUnused::Unlimited] {
            let days = scene.copy();
            let before = days.stored_bytes();
            days.keep(&kept);
            let report = run(&days.here.open().unwrap(), &options(max_unused)).unwrap();
            let why = format!("kept {kept:?}, {max_unused:?}");
            assert!(report.waits_for.is_empty(), "{why}");
            days.assert_whole(&kept, &why);
            let now = days.stored_bytes();
            assert_eq!(now + report.removed_bytes, before + report.stored_bytes, "{why}");
            // Three of five days, tightly packed, are not much less than all.
            if max_unused == MaxUnused::Bytes(0) && kept.len() < 2 {
                assert!(now < before, "{why}");
            }
            if kept.is_empty() {
                assert_eq!(days.stored_bytes(), 0, "{why}");
            }
            assert_eq!(days.count(ObjectKind::Gc), 0, "{why}");
            let again = run(&days.here.open().unwrap(), &options(max_unused)).unwrap();
            assert_eq!(again.removed_packs, 0, "{why}: a second prune has nothing to do");
        }
    }
}

#[test]
fn a_rehearsal_changes_nothing_and_tells_what_would_go() {
    let days = Days::new();
    days.keep(&[4]);
    let before = days.memory.contents();
    let dry = PruneOptions { dry_run: true, ..options(MaxUnused::Bytes(0)) };
    let would = run(&days.here.open().unwrap(), &dry).unwrap();
    assert!(!would.plan.is_empty());
    assert!(days.memory.contents() == before);
    let did = run(&days.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert_eq!(did.plan, would.plan);
}

#[test]
fn a_session_that_is_open_is_waited_for_and_the_next_prune_goes_on() {
    let days = Days::new();
    days.keep(&[4]);
    let other = TestRepository::existing(days.memory.clone());
    let writer = other.open().unwrap();
    let session = Session::open(&writer, "another program").unwrap();
    let blocked = run(&days.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert_eq!(blocked.waits_for.len(), 1);
    assert_eq!(blocked.waits_for[0].program.as_deref(), Some("another program"));
    assert_eq!((blocked.removed_packs, days.count(ObjectKind::Gc)), (0, 1), "only a mark");
    session.end_without_snapshot().unwrap();
    let third = TestRepository::existing(days.memory.clone());
    let went = run(&third.open().unwrap(), &options(MaxUnused::Unlimited)).unwrap();
    assert!(went.left_packs > 0 && went.removed_packs > 0);
    days.assert_whole(&[4], "another computer finished it");
}

#[test]
fn a_session_that_has_not_stirred_for_long_is_given_up() {
    let days = Days::new();
    days.keep(&[4]);
    let other = TestRepository::existing(days.memory.clone());
    let writer = other.open().unwrap();
    let session = Session::open(&writer, "dead").unwrap();
    days.memory.wait_secs(47 * 3600);
    let waits = run(&days.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert_eq!((waits.waits_for.len(), waits.fenced.len()), (1, 0));
    days.memory.wait_secs(3600);
    let went = run(&days.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert_eq!((went.waits_for.len(), went.fenced.len()), (0, 1));
    assert!(went.removed_packs > 0);
    assert_eq!(session.check_unfenced().unwrap_err().kind(), ErrorKind::Fenced);
    days.assert_whole(&[4], "the dead session is no more");
}

#[test]
fn a_snapshot_made_between_mark_and_sweep_keeps_what_it_needs() {
    let days = Days::new();
    days.keep(&[]);
    let other = TestRepository::existing(days.memory.clone());
    let writer = other.open().unwrap();
    let session = Session::open(&writer, "slow").unwrap();
    let blocked = run(&days.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert!(!blocked.waits_for.is_empty());
    // A run that begins now sees the mark, and stores again what the condemned packs hold.
    let folder = tempfile::tempdir().unwrap();
    PHONE.write(folder.path()).unwrap();
    let made = other.snapshot(folder.path()).unwrap().named.snapshot;
    session.end_without_snapshot().unwrap();
    let went = run(&days.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert!(went.removed_packs > 0);
    let afresh = TestRepository::existing(days.memory.clone()).open().unwrap();
    assert!(held(&afresh, &made).unwrap() == held_by_disk(folder.path()));
}

#[test]
fn whatever_prune_dies_of_the_next_one_finishes_and_nothing_is_lost() {
    let kept = [0, 3];
    let scene = Days::new();
    scene.keep(&kept);
    let refused = Effect::Refused(BackendErrorKind::Unreachable);
    for (call, effects, step) in [
        (Call::Put, &[refused, Effect::ReplyLost][..], 1),
        (Call::Remove, &[refused, Effect::ReplyLost], 2),
        (Call::List, &[refused], 2),
        (Call::Get, &[refused], 13),
    ] {
        for effect in effects {
            for from in (1..).step_by(step) {
                let days = scene.copy();
                let faulty = Arc::new(FaultBackend::new(days.memory.clone(), from));
                let computer = TestRepository::existing(faulty.clone());
                let repository = computer.open().unwrap();
                faulty.fail(call, When::From(from), *effect);
                let outcome = run(&repository, &options(MaxUnused::Bytes(0)));
                let met = faulty.faults_met() > 0;
                drop(repository);
                let why = format!("{call:?} {from}, {effect:?}: {outcome:?}");
                // A session whose end could not be put is open for ever, for all one can tell.
                let now =
                    PruneOptions { fence_after: Duration::ZERO, ..options(MaxUnused::Bytes(0)) };
                let next = run(&days.here.open().unwrap(), &now).expect(&why);
                assert!(next.waits_for.is_empty(), "{why}");
                days.assert_whole(&kept, &why);
                if !met {
                    outcome.expect(&why);
                    break;
                }
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_write_of_a_prune_loses_nothing() {
    let kept = [0, 3];
    let scene = Days::new();
    scene.keep(&kept);
    for in_flight in [InFlight::Dropped, InFlight::Kept] {
        for writes in 0.. {
            let why = format!("{in_flight:?} at write {writes}");
            let before = MemoryBackend::with_contents(scene.memory.contents());
            let cut = Arc::new(CrashBackend::new(before, writes, in_flight));
            let computer = TestRepository::existing(cut.clone());
            let outcome = run(&computer.open().unwrap(), &options(MaxUnused::Bytes(0)));
            let crashed = cut.has_crashed();
            assert_eq!(outcome.is_err(), crashed, "{why}");
            drop(computer);
            let memory = Arc::new(wait_alone(cut).into_survivors());
            let here = TestRepository::existing(memory.clone());
            let days = Days { memory, here, days: scene.days.clone() };
            // As it was left, and after the next prune has finished it.
            days.assert_readable(&kept, &why);
            let now = PruneOptions { fence_after: Duration::ZERO, ..options(MaxUnused::Bytes(0)) };
            run(&days.here.open().unwrap(), &now).expect(&why);
            days.assert_whole(&kept, &why);
            if !crashed {
                assert!(writes > 8, "a prune writes more than {writes} times");
                break;
            }
        }
    }
}

#[test]
fn prune_refuses_to_judge_by_what_it_cannot_read() {
    for kind in [ObjectKind::MetaPack, ObjectKind::DataPack, ObjectKind::Snapshot] {
        let days = Days::new();
        days.keep(&[1, 4]);
        let victim = days.memory.list(kind, "").next().unwrap().unwrap().key;
        let mut contents = days.memory.contents();
        match kind {
            ObjectKind::Snapshot => {
                let bytes = contents[&victim].to_vec();
                let torn = bytes[..bytes.len() - 1].to_vec();
                contents.insert(victim, torn.into());
            }
            _ => {
                // All packs of the kind but one: some snapshot needs what is gone.
                contents.retain(|key, _| key.kind() != kind || *key == victim);
            }
        }
        let store = Arc::new(MemoryBackend::with_contents(contents.clone()));
        let there = TestRepository::existing(store.clone());
        let refused = run(&there.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Damaged | ErrorKind::NotFound),
            "{kind:?}: {refused:?}"
        );
        assert!(store.contents() == contents, "{kind:?}: nothing was touched");
    }
}

#[test]
fn a_damaged_segment_is_replaced_even_if_it_held_tombstones() {
    let scene = Days::new();
    scene.keep(&[1, 4]);
    run(&scene.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    for segment in scene.memory.list(ObjectKind::IndexSegment, "") {
        let key = segment.unwrap().key;
        let days = scene.copy();
        let mut bytes = days.memory.contents()[&key].to_vec();
        bytes[100] ^= 1;
        days.memory.replace(&key, bytes);
        let healed = run(&days.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
        assert_eq!(healed.healed_segments, 1, "{key}");
        days.assert_whole(&[1, 4], &key.to_string());
    }
}

#[test]
fn many_segments_become_few_and_tombstones_are_never_lost() {
    let days = Days::new();
    let folder = tempfile::tempdir().unwrap();
    for n in 0..20 {
        fs::write(folder.path().join(format!("{n}")), format!("file {n}").repeat(50)).unwrap();
        days.here.snapshot(folder.path()).unwrap();
    }
    let many = days.count(ObjectKind::IndexSegment);
    assert!(many > 20);
    let report = run(&days.here.open().unwrap(), &options(MaxUnused::Unlimited)).unwrap();
    assert!(report.merged_segments > 0);
    assert!(days.count(ObjectKind::IndexSegment) < many / 2);
    let afresh = TestRepository::existing(days.memory.clone()).open().unwrap();
    for named in afresh.snapshots().unwrap().named {
        held(&afresh, &named.snapshot).unwrap();
    }
}

#[test]
fn marks_of_sessions_are_tidied_and_the_ends_of_kept_snapshots_stay() {
    let days = Days::new();
    assert_eq!(days.count(ObjectKind::Session), 5, "an end each");
    days.keep(&[2]);
    let report = run(&days.here.open().unwrap(), &options(MaxUnused::Unlimited)).unwrap();
    assert_eq!((report.tidied, days.count(ObjectKind::Session)), (4, 1));
    days.assert_whole(&[2], "its end still confirms it");
}

#[test]
fn a_run_that_was_taken_for_dead_looks_again_and_confirms_its_snapshot() {
    let days = Days::new();
    days.keep(&[1]);
    let memory = days.memory.clone();
    let sweeps = move || {
        let sweeper = TestRepository::existing(memory.clone());
        let now = PruneOptions { fence_after: Duration::ZERO, ..options(MaxUnused::Bytes(0)) };
        let swept = run(&sweeper.open().unwrap(), &now).unwrap();
        assert_eq!(swept.fenced.len(), 1);
    };
    // A sweeper that takes the run for dead just when its snapshot is there, once.
    let times = AtomicUsize::new(0);
    let impatient = HookedBackend::new(days.memory.clone()).after_put(move |key| {
        if key.kind() == ObjectKind::Snapshot && times.fetch_add(1, Ordering::SeqCst) == 0 {
            sweeps();
        }
    });
    let computer = TestRepository::existing(Arc::new(impatient));
    let folder = tempfile::tempdir().unwrap();
    PHONE.write(folder.path()).unwrap();
    let made = computer.snapshot(folder.path()).unwrap().named.snapshot;
    let afresh = TestRepository::existing(days.memory.clone()).open().unwrap();
    let listed = afresh.snapshots().unwrap();
    assert_eq!((listed.named.len(), listed.unconfirmed.len()), (2, 0));
    assert!(held(&afresh, &made).unwrap() == held_by_disk(folder.path()));
}
