//! Each fault alone, met by each kind of call, in a backup, a check and a restore: the work is done all the same, and by the rules.

use crate::b2_kit::fake;
use crate::b2_lab::{B2Lab, STORE_CODES, watched};
use crate::fake_b2::{Call, FakeB2, Fault, Kind};
use std::sync::Arc;
use std::time::Duration;

/// Faults that one more try gets over.
fn passing() -> Vec<Fault> {
    vec![
        Fault::status(500),
        Fault::status(503),
        Fault::Status(503, "service_unavailable", Some("1")),
        Fault::status(429),
        Fault::Status(429, "too_many_requests", Some("1")),
        // Nobody waits for so long.
        Fault::Status(503, "service_unavailable", Some("86400")),
        Fault::status(408),
        Fault::EarlyStatus(503, "service_unavailable"),
        Fault::ExpiredToken,
        Fault::BadToken,
        Fault::ResetBefore,
        Fault::ResetMidBody,
        Fault::ResetAfter,
        Fault::LostAnswer,
        Fault::Truncate,
        Fault::Corrupt,
        Fault::Trickle(997, Duration::from_millis(1)),
        Fault::Delay(Duration::from_millis(50)),
    ]
}

/// The calls that a backup, a check and a restore make.
const KINDS: [Kind; 7] = [
    Kind::Authorize,
    Kind::ListBuckets,
    Kind::GetUploadUrl,
    Kind::UploadFile,
    Kind::ListFileVersions,
    Kind::DownloadById,
    Kind::DownloadByName,
];

/// A round of work while `plan` is in force; everything has to succeed.
fn round(plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static, what: &str) -> Arc<FakeB2> {
    let fake = Arc::new(fake());
    let mut lab = B2Lab::new(&fake);
    lab.backup().unwrap_or_else(|e| panic!("{what}: the first backup: {e:?}"));
    lab.change();
    fake.plan(plan);
    lab = lab.reopen().unwrap_or_else(|e| panic!("{what}: opening: {e:?}"));
    lab.backup().unwrap_or_else(|e| panic!("{what}: the backup: {e:?}"));
    lab.assert_nothing_is_lost(what);
    fake.fair_weather();
    lab.assert_all_is_well(what);
    assert_eq!(fake.violations(), Vec::<String>::new(), "{what}");
    fake
}

#[test]
fn each_fault_on_each_call_is_got_over() {
    let mut tried = 0;
    for fault in passing() {
        for kind in KINDS {
            // There is no token yet that could be bad: that is about the key.
            if kind == Kind::Authorize && matches!(fault, Fault::ExpiredToken | Fault::BadToken) {
                continue;
            }
            let what = format!("{fault:?} on {kind:?}");
            let meant = fault.clone();
            // The first and the third call of the kind.
            let (mut seen, mut met) = (0, 0);
            let fake = watched(120, &what.clone(), move || {
                let plan = move |call: &Call| {
                    seen += u32::from(call.kind == kind);
                    let is_meant = call.kind == kind && (seen == 1 || seen == 3) && met < 2;
                    met += u32::from(is_meant);
                    is_meant.then(|| meant.clone())
                };
                round(plan, &what)
            });
            tried += fake.log().iter().filter(|call| call.fault.is_some()).count();
        }
    }
    println!("{tried} faults met");
    assert!(tried > 150, "only {tried} faults were met");
}

#[test]
fn many_calls_meet_a_fault() {
    for (fault, most) in [
        (Fault::status(503), 85),
        (Fault::ResetMidBody, 85),
        (Fault::LostAnswer, 85),
        // Tokens that are refused several times in a row are given up.
        (Fault::ExpiredToken, 25),
    ] {
        let what = format!("{fault:?} on many calls");
        let meant = fault;
        watched(120, &what.clone(), move || {
            round(
                // Scattered: in step with the client's own rhythm it would always meet the same call.
                move |call| {
                    let is_meant = blake3::hash(&call.number.to_le_bytes()).as_bytes()[0] < most;
                    (is_meant && call.kind != Kind::Authorize).then(|| meant.clone())
                },
                &what,
            )
        });
    }
}

#[test]
fn silence_does_not_hang_a_run() {
    for (fault, kind) in [
        (Fault::Stall, Kind::UploadFile),
        (Fault::StallMidBody, Kind::UploadFile),
        (Fault::StallAnswer, Kind::UploadFile),
        (Fault::Stall, Kind::ListFileVersions),
        (Fault::StallMidBody, Kind::ListFileVersions),
        (Fault::StallMidBody, Kind::DownloadById),
        (Fault::StallMidBody, Kind::DownloadByName),
        (Fault::Stall, Kind::Authorize),
        (Fault::Stall, Kind::GetUploadUrl),
    ] {
        let what = format!("{fault:?} on {kind:?}");
        let mut left = 1;
        watched(120, &what.clone(), move || {
            round(
                move |call| {
                    let is_meant = call.kind == kind && left > 0;
                    left -= u32::from(is_meant);
                    is_meant.then(|| fault.clone())
                },
                &what,
            )
        });
    }
}

#[test]
fn a_service_that_stays_away_ends_the_run_with_its_code() {
    for (fault, code) in [
        (Fault::status(503), 7),
        (Fault::status(500), 7),
        (Fault::status(429), 7),
        (Fault::status(408), 7),
        (Fault::ResetBefore, 7),
        (Fault::ResetMidBody, 7),
        (Fault::LostAnswer, 7),
        (Fault::Truncate, 7),
        (Fault::BadToken, 5),
        (Fault::Status(400, "bad_request", None), 5),
        (Fault::Status(403, "access_denied", None), 5),
        (Fault::Cap("storage_cap_exceeded"), 6),
        (Fault::Cap("transaction_cap_exceeded"), 6),
        (Fault::Cap("download_cap_exceeded"), 6),
        (Fault::Cap("cap_exceeded"), 6),
    ] {
        for kind in [None, Some(Kind::UploadFile)] {
            // An upload that was done although no answer says so is found.
            if kind.is_some() && matches!(fault, Fault::LostAnswer | Fault::Truncate) {
                continue;
            }
            let what = format!("{fault:?} on {}", kind.map_or("everything", Kind::api));
            let fault = fault.clone();
            watched(120, &what.clone(), move || {
                let fake = fake();
                let mut lab = B2Lab::new(&fake);
                lab.backup().unwrap();
                lab.change();
                let meant = fault.clone();
                fake.plan(move |call| kind.is_none_or(|kind| kind == call.kind).then(|| meant.clone()));
                let error = lab.backup().map(drop).unwrap_err();
                assert_eq!(error.exit_code(), code, "{what}: {error:?}");
                assert!(STORE_CODES.contains(&error.exit_code()) && error.hint().is_some() || code == 5, "{error:?}");
                // What is of no use is not repeated.
                let after = fake.log().into_iter().filter(|call| call.fault.is_some()).count();
                if code == 6 || matches!(fault, Fault::Status(400 | 403, ..)) {
                    assert!(after <= 4, "{what}: {after} calls after the store had said no");
                }
                fake.fair_weather();
                lab.assert_all_is_well(&what);
            });
        }
    }
}

#[test]
fn connections_are_refused_for_a_while() {
    watched(120, "refused connections", || {
        let fake = Arc::new(fake());
        let mut lab = B2Lab::new(&fake);
        lab.backup().unwrap();
        lab.change();
        fake.refuse(true);
        let error = lab.backup().map(drop).unwrap_err();
        assert_eq!(error.exit_code(), 7, "{error:?}");
        fake.refuse(false);
        lab.assert_all_is_well("after refusals");
    });
}

#[test]
fn a_connection_that_gave_wrong_bytes_is_left() {
    watched(120, "a bad connection", || {
        let fake = Arc::new(fake());
        let mut lab = B2Lab::new(&fake);
        for _ in 0..8 {
            lab.change();
            lab.backup().unwrap();
        }
        fake.reset_counts();
        let mut is_met = false;
        fake.plan(move |call| {
            let is_meant = !is_met && call.kind == Kind::DownloadById && call.name.as_ref()?.contains("/packs/");
            is_met |= is_meant;
            is_meant.then_some(Fault::Corrupt)
        });
        let report = lab.check().unwrap();
        assert_eq!(report.exit_code(), 0, "{:?}", report.errors);
        let log = fake.log();
        let bad = log.iter().find(|call| call.fault.is_some()).unwrap();
        // What was wrong is asked for again. From then on that connection is left; calls may be under way.
        let again = log.iter().find(|call| call.name == bad.name && call.number > bad.number).unwrap();
        let after = log.iter().filter(|call| call.connection == bad.connection && call.number > again.number).count();
        let others = log.iter().filter(|call| call.connection != bad.connection && call.number > bad.number).count();
        assert!(after <= 4 && others > 10, "{after} more calls over the bad connection, {others} over others");
    });
}
