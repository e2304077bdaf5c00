//! Darwin notifications: who observes which, and what is still to be relayed to them.
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, Weak};

/// Names that one observer may watch, and notifications that may wait for it: hosts are hostile.
const NAMES_MAX: usize = 256;
const WAITING_MAX: usize = 1024;

/// Everybody who observes notifications of one phone.
#[derive(Default)]
pub(super) struct Notices {
    observers: Mutex<Vec<Weak<Mutex<Queue>>>>,
}

#[derive(Default)]
struct Queue {
    names: BTreeSet<String>,
    waiting: VecDeque<String>,
}

/// One who observes notifications; ends when it is dropped.
pub struct Observer {
    queue: Arc<Mutex<Queue>>,
}

impl Notices {
    pub(super) fn observe(&self) -> Observer {
        let queue = Arc::new(Mutex::new(Queue::default()));
        let mut observers = self.observers.lock().expect("because no holder panics");
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(Arc::downgrade(&queue));
        Observer { queue }
    }

    pub(super) fn post(&self, name: &str) {
        let observers = self.observers.lock().expect("because no holder panics").clone();
        for queue in observers.iter().filter_map(Weak::upgrade) {
            let mut queue = queue.lock().expect("because no holder panics");
            if queue.names.contains(name) && queue.waiting.len() < WAITING_MAX {
                queue.waiting.push_back(name.to_owned());
            }
        }
    }
}

impl Observer {
    /// Watches `name` from now on. Beyond 256 names it watches no more.
    pub fn watch(&self, name: &str) {
        let mut queue = self.queue.lock().expect("because no holder panics");
        if queue.names.len() < NAMES_MAX {
            queue.names.insert(name.to_owned());
        }
    }

    /// The oldest notification that was not taken yet.
    pub fn take(&self) -> Option<String> {
        self.queue.lock().expect("because no holder panics").waiting.pop_front()
    }
}
