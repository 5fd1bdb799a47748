//! The lot of a four-tuple: one of a few numbers by which threads share all four-tuples out.
//!
//! It depends on the four-tuple alone and not on the run's seed, since it also says where copies of
//! a packet are looked for, and so what is found. Whoever makes all four-tuples of one lot makes
//! several threads as slow as one.

use super::tuple::FourTuple;

/// How many lots there are. A power of two.
pub const LOTS: u8 = 16;

impl FourTuple {
    /// Its lot, the same in any tunnel.
    #[inline(always)]
    pub fn lot(&self) -> u8 {
        let [low, high] = self.addrs().map(|addr| u128::from_be_bytes(addr) as u64);
        between((low, high), self.ports())
    }
}

/// The same of what is between two addresses, of which the lowest bits count, and two ports.
#[inline(always)]
pub(super) fn between(addrs: (u64, u64), ports: (u16, u16)) -> u8 {
    const SPREADS: u64 = 0x9e37_79b9_7f4a_7c15;
    // Neither end is the first.
    let all = (addrs.0 ^ addrs.1).rotate_left(16) ^ u64::from(ports.0 ^ ports.1);
    (all.wrapping_mul(SPREADS) >> (u64::BITS - LOTS.ilog2())) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_are_of_about_the_same_size_and_both_directions_have_one() {
        let mut sizes = [0; LOTS as usize];
        for n in 0..1_600_u16 {
            let (client, server) = (([n as u8; 16], 32_768 + n), ([9; 16], 80 + n % 3));
            let (tuple, _) = FourTuple::new(4, client, server);
            sizes[usize::from(tuple.lot())] += 1;
            assert_eq!(tuple.lot(), FourTuple::new(4, server, client).0.lot());
            assert_eq!(tuple.lot(), tuple.in_tunnel(7).lot());
        }
        assert!(sizes.iter().all(|size| (50..200).contains(size)), "{sizes:?}");
    }
}
