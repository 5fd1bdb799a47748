//! Ctrl-C while a capture comes from a pipe: it ends the capture, and what was read is reported.
//!
//! A terminal sends the signal to the whole pipeline. tcpdump then writes what it has and ends, and
//! with it the pipe; to die before that would lose the report that somebody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether Ctrl-C came.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes Ctrl-C for a wish to end, from now on; a second one ends the program at once.
    pub fn catch() -> Interrupt {
        Interrupt::catch_with(|| {})
    }

    /// The same, with something to do before the program ends at once.
    pub fn catch_with(at_the_end: impl Fn() + Send + 'static) -> Interrupt {
        let interrupt = Interrupt::default();
        let flag = Arc::clone(&interrupt.0);
        let caught = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                at_the_end();
                std::process::exit(INTERRUPTED);
            }
        });
        // Where it cannot be caught it ends the program, as it does everywhere.
        drop(caught);
        interrupt
    }

    /// Whether it came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a shell says of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;
