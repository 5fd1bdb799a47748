//! Work on many pieces in several threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Does `work` on each of the pieces from 0, in as many threads as there are states. Each has one
/// to itself, and takes the next piece that nobody has: who gets which pieces is chance, so what
/// becomes of all states together must not depend on it. The first state is this thread's.
pub fn share<T: Send>(states: &mut [T], pieces: u64, work: impl Fn(u64, &mut T) + Sync) {
    let next = AtomicU64::new(0);
    let take = |state: &mut T| {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return;
            }
            work(piece, state);
        }
    };
    let Some((first, others)) = states.split_first_mut() else { return };
    thread::scope(|scope| {
        for state in others {
            // What a thread that cannot be had would have done, others do.
            let _ = thread::Builder::new().spawn_scoped(scope, || take(state));
        }
        take(first);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_somebodys_whatever_the_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut states = vec![Vec::new(); threads];
            share(&mut states, 1_000, |piece, own| own.push(piece));
            assert!(states.iter().all(|own| own.is_sorted()));
            let mut all = states.concat();
            all.sort_unstable();
            assert_eq!(all, (0..1_000).collect::<Vec<_>>());
        }
    }
}
