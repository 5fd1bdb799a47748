//! The screens in README and docs are what the program prints.

#[test]
fn screens_are_what_the_program_prints() {
    let cases = trycmd::TestCases::new();
    ["README.md", "docs/ci.md", "docs/guide.md", "docs/sockets.md"].into_iter().for_each(|page| {
        cases.case(page);
    });
    cases.run();
}
