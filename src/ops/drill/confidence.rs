//! What a random sample of packs says about all of them.

/// With this confidence.
const CONFIDENCE: f64 = 0.95;

/// At most so many of `all` packs are bad, with a confidence of 95 %, when `bad` of `read` packs, picked at random, were. That is the largest number with which as few
/// bad ones in the sample are not less likely than 5 % (the hypergeometric distribution; for none found in a large repository it is near 3 / `read`).
pub fn most_bad(all: u64, read: u64, bad: u64) -> u64 {
    if read == 0 {
        return all;
    }
    let (mut low, mut high) = (bad.min(all), all.saturating_sub(read.saturating_sub(bad)).max(bad.min(all)));
    // The likelihood falls as there are more bad ones.
    while low < high {
        let middle = high - (high - low) / 2;
        if at_most(all, read, middle, bad) >= 1.0 - CONFIDENCE {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// The same as a share, 0 to 1; 0 where there are no packs.
#[allow(clippy::cast_precision_loss)]
pub fn most_bad_share(all: u64, read: u64, bad: u64) -> f64 {
    if all == 0 { 0.0 } else { most_bad(all, read, bad) as f64 / all as f64 }
}

/// How likely it is to find at most `found` bad ones among `read` of `all`, of which `bad` are.
#[allow(clippy::cast_precision_loss)]
fn at_most(all: u64, read: u64, bad: u64, found: u64) -> f64 {
    let ln = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let whole = ln(all, read);
    let least = read.saturating_sub(all - bad);
    (least..=found.min(bad).min(read)).map(|k| (ln(bad, k) + ln(all - bad, read - k) - whole).exp()).sum()
}

/// ln n!, exact for small numbers, by Stirling's series for others (an error below 1e-10 there).
#[allow(clippy::cast_precision_loss)]
fn ln_factorial(n: u64) -> f64 {
    if n < 32 {
        return (2..=n).map(|k| (k as f64).ln()).sum();
    }
    let x = n as f64;
    x * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI * x).ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_figures() {
        // The rule of three: 59 good ones of many say at most 5 %.
        assert!((0.0480..0.0500).contains(&most_bad_share(1_000_000, 59, 0)));
        assert!(most_bad_share(1_000_000, 58, 0) > 0.0500);
        assert!((0.0095..0.0101).contains(&most_bad_share(100_000, 298, 0)));
        // Of few packs more is known: all read is all known.
        assert_eq!((most_bad(100, 100, 0), most_bad(100, 100, 3), most_bad(100, 0, 0)), (0, 3, 100));
        assert_eq!((most_bad(0, 0, 0), most_bad(10, 9, 0)), (0, 1));
        assert!(most_bad_share(0, 0, 0).abs() < 1e-12);
        assert!(most_bad(1_000, 59, 1) > most_bad(1_000, 59, 0));
    }

    /// Whatever share is bad: in 95 % of drills and more, it is no more than the drill says.
    #[test]
    fn it_is_right_by_simulation() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        const DRILLS: u32 = 3_000;
        for (all, read, bad) in [(200u64, 59u64, 9u64), (200, 20, 2), (5_000, 59, 250), (50, 30, 1), (1_000, 100, 30)] {
            let mut right = 0;
            for _ in 0..DRILLS {
                // Without putting back: the first `bad` packs are bad.
                let mut packs: Vec<u64> = (0..all).collect();
                let found = (0..read)
                    .filter(|at| {
                        let pick = at + random(all - at);
                        packs.swap(*at as usize, pick as usize);
                        packs[*at as usize] < bad
                    })
                    .count();
                right += u32::from(most_bad(all, read, found as u64) >= bad);
            }
            let share = f64::from(right) / f64::from(DRILLS);
            // Three standard deviations below 95 %.
            assert!(share >= 0.938, "{all} packs, {read} read, {bad} bad: right in {share}");
        }
    }
}
