//! The screens in README and docs are what the program prints.

#[test]
fn screens_are_what_the_program_prints() {
    trycmd::TestCases::new().case("README.md").case("docs/ci.md").run();
}
