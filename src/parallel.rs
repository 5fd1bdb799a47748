//! Work on many pieces in several threads.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
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

/// Results that each thread may have begun or finished and not handed over.
const RESULTS_PER_THREAD: usize = 3;

/// Does `work` on each of the pieces from 0, in so many threads, and gives the results to `take` in
/// the order of the pieces, here in this thread. Results begin as `empty` says and are used again
/// for later pieces, so `work` overwrites what it finds. Stops early where `take` breaks.
pub fn in_order<T: Send>(
    threads: usize,
    pieces: u64,
    empty: impl Fn() -> T,
    work: impl Fn(u64, &mut T) + Sync,
    mut take: impl FnMut(&mut T) -> ControlFlow<()>,
) {
    if threads <= 1 || pieces <= 1 {
        return alone(pieces, empty(), work, take);
    }
    let next = AtomicU64::new(0);
    let (hand_back, rooms) = channel();
    for _ in 0..threads * RESULTS_PER_THREAD {
        // The other end is below.
        let _ = hand_back.send(empty());
    }
    let rooms = Mutex::new(rooms);
    let (hand_over, results) = channel();
    let has_begun = thread::scope(|scope| {
        let mut begun = 0;
        for _ in 0..threads {
            let hand_over = hand_over.clone();
            let (next, rooms, work) = (&next, &rooms, &work);
            let own = move || {
                loop {
                    // Room first: whoever has a piece can then finish it.
                    let room = rooms.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(mut room) = room else { return };
                    let piece = next.fetch_add(1, Ordering::Relaxed);
                    if piece >= pieces {
                        return;
                    }
                    work(piece, &mut room);
                    if hand_over.send((piece, room)).is_err() {
                        return;
                    }
                }
            };
            // What a thread that cannot be had would have done, others do.
            begun += usize::from(thread::Builder::new().spawn_scoped(scope, own).is_ok());
        }
        drop(hand_over);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (piece, result) in &results {
            early.insert(piece, result);
            while let Some(mut result) = early.remove(&due) {
                due += 1;
                if take(&mut result).is_break() {
                    due = pieces;
                }
                let _ = hand_back.send(result);
            }
            if due >= pieces {
                break;
            }
        }
        // Whoever still waits for room gets none, and whoever has a piece finds nobody waiting.
        next.store(pieces, Ordering::Relaxed);
        drop((hand_back, results));
        begun > 0
    });
    if !has_begun {
        alone(pieces, empty(), work, take);
    }
}

/// The same in this thread.
fn alone<T>(
    pieces: u64,
    mut result: T,
    work: impl Fn(u64, &mut T),
    mut take: impl FnMut(&mut T) -> ControlFlow<()>,
) {
    for piece in 0..pieces {
        work(piece, &mut result);
        if take(&mut result).is_break() {
            return;
        }
    }
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

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            in_order(
                threads,
                1_000,
                u64::default,
                |piece, result| *result = piece * 3,
                |result| {
                    seen.push(*result);
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(seen, (0..1_000).map(|piece| piece * 3).collect::<Vec<_>>());
        }
    }

    #[test]
    fn whoever_has_enough_stops() {
        for threads in [1, 4] {
            let mut seen = 0;
            in_order(
                threads,
                u64::MAX,
                u64::default,
                |piece, result| *result = piece,
                |_| {
                    seen += 1;
                    if seen == 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            assert_eq!(seen, 100);
        }
    }
}
