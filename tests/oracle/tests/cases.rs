//! The named cases: no miss but the known ones.

use std::collections::BTreeSet;

use finwait_oracle::cases::all;
use finwait_oracle::score::score;
use finwait_oracle::show::show;

#[test]
fn named_cases_miss_only_what_is_known() {
    let mut wrong = Vec::new();
    for case in all() {
        let (score, run, testimony) = score(&case.scenario);
        let found: BTreeSet<_> = score.misses.iter().map(|miss| miss.kind.as_str()).collect();
        let is_known = |miss: &&&str| case.known.iter().any(|known| miss.starts_with(known));
        let unknown: Vec<_> = found.iter().filter(|miss| !is_known(miss)).collect();
        for known in case.known {
            if !found.iter().any(|miss| miss.starts_with(known)) {
                wrong.push(case.name);
                println!("{}: mended, take out {known:?}", case.name);
            }
        }
        if !unknown.is_empty() {
            wrong.push(case.name);
            println!("{}: {unknown:#?}\n{}", case.name, show(&run, &testimony));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
