//! `kill -9` at any moment of `snapshot`, `prune`, `forget` and `check`, now and then with a segment of
//! the index that was spoilt before: what was there stays whole, and what was said to be saved is there.
//!
//! Eight kills by default; as many as `DEVSNAP_KILLS` says for a long run, from the seed
//! `DEVSNAP_KILLS_SEED`:
//! `DEVSNAP_KILLS=1000 cargo test -p devsnap --release --test cli kill -- --nocapture`
use crate::program::{Home, objects_of};
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{Held, held_by_disk};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

const PHONE: PhoneLike = PhoneLike { seed: 21, files: 60, total_bytes: 2 << 20 };

/// A folder that ages, a repository, and what each snapshot must hold.
struct Scene {
    home: Home,
    random: u64,
    phone: PhoneLike,
    day: u32,
    wanted: BTreeMap<String, Held>,
    forgotten: BTreeSet<String>,
    /// How long each command takes when nobody kills it.
    usual: BTreeMap<String, Duration>,
}

impl Scene {
    fn new(seed: u64) -> Scene {
        let home = Home::new();
        PHONE.write(&home.at("data")).expect("because there is room");
        let scene = Scene {
            home,
            random: seed,
            phone: PHONE,
            day: 0,
            wanted: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            usual: BTreeMap::new(),
        };
        scene.home.done(&["init"]);
        scene
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }

    /// Runs a command to its end and notes how long that took.
    fn whole(&mut self, words: &[&str]) {
        let began = Instant::now();
        self.home.done(words);
        self.usual.insert(words[0].to_owned(), began.elapsed());
    }

    /// Runs a command and kills it at some moment of its usual time; whether it was still alive. What it
    /// says until then is found in `said`.
    fn killed(&mut self, words: &[&str]) -> bool {
        let usual = self.usual.get(words[0]).copied().unwrap_or(Duration::from_secs(1));
        let micros = u64::try_from(usual.as_micros()).unwrap_or(u64::MAX);
        let moment = Duration::from_micros(self.draw(micros + micros / 10));
        let said = File::create(self.home.at("said")).expect("because there is room");
        let mut command = self.home.command(words);
        let mut child = command
            .args(["--json", "--no-progress"])
            .stdout(said)
            .stderr(Stdio::null())
            .spawn()
            .expect("because it was built");
        std::thread::sleep(moment);
        let was_alive = child.try_wait().expect("because it is ours").is_none();
        child.kill().expect("because it is ours");
        child.wait().expect("because it is ours");
        was_alive
    }

    /// The snapshot that the killed command said it had saved; a line that was cut off says nothing.
    fn confirmed(&self) -> Option<String> {
        let said = std::fs::read_to_string(self.home.at("said")).expect("because it prints text");
        let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Some(lines.next_back()?["snapshot_id"].as_str()?.to_owned())
    }

    /// Flips a bit in one segment of the index, or does nothing where there is none.
    fn spoil_a_segment(&mut self) {
        let found =
            std::fs::read_dir(self.home.at("repository/index")).expect("because it was made");
        let mut segments: Vec<_> =
            found.map(|entry| entry.expect("because it can be listed").path()).collect();
        segments.sort();
        let place = self.draw(segments.len() as u64);
        let Some(segment) = usize::try_from(place).ok().and_then(|place| segments.get(place))
        else {
            return;
        };
        let mut bytes = std::fs::read(segment).expect("because it was listed");
        let at = self.draw(bytes.len() as u64);
        bytes[usize::try_from(at).expect("because it is an index")] ^= 0x10;
        std::fs::write(segment, bytes).expect("because it is ours");
    }

    fn ids(&mut self) -> BTreeSet<String> {
        objects_of(&self.home.done(&["snapshots", "--json", "--no-progress"]))
            .into_iter()
            .filter(|line| line["message_type"] == "snapshot")
            .map(|line| line["id"].as_str().expect("because it has an id").to_owned())
            .collect()
    }

    /// What is listed now: everything confirmed earlier and not forgotten; a new one is of the
    /// folder as it is.
    fn look(&mut self) {
        let listed = self.ids();
        for id in &listed {
            if !self.wanted.contains_key(id) {
                self.wanted.insert(id.clone(), held_by_disk(&self.home.at("data")));
            }
        }
        let lost: Vec<_> = self.wanted.keys().filter(|id| !listed.contains(*id)).cloned().collect();
        for id in lost {
            assert!(self.forgotten.contains(&id), "snapshot {id} is gone and nobody forgot it");
            self.wanted.remove(&id);
        }
        // A forget that was killed in time has forgotten nothing, and the snapshot stays.
        self.forgotten.retain(|id| !listed.contains(id));
    }

    /// Every snapshot that is listed comes back exactly.
    fn verify(&mut self) {
        self.look();
        self.home.done(&["check", "--read-data"]);
        for (id, held) in self.wanted.clone() {
            let target = self.home.at("back");
            self.home.done(&["restore", &id, "--target", "back"]);
            assert!(held_by_disk(&target) == held, "snapshot {id} is not what was kept");
            std::fs::remove_dir_all(&target).expect("because the restore made it");
        }
    }

    /// Another day; every tenth brings another phone, since one that ages for ever grows for ever.
    fn age(&mut self) {
        let data = self.home.at("data");
        self.day += 1;
        if self.day < 10 {
            self.phone.mutate(&data, self.day).expect("because there is room");
        } else {
            self.day = 0;
            self.phone.seed += 1;
            std::fs::remove_dir_all(&data).expect("because it is ours");
            self.phone.write(&data).expect("because there is room");
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn kill_9_at_any_moment_loses_no_snapshot_and_the_next_run_goes_on() {
    let (kills, seed) = (number("DEVSNAP_KILLS", 8), number("DEVSNAP_KILLS_SEED", 1));
    let mut scene = Scene::new(seed);
    for _ in 0..4 {
        scene.whole(&["snapshot", "data"]);
        scene.look();
        scene.age();
    }
    let first = scene.wanted.keys().next().cloned().expect("because there are four");
    scene.forgotten.insert(first.clone());
    scene.whole(&["forget", &first]);
    scene.look();
    // What is open after a kill is given up at once here: nobody else is at work.
    let prune = ["prune", "--max-unused", "0", "--fence-after-hours", "0"];
    scene.whole(&prune);
    let check = ["check", "--read-data"];
    scene.whole(&check);
    let mut alive = 0;
    for kill in 0..kills {
        if scene.draw(5) == 0 {
            scene.spoil_a_segment();
        }
        let action = scene.draw(8);
        // Ids are random, so this is any of them.
        let one = scene.wanted.keys().next().cloned().filter(|_| scene.wanted.len() > 3);
        let one = one.filter(|_| (1..=5).contains(&action));
        scene.forgotten.extend(one.clone());
        let was_alive = match (action, one) {
            (0, _) => scene.killed(&check),
            (1 | 2, Some(id)) => scene.killed(&["forget", &id]),
            (3..=5, Some(id)) => {
                scene.home.done(&["forget", &id]);
                scene.killed(&prune)
            }
            (3..=5, None) => scene.killed(&prune),
            _ => scene.killed(&["snapshot", "data"]),
        };
        alive += u64::from(was_alive);
        scene.look();
        if let Some(saved) = scene.confirmed() {
            assert!(scene.wanted.contains_key(&saved), "{saved} was said to be saved, and is not");
        }
        scene.age();
        if kill % 10 == 9 {
            scene.whole(&["snapshot", "data"]);
            scene.whole(&prune);
            scene.verify();
        }
        if kill % 100 == 99 {
            println!("{} kills, {alive} of them in the middle", kill + 1);
        }
    }
    scene.whole(&["snapshot", "data"]);
    scene.whole(&prune);
    scene.verify();
    assert!(alive > 0, "some commands were killed before they had ended");
    println!("{kills} kills, {alive} of them in the middle; {} snapshots", scene.wanted.len());
}
