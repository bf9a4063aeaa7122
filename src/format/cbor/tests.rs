//! The profile, rule by rule.

use super::*;
use proptest::prelude::*;

fn any(bytes: &[u8]) -> Res<()> {
    let mut d = Dec::new(bytes);
    d.skip()?;
    d.finish()
}

#[test]
fn the_profile_is_enforced() {
    for good in [
        &[0x00][..],
        &[0x18, 24],
        &[0x20],
        &[0x41, 0],
        &[0x61, b'a'],
        &[0x80],
        &[0xa1, 0, 0],
        &[0xf5],
        &[0xa2, 0, 0, 0x20, 0],
        &[0x3b, 255, 255, 255, 255, 255, 255, 255, 255],
    ] {
        assert_eq!(any(good), Ok(()), "{good:x?}");
    }
    for bad in [
        &[0x18, 23][..],                                 // not shortest
        &[0x19, 0, 255],                                 // not shortest
        &[0x38, 0],                                      // not shortest
        &[0x58, 1, 0],                                   // length not shortest
        &[0x5f, 0x41, 0, 0xff],                          // indefinite bytes
        &[0x9f, 0xff],                                   // indefinite array
        &[0xbf, 0xff],                                   // indefinite map
        &[0xf6],                                         // null
        &[0xf7],                                         // undefined
        &[0xc0, 0],                                      // tag
        &[0xf9, 0, 0],                                   // float
        &[0xa2, 1, 0, 0, 0],                             // keys out of order
        &[0xa2, 0, 0, 0, 0],                             // a key twice
        &[0xa1, 0x61, b'a', 0],                          // a text key
        &[0x61, 0xff],                                   // not UTF-8
        &[0x00, 0x00],                                   // more follows
        &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255], // huge length
        &[0x5b, 127, 255, 255, 255, 255, 255, 255, 255],
        &[],
    ] {
        assert!(any(bad).is_err(), "{bad:x?}");
    }
}

#[test]
fn nesting_is_bounded() {
    let mut deep = vec![0x81; 16];
    deep.push(0);
    assert_eq!(any(&deep), Ok(()));
    deep.insert(0, 0x81);
    assert!(matches!(any(&deep), Err(FormatError::Limit { .. })));
}

#[test]
fn unknown_keys_are_skipped_or_refused_by_sign() {
    let mut d = Dec::new(&[0xa2, 0, 1, 9, 2]);
    assert_eq!(d.map(|d, k| if k == 0 { d.uint().map(|_| true) } else { Ok(false) }), Ok(()));
    let mut d = Dec::new(&[0xa1, 0x20, 1]);
    assert_eq!(d.map(|_, _| Ok(false)), Err(FormatError::Feature { what: "map key", number: -1 }));
}

proptest! {
    #[test]
    fn integers_round_trip(u: u64, i: i64) {
        let mut e = Enc::default();
        e.uint(u);
        e.int(i);
        let bytes = e.done();
        let mut d = Dec::new(&bytes);
        prop_assert_eq!(d.uint(), Ok(u));
        prop_assert_eq!(d.int(), Ok(i));
        prop_assert_eq!(d.finish(), Ok(()));
    }

    #[test]
    fn no_input_panics(bytes: Vec<u8>) {
        let _ = any(&bytes);
    }
}
