//! What is wrong with a text in TOML, in one line: the parser's own words are a picture of several.

/// `line 3, column 7: unknown field ...`.
pub fn fault(error: &toml::de::Error, text: &str) -> String {
    let what = error.message().trim().replace('\n', ", ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return what };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    format!("line {line}, column {column}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_with_its_place() {
        let said = |text: &str| fault(&text.parse::<toml::Table>().unwrap_err(), text);
        assert_eq!(
            said("msl = 30\n\nname = é"),
            "line 3, column 8: string values must be quoted, expected literal string"
        );
        assert!(said("a = 1\na = 2").starts_with("line 2, column 1: duplicate key"));
        assert!(!said("[").contains('\n'));
    }
}
