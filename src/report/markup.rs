//! Text between tags: what XML takes from a capture, a path or the command line.

use std::borrow::Cow;

use crate::report::text::clean;

/// The text without what a parser would obey, and without the characters that XML does not have.
pub fn escape(text: &str) -> Cow<'_, str> {
    let text = clean(text);
    let is_special = |letter: char| matches!(letter, '&' | '<' | '>' | '"' | '\'');
    let is_none = |letter: char| matches!(letter, '\u{fffe}' | '\u{ffff}');
    if !text.contains(|letter| is_special(letter) || is_none(letter)) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            letter if is_none(letter) => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(escape("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;");
        assert_eq!(escape("\u{1b}\u{ffff}"), "\u{fffd}\u{fffd}");
        assert!(matches!(escape("10.9.0.2:6800"), Cow::Borrowed(_)));
    }
}
