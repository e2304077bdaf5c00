//! Feeds every target with changed seeds, for some seconds or a number of times each, on stable
//! Rust.
//!
//! `soak [SECONDS PER TARGET = 5 | RUNSx] [SEED = 1] [TARGET…]`: `soak 60` takes a minute for each,
//! `soak 2000x` feeds 2000 inputs to each and so does the same on every machine. The same seed
//! gives the same inputs. It prints, per target, how many inputs were run, the slowest of them and
//! the largest single allocation: a length that was believed before it was checked shows there. An
//! input that breaks a promise is written to `artifacts/`, and the exit code is 1.
use devsnap_fuzz::{Changes, TARGETS, Target};
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

/// How long each target is fed.
#[derive(Clone, Copy)]
enum Stint {
    Time(Duration),
    Runs(u64),
}

impl Stint {
    fn of(arg: &str) -> Option<Stint> {
        match arg.strip_suffix('x') {
            Some(runs) => runs.parse().ok().map(Stint::Runs),
            None => arg.parse().ok().map(|seconds| Stint::Time(Duration::from_secs(seconds))),
        }
    }

    fn is_over(self, begun: Instant, runs: u64) -> bool {
        match self {
            Stint::Time(time) => begun.elapsed() >= time,
            Stint::Runs(wanted) => runs >= wanted,
        }
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let stint = args.peek().and_then(|arg| Stint::of(arg));
    let stint = stint.inspect(|_| drop(args.next())).unwrap_or(Stint::Time(Duration::from_secs(5)));
    let seed = args.peek().and_then(|arg| arg.parse().ok());
    let seed = seed.inspect(|_| drop(args.next())).unwrap_or(1);
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
        sound &= soak(target, stint, seed);
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one target; whether all its promises were kept.
fn soak(target: &Target, stint: Stint, seed: u64) -> bool {
    let seeds = (target.seeds)();
    let mut changes = Changes::new(seed, &seeds);
    let mut slowest = Duration::ZERO;
    let mut runs = 0u64;
    LARGEST.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    while !stint.is_over(begun, runs) {
        let input = changes.next_input();
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
