//! Random numbers that are the same in every run: SplitMix64, small and good enough for shapes.

/// A stream of numbers, given by its seed.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of that seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from `low` up to, and without, `high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + ((u128::from(self.draw()) * u128::from(high - low)) >> 64) as u64
    }

    /// True in `n` of a thousand draws.
    pub fn permille(&mut self, n: u64) -> bool {
        self.range(0, 1000) < n
    }
}

/// Spreads a number's bits over all 64.
pub fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
