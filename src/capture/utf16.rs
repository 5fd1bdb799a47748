//! Text in UTF-16 made UTF-8: PowerShell's `>` writes nothing else, so what windump printed into a
//! file on Windows comes like this.

use std::io::{self, Read};

use super::order::Order;
use super::window::Window;

/// The byte order mark in front of such a text.
const MARK: u16 = 0xfeff;
const UNIT_BYTES: usize = 2;

/// The same text in UTF-8, if the window shows the beginning of one in UTF-16.
pub(super) fn decoded(mut window: Window, capacity: usize) -> Window {
    let marked =
        |order: &Order| window.bytes().first_chunk().is_some_and(|it| order.u16(*it) == MARK);
    let Some(order) = [Order::Little, Order::Big].into_iter().find(marked) else { return window };
    window.take(UNIT_BYTES);
    let text = Decoded { window, order, piece: String::new(), start: 0 };
    Window::new(Box::new(text), capacity)
}

/// A reader of UTF-8 over UTF-16.
struct Decoded {
    window: Window,
    order: Order,
    /// What was decoded and not yet read is `piece[start..]`.
    piece: String,
    start: usize,
}

impl Decoded {
    /// Decodes what is there. A byte too many at the end is dropped.
    fn decode(&mut self) -> io::Result<()> {
        let Decoded { window, order, piece, start } = self;
        *start = 0;
        piece.clear();
        if !window.fill(UNIT_BYTES)? {
            return Ok(());
        }
        let unit = |bytes: &[u8; UNIT_BYTES]| order.u16(*bytes);
        let units = |window: &Window| window.bytes().len() / UNIT_BYTES;
        let mut count = units(window);
        // The first half of a pair waits for the second.
        let is_half = |bytes: &[u8; UNIT_BYTES]| (0xd800..0xdc00).contains(&unit(bytes));
        if window.bytes().as_chunks().0.last().is_some_and(is_half) {
            count -= 1;
            if count == 0 {
                window.fill(2 * UNIT_BYTES)?;
                count = units(window).min(2);
            }
        }
        let all = window.bytes().as_chunks().0.iter().take(count).map(unit);
        let letters = char::decode_utf16(all).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER));
        piece.extend(letters);
        window.take(count * UNIT_BYTES);
        Ok(())
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start >= self.piece.len() {
            self.decode()?;
        }
        let mut rest = self.piece.as_bytes().get(self.start..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.start += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::Chunks;

    /// What a text in UTF-16 becomes that comes in pieces of so many bytes.
    fn read(units: &[u16], order: Order, piece: usize) -> String {
        let bytes = units.iter().flat_map(|unit| match order {
            Order::Little => unit.to_le_bytes(),
            Order::Big => unit.to_be_bytes(),
        });
        let mut window = Window::new(Box::new(Chunks::new(bytes.collect(), piece)), 64);
        window.fill(UNIT_BYTES).unwrap();
        let mut window = decoded(window, 64);
        while window.fill(window.bytes().len() + 1).unwrap() {}
        String::from_utf8(window.bytes().to_vec()).unwrap()
    }

    #[test]
    fn both_byte_orders_give_the_text_in_pieces_of_any_size() {
        let text = "IP größe.5 > 𝄞.80: Flags [.]\r\n".repeat(9);
        let marked: Vec<u16> = [MARK].into_iter().chain(text.encode_utf16()).collect();
        for piece in [1, 2, 3, 5, 64, 4096] {
            for order in [Order::Little, Order::Big] {
                assert_eq!(read(&marked, order, piece), text);
            }
        }
    }

    #[test]
    fn half_a_pair_is_no_letter() {
        for piece in [1, 2, 4, 64] {
            let found = read(&[MARK, 0x41, 0xd834, 0x42, 0xd834], Order::Little, piece);
            assert_eq!(found, "A\u{fffd}B\u{fffd}");
        }
    }
}
