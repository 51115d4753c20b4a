//! Waiting for conditions with a deadline: what tests do instead of sleeping.

use std::time::{Duration, Instant};

/// Between two looks at a condition: short beside every latency the tests allow, long beside the cost of a look.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks at `condition` until it holds. Panics with `what` when it does not within `deadline`.
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let held = wait_for(deadline, || condition().then_some(()));
    assert!(held.is_some(), "waited {deadline:?} in vain until {what}");
}

/// Looks until `probe` gives something, at most for `deadline`.
pub fn wait_for<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if started.elapsed() >= deadline {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::{wait_for, wait_until};
    use std::time::Duration;

    #[test]
    fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        wait_until(Duration::from_secs(5), "three looks are over", || {
            looks += 1;
            looks == 3
        });
    }

    #[test]
    #[should_panic(expected = "in vain until pigs fly")]
    fn a_condition_that_never_comes_true_names_itself() {
        wait_until(Duration::from_millis(1), "pigs fly", || false);
    }

    #[test]
    fn a_deadline_of_nothing_looks_once() {
        assert_eq!(wait_for(Duration::ZERO, || Some(1)), Some(1));
    }
}
