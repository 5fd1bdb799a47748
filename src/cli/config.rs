//! `finwait.toml`: settings that stay with a project. What the command line says overrules them.
//!
//! A key that is not known is an error, not a thing to pass over: a typing error must not turn a
//! check into one that never fails.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use toml::{Table, Value};

use super::check::{at_most, severity};
use super::input;
use crate::findings::Severity;
use crate::findings::thresholds::{did_you_mean, nearest};
use crate::limits::SETTINGS_BYTES_MAX;
use crate::report::ci::form::fault;
use crate::run::Options;
use crate::time::Span;

/// The file that is looked for.
const NAME: &str = "finwait.toml";

/// What a file of settings says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// How to read, and what counts as a finding.
    pub options: Options,
    /// Names of hosts.
    pub names: Option<PathBuf>,
    /// A capture that ends inside a packet is an error.
    pub strict: bool,
    /// What fails a check.
    pub check: CheckSettings,
}

/// What a file of settings says of `check`.
#[derive(Clone, Debug, Default)]
pub struct CheckSettings {
    /// The mildest severity that fails.
    pub fail_on: Option<Severity>,
    /// How many findings of a name are fine.
    pub max: Vec<(&'static str, u64)>,
    /// What is known already.
    pub baseline: Option<PathBuf>,
    /// What is known and not there any more fails, too.
    pub fail_on_stale: bool,
}

impl Config {
    /// Reads the file that is named, or else the nearest one from the working directory upward, or
    /// else none.
    pub fn load(named: Option<&Path>) -> Result<Config> {
        match named.map(Path::to_path_buf).or_else(find) {
            None => Ok(Config::default()),
            Some(path) => {
                let text = input::text(&path, SETTINGS_BYTES_MAX)
                    .with_context(|| format!("{}: cannot read it", path.display()))?;
                Config::parse(&text, &path).with_context(|| path.display().to_string())
            }
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Config> {
        let mut config = Config::default();
        let table: Table = text.parse().map_err(|error| anyhow!(fault(&error, text)))?;
        // What is said of one threshold is said after what is said of several.
        let (thresholds, others): (Vec<_>, Vec<_>) =
            table.iter().partition(|(key, _)| *key == "thresholds");
        for (key, value) in others.into_iter().chain(thresholds) {
            config.take(key, value, path).with_context(|| format!("`{key}`"))?;
        }
        Ok(config)
    }

    fn take(&mut self, key: &str, value: &Value, path: &Path) -> Result<()> {
        const KEYS: [&str; 10] = [
            "allow",
            "check",
            "close-wait",
            "decode-tunnels",
            "fd-limit",
            "max-connections",
            "msl",
            "names",
            "strict",
            "thresholds",
        ];
        let thresholds = &mut self.options.thresholds;
        match key {
            "allow" => {
                for name in array(value)? {
                    thresholds.allow(string(name)?)?;
                }
            }
            "check" => self.check = check(table(value)?, path)?,
            "close-wait" => thresholds.set_close_wait(seconds(value)?),
            "decode-tunnels" => self.options.decode_tunnels = boolean(value)?,
            "fd-limit" => thresholds.set_fd_limit(whole(value)?),
            "max-connections" => {
                let max = whole(value)?;
                ensure!(max > 0, "is 0, but at least one address and port pair must be followed");
                self.options.connections_max = usize::try_from(max).unwrap_or(usize::MAX);
            }
            "msl" => self.options.params.msl = seconds(value)?,
            "names" => self.names = Some(beside(path, string(value)?)),
            "strict" => self.strict = boolean(value)?,
            "thresholds" => {
                for (name, values) in table(value)? {
                    for (threshold, number) in table(values)? {
                        thresholds.set(&format!("{name}.{threshold}={number}"))?;
                    }
                }
            }
            _ => return unknown(key, &KEYS),
        }
        Ok(())
    }
}

/// A path in a file of settings counts from where that is.
fn beside(settings: &Path, path: &str) -> PathBuf {
    settings.parent().unwrap_or(Path::new("")).join(path)
}

/// The settings of `check`.
fn check(settings: &Table, path: &Path) -> Result<CheckSettings> {
    const KEYS: [&str; 4] = ["baseline", "fail-on", "fail-on-stale", "max"];
    let mut check = CheckSettings::default();
    for (key, value) in settings {
        match key.as_str() {
            "baseline" => check.baseline = Some(beside(path, string(value)?)),
            "fail-on" => {
                check.fail_on = Some(severity(string(value)?).map_err(anyhow::Error::msg)?)
            }
            "fail-on-stale" => check.fail_on_stale = boolean(value)?,
            "max" => {
                for (name, count) in table(value)? {
                    let max = at_most(&format!("{name}={}", whole(count)?));
                    check.max.push(max.map_err(anyhow::Error::msg)?);
                }
            }
            _ => unknown(key, &KEYS)?,
        }
    }
    Ok(check)
}

fn unknown(key: &str, known: &[&str]) -> Result<()> {
    let nearest = did_you_mean(nearest(key, known.iter().copied()));
    bail!("no setting is named `{key}`{nearest}")
}

/// The file in the working directory, or in the nearest one above it.
fn find() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join(NAME)).find(|path| path.is_file())
}

fn table(value: &Value) -> Result<&Table> {
    value.as_table().context("is not a table")
}

fn array(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("is not a list")
}

fn boolean(value: &Value) -> Result<bool> {
    value.as_bool().context("is neither true nor false")
}

fn string(value: &Value) -> Result<&str> {
    value.as_str().context("is not text in quotes")
}

fn whole(value: &Value) -> Result<u64> {
    value.as_integer().and_then(|it| u64::try_from(it).ok()).context("is not a number such as 5")
}

fn seconds(value: &Value) -> Result<Span> {
    let number = value.as_float().or_else(|| value.as_integer().map(|it| it as f64));
    let number = number.filter(|it| it.is_finite() && *it >= 0.0);
    number.map(Span::from_secs_f64).context("is not a number of seconds, such as 60 or 0.5")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::closing::close_wait_leak::CLOSE_WAIT_LEAK;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text, Path::new("folder/finwait.toml"))
    }

    #[test]
    fn every_setting_is_taken() {
        let config = parse(
            "msl = 15\nfd-limit = 4096\ndecode-tunnels = true\nnames = \"hosts\"\nclose-wait = 5.5\nstrict = true\nmax-connections = 9\n\
             allow = [\"long-close-wait\"]\n\
             [thresholds.close-wait-leak]\nstuck_min = 7\n\
             [check]\nfail-on = \"warning\"\nbaseline = \"known.toml\"\nfail-on-stale = true\n\
             max = { connection-refused = 2 }\n",
        );
        let Config { options, names, strict, check } = config.unwrap();
        assert_eq!(names, Some(PathBuf::from("folder/hosts")));
        assert_eq!(options.params.msl, Span::from_secs(15));
        assert_eq!(options.connections_max, 9);
        assert!(options.decode_tunnels);
        assert!(strict && !options.thresholds.is_on("long-close-wait"));
        let value = |name| options.thresholds.value(&CLOSE_WAIT_LEAK, name);
        assert_eq!((value("hold_s"), value("stuck_min")), (Some(5.5), Some(7.0)));
        assert_eq!(value("fd_limit"), Some(4096.0));
        assert_eq!(check.fail_on, Some(Severity::Warning));
        assert!(check.fail_on_stale);
        assert_eq!(check.max, [("connection-refused", 2)]);
        assert_eq!(check.baseline, Some(PathBuf::from("folder/known.toml")));
    }

    #[test]
    fn one_threshold_overrules_several_wherever_it_stands() {
        let config = parse("close-wait = 5\n[thresholds.close-wait-leak]\nhold_s = 9").unwrap();
        assert_eq!(config.options.thresholds.value(&CLOSE_WAIT_LEAK, "hold_s"), Some(9.0));
    }

    #[test]
    fn what_is_not_known_is_refused_with_the_nearest() {
        let refused = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert!(refused("close_wait = 5").contains("did you mean `close-wait`?"));
        assert!(refused("[check]\nfail_on = \"note\"").contains("did you mean `fail-on`?"));
        assert!(refused("[thresholds.close-wait-leek]\nhold_s = 1").contains("close-wait-leak"));
        assert!(refused("[thresholds.close-wait-leak]\nhold = 1").contains("hold_s"));
        assert!(refused("allow = [\"close-wait-leek\"]").contains("close-wait-leak"));
        assert!(refused("[check.max]\nclose-wait-leek = 1").contains("close-wait-leak"));
        for wrong in [
            "msl = \"30\"",
            "msl = -1",
            "msl = nan",
            "strict = 1",
            "allow = \"keepalive\"",
            "allow = [1]",
            "check = 1",
            "max-connections = -1",
            "max-connections = 0",
            "[check]\nfail-on = \"fatal\"",
            "[thresholds]\nclose-wait-leak = 1",
            "msl = ",
        ] {
            parse(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn the_example_of_the_docs_is_taken() {
        let page = include_str!("../../docs/ci.md");
        let examples = page.split("```toml\n").skip(1).filter_map(|it| it.split("```").next());
        let [settings, known] = examples.collect::<Vec<_>>()[..] else { panic!("two examples") };
        assert_eq!(parse(settings).unwrap().check.fail_on, Some(Severity::Warning));
        crate::report::ci::baseline::Baseline::parse(known).unwrap();
    }
}
