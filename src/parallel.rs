//! Work on many pieces in several threads, whose results come in order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Results that each thread may have begun or finished and not handed over.
const RESULTS_PER_THREAD: usize = 3;

/// Does `work` on each of the pieces from 0, in so many threads, and gives the results to `take` in
/// the order of the pieces, here in this thread. Results are used again for later pieces, so
/// `work` overwrites what it finds. Stops early where `take` breaks.
pub fn in_order<T: Default + Send>(
    threads: usize,
    pieces: u64,
    work: impl Fn(u64, &mut T) + Sync,
    mut take: impl FnMut(&mut T) -> ControlFlow<()>,
) {
    if threads <= 1 || pieces <= 1 {
        let mut result = T::default();
        for piece in 0..pieces {
            work(piece, &mut result);
            if take(&mut result).is_break() {
                return;
            }
        }
        return;
    }
    let next = AtomicU64::new(0);
    let (hand_back, rooms) = channel();
    for _ in 0..threads * RESULTS_PER_THREAD {
        // The other end is below.
        let _ = hand_back.send(T::default());
    }
    let rooms = Mutex::new(rooms);
    let (hand_over, results) = channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let hand_over = hand_over.clone();
            let (next, rooms, work) = (&next, &rooms, &work);
            scope.spawn(move || {
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
            });
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
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            in_order(
                threads,
                1_000,
                |piece, result: &mut u64| *result = piece * 3,
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
                |piece, result: &mut u64| *result = piece,
                |_| {
                    seen += 1;
                    if seen == 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            assert_eq!(seen, 100);
        }
    }
}
