//! Writes captures of known content: same options, same bytes, and next to each capture what it
//! holds, so that a fast wrong answer can be told from a right one.
//!
//! [`generate`] plays the connections of a [`Shape`] into a [`file::Capture`] and counts them in a
//! [`truth::Truth`]. The server's port of each connection tells its class, so the output of any
//! tool can be held against the counts class by class.

pub mod conn;
pub mod file;
pub mod frame;
pub mod plain;
pub mod player;
pub mod rng;
pub mod script;
pub mod truth;
pub mod web;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use file::{Capture, Format, Style};
use player::Player;
use rng::Rng;
use truth::Truth;

/// What kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Many short connections of all classes.
    Web,
    /// Eight connections of full segments.
    Bulk,
    /// A new four-tuple in nearly every packet.
    Flood,
    /// All connections open at once.
    Concurrent,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Shape; 4] = [Shape::Web, Shape::Bulk, Shape::Flood, Shape::Concurrent];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Shape::Web => "web",
            Shape::Bulk => "bulk",
            Shape::Flood => "flood",
            Shape::Concurrent => "concurrent",
        }
    }
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The kind of traffic.
    pub shape: Shape,
    /// About how many packets.
    pub packets: u64,
    /// How many connections, for [`Shape::Concurrent`].
    pub conns: u64,
    /// How the file is written.
    pub style: Style,
    /// So many of a thousand packets are left out.
    pub drop_permille: u64,
    /// Another seed, another capture.
    pub seed: u64,
}

impl Options {
    /// `packets` packets of a shape in a pcap file, 96 bytes of each.
    pub fn new(shape: Shape, packets: u64) -> Options {
        Options {
            shape,
            packets,
            conns: (packets / 5).max(1),
            style: Style { format: Format::Pcap, nanos: false, snaplen: 96 },
            drop_permille: 0,
            seed: 1,
        }
    }
}

/// Writes a capture, and returns the text of its sidecar.
pub fn generate(options: &Options, out: impl Write) -> io::Result<String> {
    let Options { shape, packets, conns, drop_permille, seed, style } = *options;
    let truth = Truth::new(match shape {
        Shape::Web => &script::CLASSES,
        Shape::Bulk => &plain::BULK,
        Shape::Flood => &plain::FLOOD,
        Shape::Concurrent => &plain::CONCURRENT,
    });
    let mut player = Player::new(Capture::new(out, style)?, truth, drop_permille, seed);
    let mut rng = Rng::new(seed);
    match shape {
        Shape::Web => web::play(&mut player, packets, &mut rng),
        Shape::Bulk => plain::bulk(&mut player, packets, &mut rng),
        Shape::Flood => plain::flood(&mut player, packets, &mut rng),
        Shape::Concurrent => plain::concurrent(&mut player, packets, conns, &mut rng),
    }?;
    let head = format!("\"shape\":\"{}\",\"seed\":{seed},", shape.name());
    Ok(player.finish()?.json(&head))
}

/// Writes a capture to `path` and its sidecar to `path` with `.json` behind.
pub fn write_files(options: &Options, path: &Path) -> io::Result<()> {
    let out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let truth = generate(options, out)?;
    let mut sidecar = path.as_os_str().to_owned();
    sidecar.push(".json");
    std::fs::write(sidecar, truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_options_give_the_same_bytes() {
        for shape in Shape::ALL {
            let options = Options::new(shape, 2_000);
            let [mut first, mut second] = [Vec::new(), Vec::new()];
            let truth = generate(&options, &mut first).unwrap();
            assert_eq!(generate(&options, &mut second).unwrap(), truth);
            assert_eq!(first, second);
            assert!(first.len() > 2_000 * 60);
        }
    }

    #[test]
    fn the_weights_make_a_thousand() {
        assert_eq!(script::CLASSES.iter().map(|class| class.weight).sum::<u64>(), 1000);
    }

    #[test]
    fn times_never_run_backwards() {
        let options = Options::new(Shape::Web, 5_000);
        let mut bytes = Vec::new();
        generate(&options, &mut bytes).unwrap();
        let (mut at, mut last) = (24, 0);
        while let Some(header) = bytes.get(at..at + 16) {
            let word =
                |at: usize| u64::from(u32::from_le_bytes(*header[at..].first_chunk().unwrap()));
            let now = word(0) * 1_000_000 + word(4);
            assert!(now >= last);
            (at, last) = (at + 16 + word(8) as usize, now);
        }
        assert_eq!(at, bytes.len());
    }
}
