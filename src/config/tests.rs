//! Files as people write them, right and wrong.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::retention::{Count, PerUnit, Policy};

fn problems(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn an_example_is_read() {
    let config = parse(
        r#"
        default-profile = "b"
        [profiles.a]
        [profiles.b]
        repository = "/mnt/disk"
        password-command = ["op", "read", "op://vault/panther"]
        sources = [{ path = "/etc" }, { subvolume = "/home", nested = "follow" }]
        [profiles.b.retention]
        preset = "server"
        yearly = 3
        daily = "unlimited"
        [profiles.b.limits]
        upload = "2M"
        day = { from = "08:00", to = "22:00", upload = "500k" }
        [profiles.b.budget]
        stop-month-dollars = 10
        warn-month-dollars = 7.5
        "#,
    )
    .unwrap();
    let (name, profile) = config.pick(None).unwrap();
    assert_eq!((name, profile.repository.as_deref()), ("b", Some("/mnt/disk")));
    let every =
        PerUnit { daily: Count::ALL, weekly: Count(12), monthly: Count(12), yearly: Count(3), hourly: Count(0) };
    assert_eq!(profile.retention.as_ref().unwrap().policy(), Policy { every, ..Policy::default() });
    let limits = profile.limits.as_ref().unwrap();
    assert_eq!(limits.upload_text().as_deref(), Some("08:00-22:00=500k,2M"));
    assert_eq!(limits.download_text(), None);
    assert_eq!(config.pick(Some("a")).unwrap().0, "a");
    assert!(config.pick(Some("x-y-z")).unwrap_err().ends_with("there are: a, b"));
    // What is read can be written and read again, also by those who only know JSON.
    let json = serde_json::to_value(&config).unwrap();
    let again: Config = serde_json::from_value(json).unwrap();
    assert_eq!(again, config);
}

#[test]
fn which_profile_is_meant() {
    assert_eq!(parse("").unwrap().pick(None).unwrap_err(), "it has no profile");
    assert_eq!(parse("[profiles.one]").unwrap().pick(None).unwrap().0, "one");
    let two = parse("[profiles.one]\n[profiles.two]").unwrap();
    assert!(two.pick(None).unwrap_err().contains("several profiles"));
    assert_eq!(two.pick(Some("twoo")).unwrap_err(), "there is no profile \"twoo\"; did you mean \"two\"?");
    assert_eq!(
        problems("default-profile = \"ona\"\n[profiles.one]"),
        ["line 1: default-profile: there is no profile \"ona\"; did you mean \"one\"?"]
    );
}

#[test]
fn unknown_keys_are_named_with_the_nearest_one() {
    for (text, want) in [
        ("profile = 1", "line 1: profile: unknown key; did you mean profiles?"),
        ("[profiles.a]\n\nrepositry = \"x\"", "line 3: profiles.a.repositry: unknown key; did you mean repository?"),
        ("[profiles.a.retention]\ndayly = 3", "line 2: profiles.a.retention.dayly: unknown key; did you mean daily?"),
        (
            "[profiles.a]\npassword_file = \"/x\"",
            "line 2: profiles.a.password_file: unknown key; did you mean password-file?",
        ),
        (
            "[[profiles.a.sources]]\npath = \"/\"\n[[profiles.a.sources]]\nsubvol = \"/\"",
            "line 4: profiles.a.sources[1].subvol: unknown key; did you mean subvolume?",
        ),
        (
            "[profiles.a]\nexclude = []",
            "line 2: profiles.a.exclude: unknown key here; it belongs into the profile's table backup",
        ),
        (
            "[profiles.a.backup]\nsources = []",
            "line 2: profiles.a.backup.sources: unknown key here; it belongs into a profile itself",
        ),
        (
            "[profiles.a.b2]\nzzzzzzzz = 1",
            "line 2: profiles.a.b2.zzzzzzzz: unknown key; known here are endpoint, key-file, read-key-file",
        ),
        (
            "[profiles.a]\nsnapshots = { retention = { prset = \"laptop\" } }",
            "line 2: profiles.a.snapshots.retention.prset: unknown key; did you mean preset?",
        ),
    ] {
        assert_eq!(problems(text), [want], "{text}");
    }
    // All at once, by line.
    assert_eq!(problems("[profiles.a]\nx-y-z = 1\nhosst = 2").len(), 2);
}

#[test]
fn values_are_checked() {
    for (text, line, part) in [
        ("[profiles.a", 1, ""),
        ("[profiles.a]\nrepository = 5", 2, "profiles.a.repository: invalid type"),
        ("[profiles.a]\nrepository = \" \"", 2, "it is empty"),
        ("[profiles.a]\nrepository = \"backup\"", 2, "absolute path"),
        ("[profiles.a]\nstate-dir = \"var\"", 2, "profiles.a.state-dir: \"var\" is no absolute path"),
        ("[profiles.a]\nstate-dir = \"/a/../b\"", 2, "no absolute path"),
        ("[profiles.a]\nwriter = \"A b\"", 2, "no writer name"),
        (
            "[profiles.a]\npassword-file = \"/a\"\nidentity-file = \"/b\"",
            3,
            "give only one of password-file and identity-file",
        ),
        ("[profiles.a]\npassword-command = \"op read\"", 2, "profiles.a.password-command: "),
        ("[profiles.a]\npassword-command = []", 2, "a command is a list"),
        ("[profiles.a.retention]\ndaily = -1", 2, "profiles.a.retention.daily: invalid value: integer `-1`"),
        ("[profiles.a.retention]\ndaily = \"many\"", 2, "or \"unlimited\""),
        ("[profiles.a.retention]\ndaily = 0", 1, "it keeps nothing"),
        ("[profiles.a.retention]\npreset = \"desktop\"", 2, "desktop"),
        ("[profiles.a.retention]\nwithin = \"1w\"", 2, "no span of time"),
        ("[profiles.a.retention]\nlast = 1\ntags = [[]]", 3, "empty list of tags"),
        ("[profiles.a.schedule]\n\n\nbackup = \"often\"", 4, "profiles.a.schedule.backup: \"often\" is no calendar"),
        ("[profiles.a.limits]\nupload = \"2MB/s\"", 2, "no rate"),
        ("[profiles.a.limits]\nday = { from = \"8:00\", to = \"22:00\" }", 2, "no time of day"),
        ("[profiles.a.limits]\nday = { from = \"08:00\", to = \"22:00\" }", 2, "neither upload nor download"),
        ("[profiles.a.limits.day]\nfrom = \"08:00\"", 1, "missing field"),
        ("[profiles.a.budget]\nstop-month-dollars = -1", 2, "no amount of dollars"),
        ("[profiles.a.budget]\nstop-month-dollars = nan", 2, "no amount of dollars"),
        ("[profiles.a.budget]\nstop-month-dollars = 5\nwarn-month-dollars = 6", 3, "more than stop"),
        ("[profiles.a.metrics]\ndogstatsd = \"localhost\"", 2, "neither HOST:PORT"),
        ("[profiles.a.metrics]\nprometheus-file = \"/a/b.txt\"", 2, "end in .prom"),
        ("[profiles.a.metrics]\nwebhook = \"http://example.org/\"", 2, "no address"),
        ("[profiles.a.metrics]\ndogstatsd-tags = [\"a\"]", 2, "no dogstatsd"),
        ("[profiles.a.backup]\ntags = [\"a\", \"b,c\"]", 2, "profiles.a.backup.tags[1]: a tag has"),
        ("[profiles.a.backup]\ncompression = \"20\"", 2, "none of auto"),
        ("[profiles.a.backup]\nexclude-larger-than = \"big\"", 2, "is no size"),
        ("[profiles.a.backup]\nexclude = [\"a\", \"\"]", 2, "profiles.a.backup.exclude[1]: a pattern is empty"),
        ("[[profiles.a.sources]]\nnested = \"follow\"", 1, "a path or a subvolume"),
        ("[[profiles.a.sources]]\npath = \"/a\"\nnested = \"follow\"", 1, "for subvolumes"),
        ("[profiles.a]\nsources = [{ path = \"/a\" }, { subvolume = \"/a\" }]", 2, "given twice"),
        ("[[profiles.a.databases]]\nkind = \"mysql\"\nsources = []", 2, "mysql"),
        ("[[profiles.a.databases]]\nkind = \"redis\"\nsources = [\"/r\"]", 3, "/r is none of the sources"),
        ("[[profiles.a.databases]]\nkind = \"other\"\nsources = []", 2, "needs before or after"),
        ("[profiles.a.snapshots.retention]\nlast = 2\ngroup-by = [\"host\"]", 3, "apart by subvolume"),
        ("[profiles.a.drill]\nwarn-after = \"soon\"", 2, "no length of time"),
        ("[profiles.a]\n[profiles.a]", 2, ""),
    ] {
        let found = parse(text).unwrap_err();
        let hit = found.iter().any(|p| p.line == Some(line) && p.to_string().contains(part));
        assert!(hit, "{text}: {found:?}");
    }
    // A password in an address is not repeated.
    let said = problems("[profiles.a.metrics]\nwebhook = \"https://me:hunter2@example.org/\"").join("\n");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn lengths_of_time_and_rates() {
    let secs = |text: &str| values::Time::parse(text).map(|time| time.get().as_secs());
    assert_eq!([secs("90s"), secs("5min"), secs("1h 30min"), secs("2d")], [Ok(90), Ok(300), Ok(5_400), Ok(172_800)]);
    for bad in ["", "5", "min", "1.5h", "-1s", "99999999999999999999s"] {
        assert!(secs(bad).is_err(), "{bad}");
    }
    let rate = |text: &str| values::Rate::parse(text).map(|rate| *rate.get());
    assert_eq!([rate("0"), rate("2M"), rate("500Ki")], [Ok(0), Ok(2_000_000), Ok(512_000)]);
    assert_eq!(values::Clock::parse("22:05").map(|clock| *clock.get()), Ok(22 * 60 + 5));
    for bad in ["24:00", "7:00", "07:60", "+7:00", "07"] {
        assert!(values::Clock::parse(bad).is_err(), "{bad}");
    }
}
