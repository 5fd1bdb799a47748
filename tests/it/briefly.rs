//! What is kept in brief says what the engine says that follows every segment: the same histories,
//! whichever way a capture is read.

use std::path::{Path, PathBuf};

use finwait::capture::Source;
use finwait::history::History;
use finwait::infer::Params;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::Pipeline;
use finwait_capgen::{Options, Shape, generate};
use proptest::prelude::*;

use crate::properties::{segments, step};

fn histories(mut source: Source, following_all: bool) -> Vec<History> {
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
    if following_all {
        pipeline = pipeline.following_all();
    }
    while let Ok(Some(packet)) = source.next_packet() {
        pipeline.packet(&packet);
    }
    pipeline.finish().0
}

/// Compares both ways; returns how many histories there are.
fn check(name: &str, open: impl Fn() -> Source) -> usize {
    let (briefly, followed) = (histories(open(), false), histories(open(), true));
    assert_eq!(briefly.len(), followed.len(), "{name}");
    for (brief, followed) in briefly.iter().zip(&followed) {
        assert_eq!(brief, followed, "{name}, connection {}", brief.id);
    }
    briefly.len()
}

/// Every capture file below a folder.
pub fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            captures(&path, found);
        } else if path.extension().is_some_and(|it| it == "pcap" || it == "pcapng") {
            found.push(path);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn random_segments_give_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let run = |pipeline: Pipeline<Vec<History>>| {
            let mut pipeline = pipeline;
            segments(&steps).iter().for_each(|decoded| pipeline.decoded(decoded));
            pipeline.finish().0
        };
        let pipeline = || Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
        prop_assert_eq!(run(pipeline()), run(pipeline().following_all()));
    }
}

#[test]
fn recorded_captures_give_the_same() {
    let mut found = Vec::new();
    captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata"), &mut found);
    let mut connections = 0;
    for path in found {
        if Source::open(&path).is_ok() {
            let open = || Source::open(&path).expect("it was opened before");
            connections += check(&path.display().to_string(), open);
        }
    }
    assert!(connections > 500, "{connections}");
}

#[test]
fn generated_captures_give_the_same() {
    for shape in Shape::ALL {
        for (packets, drop_permille) in [(30_000, 0), (10_000, 20)] {
            let options = Options { drop_permille, ..Options::new(shape, packets) };
            let mut bytes = Vec::new();
            generate(&options, &mut bytes).expect("memory");
            let open = || {
                let reader = Box::new(std::io::Cursor::new(bytes.clone()));
                Source::from_reader(shape.name(), reader).expect("a capture")
            };
            assert!(check(shape.name(), open) > 0);
        }
    }
}
