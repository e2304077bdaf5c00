//! Feeds every target with changed seeds for some seconds each, on stable Rust.
//!
//! `soak [SECONDS PER TARGET = 5] [SEED = 1] [TARGET…]`. The same seed gives the same inputs. It
//! prints, per target, how many inputs were run, the slowest of them and the largest single
//! allocation: a length that was believed before it was checked shows there. An input that breaks
//! a promise is written to `artifacts/`, and the exit code is 1.
use devsnap_fuzz::{TARGETS, Target};
use std::alloc::{GlobalAlloc, Layout, System};
use std::panic;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// No record of the format makes its decoder ask for more at once: a block of 16 MiB is the
/// longest, and a vector may grow to twice that.
const ALLOCATION_MAX: usize = 33 << 20;

/// The system's allocator, remembering the largest request.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(old, layout, size) }
    }
    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let mut number = |default: u64| match args.peek().and_then(|arg| arg.parse().ok()) {
        Some(given) => {
            args.next();
            given
        }
        None => default,
    };
    let (seconds, seed) = (number(5), number(1));
    let wanted: Vec<String> = args.collect();
    let unknown = |name: &&String| TARGETS.iter().all(|target| target.name != name.as_str());
    if let Some(name) = wanted.iter().find(unknown) {
        eprintln!("no target is called {name}");
        return ExitCode::from(2);
    }
    panic::set_hook(Box::new(|_| {}));
    let chosen = |target: &&Target| wanted.is_empty() || wanted.iter().any(|n| n == target.name);
    let mut sound = true;
    for target in TARGETS.iter().filter(chosen) {
        sound &= soak(target, Duration::from_secs(seconds), seed);
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one target; whether all its promises were kept.
fn soak(target: &Target, time: Duration, seed: u64) -> bool {
    let seeds = (target.seeds)();
    let mut random = Random(seed);
    let mut slowest = Duration::ZERO;
    let mut runs = 0u64;
    LARGEST.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    while begun.elapsed() < time {
        let input = random.changed(&seeds);
        let started = Instant::now();
        let failed = panic::catch_unwind(|| (target.run)(&input)).err();
        slowest = slowest.max(started.elapsed());
        runs += 1;
        let largest = LARGEST.load(Ordering::Relaxed);
        let fault = match failed {
            Some(payload) => words(&*payload),
            None if largest > ALLOCATION_MAX => format!("{largest} bytes were asked for at once"),
            None => continue,
        };
        report(target.name, &input, &fault);
        return false;
    }
    let largest_kib = LARGEST.load(Ordering::Relaxed) >> 10;
    println!(
        "{:<15} {runs:>9} runs, slowest {:>8.3} ms, largest allocation {largest_kib:>6} KiB",
        target.name,
        slowest.as_secs_f64() * 1000.0,
    );
    true
}

fn words(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
}

fn report(name: &str, input: &[u8], fault: &str) {
    let hash = blake3::hash(input).to_hex();
    let path = format!("artifacts/{name}-{}", &hash[..16]);
    let kept = std::fs::create_dir_all("artifacts").and_then(|()| std::fs::write(&path, input));
    let place = if kept.is_ok() { path.as_str() } else { "not kept" };
    println!("{name:<15} BROKEN by {} bytes ({place}): {fault}", input.len());
}

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
struct Random(u64);

/// Bytes at which decoders turn: ends of varints, lengths, signs, tags, separators.
const TURNING: [u8; 14] = [0, 1, 2, 3, 4, 8, 0x2f, 0x7f, 0x80, 0x81, 0xc0, 0xdf, 0xfe, 0xff];

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, 0 when that is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    /// One of the seeds with a few changes; most inputs have one or two.
    fn changed(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        let changes = 1 + (self.next().trailing_ones() as usize).min(7);
        for _ in 0..changes {
            self.change(&mut input, seeds);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.near(input.len());
        let len = self.below(16.min(input.len() - at + 1));
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = TURNING[self.below(TURNING.len())],
            2 if at < input.len() => input[at] = self.next() as u8,
            3 if at < input.len() => input[at] = input[at].wrapping_add(1 + 254 * (at as u8 & 1)),
            4 => drop(input.drain(at..at + len)),
            5 => {
                let copy = input[at..at + len].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            6 => {
                let byte = TURNING[self.below(TURNING.len())];
                let count = 1 + self.below(9);
                input.splice(at..at, std::iter::repeat_n(byte, count));
            }
            7 => input.truncate(at),
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let count = self.below(other.len() - from + 1).min(40);
                let end = (at + count).min(input.len());
                input.splice(at..end, other[from..from + count].iter().copied());
            }
        }
    }

    /// A place up to `len`, half of the time among the first 32: that is where lengths stand.
    fn near(&mut self, len: usize) -> usize {
        let end = if self.next() & 1 == 0 { len.min(32) } else { len };
        self.below(end + 1)
    }
}
