//! Removing many objects: as many at a time as the storage handles well.
use super::Repository;
use crate::backend::ObjectKey;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

impl Repository {
    /// Removes objects, in no particular order, until one fails. Answers with the places in `keys`
    /// of those that are gone, and the first failure: what removing meets, or
    /// [`Interrupted`](crate::error::ErrorKind::Interrupted).
    pub(crate) fn remove_objects(
        &self,
        keys: &[ObjectKey],
        interrupt: &Interrupt,
    ) -> (Vec<usize>, Result<()>) {
        let next = AtomicUsize::new(0);
        let done: Mutex<(Vec<usize>, Option<Error>)> = Mutex::default();
        let remove = |key: &ObjectKey| -> Result<()> {
            interrupt.check()?;
            Ok(self.backend().remove(key)?)
        };
        thread::scope(|scope| {
            for _ in 0..self.backend().connections().get().min(keys.len()) {
                scope.spawn(|| {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(key) = keys.get(place) else { return };
                        let removed = remove(key);
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        match removed {
                            Ok(()) => done.0.push(place),
                            Err(error) => {
                                done.1.get_or_insert(error);
                                next.store(keys.len(), Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        let (gone, failed) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        (gone, failed.map_or(Ok(()), Err))
    }
}
