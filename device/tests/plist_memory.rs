//! What a hostile list may cost in memory and time, measured.
//!
//! In a binary of its own, because it counts every allocation of the process.
#![allow(unsafe_code)]
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use devsnap_device::plist_guard::{PlistLimits, read_keys, read_value};

/// The system's allocator, with the bytes in use and their peak.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged; the counters never touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let in_use = IN_USE.fetch_add(layout.size(), SeqCst) + layout.size();
        PEAK.fetch_max(in_use, SeqCst);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const MIB: usize = 1 << 20;

/// A binary list of `objects`, references four bytes each; object 0 is the root.
fn binary(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets
            .extend_from_slice(&u32::try_from(bytes.len()).expect("bombs are small").to_be_bytes());
        bytes.extend_from_slice(object);
    }
    let table_start = bytes.len() as u64;
    bytes.extend_from_slice(&offsets);
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 4, 4]);
    bytes.extend_from_slice(&(objects.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&0u64.to_be_bytes());
    bytes.extend_from_slice(&table_start.to_be_bytes());
    bytes
}

/// An object of `kind` with a four-byte length, then `rest`.
fn long(kind: u8, len: usize, rest: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut object = vec![kind | 0xf, 0x12];
    object.extend_from_slice(&u32::try_from(len).expect("bombs are small").to_be_bytes());
    object.extend(rest);
    object
}

fn array(children: &[u32]) -> Vec<u8> {
    long(0xa0, children.len(), children.iter().flat_map(|child| child.to_be_bytes()))
}

fn nested_arrays() -> Vec<u8> {
    binary(&(0..1_000_000).map(|i: u32| array(&[(i + 1) % 1_000_000])).collect::<Vec<_>>())
}

fn shared_arrays() -> Vec<u8> {
    let mut objects: Vec<_> = (1..=8).map(|i| array(&[i; 10])).collect();
    objects.push(vec![0x09]);
    binary(&objects)
}

fn shared_data() -> Vec<u8> {
    let data = long(0x40, MIB, std::iter::repeat_n(0, MIB));
    binary(&[array(&[1; 4000]), data])
}

/// Sixty arrays inside one another, each with a hundred thousand references to the next.
fn wide_and_deep() -> Vec<u8> {
    let width = 100_000;
    let mut objects: Vec<_> = (1..60).map(|i| array(&vec![i; width])).collect();
    objects.push(vec![0x09]);
    binary(&objects)
}

fn xml_depth() -> Vec<u8> {
    ("<plist>".to_owned() + &"<array>".repeat(2_000_000)).into_bytes()
}

/// Each bracket could be a tag whose name ends nowhere.
fn open_brackets() -> Vec<u8> {
    vec![b'<'; 8 * MIB]
}

#[test]
fn refusing_a_bomb_costs_little_memory_and_time() {
    let bombs: [(&str, fn() -> Vec<u8>); 6] = [
        ("nested arrays", nested_arrays),
        ("shared arrays", shared_arrays),
        ("shared data", shared_data),
        ("wide and deep", wide_and_deep),
        ("xml depth", xml_depth),
        ("open brackets", open_brackets),
    ];
    for (name, bomb) in bombs {
        let bytes = bomb();
        let before = IN_USE.load(SeqCst);
        PEAK.store(before, SeqCst);
        let started = Instant::now();

        let whole = read_value(&bytes, &PlistLimits::BACKUP_SET);
        assert!(whole.is_err(), "{name} was taken");
        drop(whole);
        assert!(read_keys(&bytes, &PlistLimits::BACKUP_SET, &["Date"]).is_err(), "{name}");

        let (peak, time) = (PEAK.load(SeqCst) - before, started.elapsed());
        println!("{name}: {} bytes, peak {} MiB, {time:?}", bytes.len(), peak / MIB);
        // The content limit is 128 MiB, and the last datum is read before it is refused.
        assert!(peak <= 160 * MIB, "{name}: {} MiB", peak / MIB);
        assert!(time < Duration::from_secs(20), "{name}: {time:?}");
    }

    // What is passed over is not built: of the same data under a key nobody asked for, only one
    // copy is ever held.
    let data = long(0x40, MIB, std::iter::repeat_n(0, MIB));
    let root = vec![0xd1, 0, 0, 0, 1, 0, 0, 0, 2];
    let bytes = binary(&[root, vec![0x51, b'a'], array(&[3; 100]), data]);
    let before = IN_USE.load(SeqCst);
    PEAK.store(before, SeqCst);
    read_keys(&bytes, &PlistLimits::BACKUP_SET, &["Date"]).unwrap();
    let peak = PEAK.load(SeqCst) - before;
    println!("100 MiB passed over: peak {} MiB", peak / MIB);
    assert!(peak <= 4 * MIB, "{} MiB", peak / MIB);
}
