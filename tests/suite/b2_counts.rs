//! How many calls a backup, an unchanged night and a restore make: few, and no more when there is more in the bucket.

use crate::b2_kit::{BUCKET, fake};
use crate::b2_lab::{B2Lab, packs};
use crate::common::noise;
use crate::fake_b2::{Class, Counts, FakeB2, Kind};
use std::fs::File;
use std::io::Write;

/// The calls of one night without a change, by a new process.
fn quiet_night(fake: &FakeB2, mut lab: B2Lab, skip_if_unchanged: bool) -> (B2Lab, Counts) {
    fake.reset_counts();
    lab = lab.reopen().unwrap();
    if skip_if_unchanged {
        let mut options = lab.lab.options();
        options.skip_if_unchanged = true;
        assert_eq!(lab.lab.backup_with(&options).snapshot, None);
    } else {
        lab.backup().unwrap();
    }
    (lab, fake.counts())
}

#[test]
fn a_night_without_a_change_makes_ten_calls_at_most() {
    let fake = fake();
    let mut lab = B2Lab::new(&fake);
    lab.backup().unwrap();
    crate::common::settle();
    let (lab, first) = quiet_night(&fake, lab, false);
    println!("the first night without a change: {:?}", first.calls);
    assert!(first.all() <= 10, "{:?}", first.calls);
    let uploaded: Vec<String> =
        fake.log().into_iter().filter(|call| call.kind == Kind::UploadFile).filter_map(|call| call.name).collect();
    assert!(uploaded.len() == 1 && uploaded[0].contains("/snapshots/"), "{uploaded:?}");

    // Nights with changes, and many objects: the calls stay as they are.
    let mut lab = lab;
    for _ in 0..30 {
        lab.change();
        lab = lab.reopen().unwrap();
        lab.backup().unwrap();
    }
    assert!(packs(&fake).len() > 50, "{}", packs(&fake).len());
    let (lab, later) = quiet_night(&fake, lab, false);
    println!("after 31 more nights: {:?}", later.calls);
    assert_eq!(later.calls, first.calls);

    let (_, skipped) = quiet_night(&fake, lab, true);
    println!("with --skip-if-unchanged: {:?}", skipped.calls);
    assert!(skipped.all() <= 10 && skipped.of(Kind::UploadFile) == 0 && skipped.of(Kind::GetUploadUrl) == 0);
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[test]
fn lists_do_not_grow_with_what_is_touched() {
    let lists = |files: u64| {
        let fake = fake();
        let mut lab = B2Lab::new(&fake);
        for n in 0..files {
            lab.write(&format!("many/{n}"), 2_000);
        }
        lab.backup().unwrap();
        let first = fake.counts().lists();
        fake.reset_counts();
        lab.assert_nothing_is_lost("counting");
        (first, fake.counts().lists())
    };
    let (few, many) = (lists(10), lists(2_000));
    println!("listings of a first backup, of a check with a restore: {few:?} with 10 files, {many:?} with 2,000");
    assert_eq!(few, many);
    assert!(few.0 <= 10 && few.1 <= 15);
}

#[test]
fn a_gibibyte_goes_up_in_25_uploads_and_comes_back_in_40_downloads() {
    const MIB: u64 = 1 << 20;
    let fake = fake();
    let mut lab = B2Lab::new(&fake);
    for n in 0..4 {
        let mut file = File::create(lab.lab.source().join(format!("huge{n}"))).unwrap();
        for part in 0..256 {
            file.write_all(&noise(n * 1_000 + part, MIB as usize)).unwrap();
        }
    }
    fake.reset_counts();
    let id = lab.backup().unwrap();
    let up = fake.counts();
    let stored = up.uploaded_bytes as f64 / (1u64 << 30) as f64;
    let uploads = up.of(Kind::UploadFile) as f64 / stored;
    println!("{stored:.3} GiB stored with {uploads:.1} uploads a GiB, calls: {:?}", up.calls);
    assert!(stored > 1.0 && uploads <= 25.0, "{uploads} uploads a GiB");
    assert!(up.class(Class::C) <= 10, "{:?}", up.calls);

    fake.reset_counts();
    let manifest = lab.snapshots.last().unwrap().1.clone();
    lab.restore(id, &manifest).unwrap();
    let down = fake.counts();
    let restored = manifest.content_bytes() as f64 / (1u64 << 30) as f64;
    let downloads = down.downloads() as f64 / restored;
    println!("{restored:.3} GiB restored with {downloads:.1} downloads a GiB, calls: {:?}", down.calls);
    assert!(downloads <= 40.0, "{downloads} downloads a GiB");
    assert!(down.downloaded_bytes < up.uploaded_bytes + (up.uploaded_bytes >> 5), "more came down than there is");
    assert_eq!(fake.versions(BUCKET).len(), fake.names(BUCKET).len(), "no version is stored twice");
    assert_eq!(fake.violations(), Vec::<String>::new());
}
