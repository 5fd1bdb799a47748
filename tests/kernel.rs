//! The inference held against a real kernel: every recording in `testdata/kernel`, seen from the
//! client, from the middle of the path and from the server, against the kernel's own transitions.
//!
//! `cargo test --test kernel -- --nocapture` prints the score of each recording.

mod lab;

use std::path::Path;

use lab::{Recording, Score};

const POINTS: [&str; 3] = ["client", "middle", "server"];

#[test]
fn histories_equal_the_kernels() {
    let root = match std::env::var_os("FINWAIT_RECORDINGS") {
        Some(root) => root.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel"),
    };
    let mut total = Score::default();
    let mut misses = Vec::new();
    for recording in Recording::all(&root) {
        for point in POINTS {
            let score = recording.score(point);
            println!("{:44} {point:6} {score}", recording.name);
            misses.extend(score.misses.iter().map(|m| format!("{} {point}: {m}", recording.name)));
            total.add(&score);
        }
    }
    println!("{:51} {total}", "total");
    for miss in &misses {
        println!("{miss}");
    }
    assert!(total.endpoints > 0, "no recordings");
}
