//! How the code is laid out: imports point back along the data's way, every file says what it is
//! for, and nothing grows past what a reader holds in mind.

use std::path::{Path, PathBuf};

/// The layers in the order of the data's way; a file uses only what stands before its own layer.
const LAYERS: &[&[&str]] = &[
    &["addr", "limits", "time", "seq", "rfc", "owner", "slab", "parallel", "grouped"],
    &["capture"],
    &["decode"],
    &["flow"],
    &["infer"],
    &["history"],
    &["sockets", "notes"],
    &["findings"],
    &["pipeline"],
    &["run"],
    &["report", "extract"],
    &["cli"],
];

/// What stands above all layers: the crate's root, the program, and what tests use.
const NO_LAYER: [&str; 3] = ["lib", "main", "testkit"];

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;
const COLUMNS_MAX: usize = 100;

/// Every Rust file below a folder of the repository.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The module of `src` that a file belongs to.
fn module(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = path.strip_prefix(src).expect("below src");
    let first = inside.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Whether the file holds tests only.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.parent().is_some_and(|folder| folder.ends_with("tests"))
}

/// The file up to its tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[test]
fn imports_point_back() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let module = module(&path);
        if is_test(&path) || NO_LAYER.contains(&&*module) {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| panic!("{module} is in no layer"));
        let text = std::fs::read_to_string(&path).expect("text");
        for used in without_tests(&text).split("crate::").skip(1) {
            let name: String =
                used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if layer(&name).is_some_and(|other| other > own) {
                wrong.push(format!("{} uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    for folder in ["src", "tests", "benches"] {
        for path in sources(folder) {
            let text = std::fs::read_to_string(&path).expect("text");
            assert!(text.starts_with("//!"), "{} begins without //!", path.display());
        }
    }
}

#[test]
fn nothing_grows_past_a_page() {
    let mut long = Vec::new();
    for path in sources("src") {
        let text = std::fs::read_to_string(&path).expect("text");
        let lines: Vec<_> = without_tests(&text).lines().collect();
        let is_test = is_test(&path) || module(&path) == "testkit";
        if lines.len() > FILE_LINES_MAX && !is_test {
            long.push(format!("{}: {} lines", path.display(), lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            if line.chars().count() > COLUMNS_MAX && !line.contains("row(") {
                long.push(format!("{}:{}: {} columns", path.display(), at + 1, line.len()));
            }
            let indent = line.len() - line.trim_start().len();
            let opens = line.trim_start().starts_with("fn ") || line.contains(" fn ");
            if !opens || line.trim_start().starts_with("//") || line.trim_end().ends_with(';') {
                continue;
            }
            let end = format!("{}}}", " ".repeat(indent));
            let closes = lines.iter().skip(at).position(|line| line.starts_with(&end));
            if let Some(length) = closes.filter(|length| *length > FUNCTION_LINES_MAX) {
                long.push(format!("{}:{}: {length} lines", path.display(), at + 1));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}
