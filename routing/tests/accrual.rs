//! Failure accrual as a state machine: every threshold, boundary and turn, and what workers make of each other's news.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::time::Duration;

use canary_config::{Config, FailureAccrual};
use canary_routing::Fraction;
use canary_routing::accrual::{Accrual, Change, Standing, Verdict, View, Why};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// 2026-11-21, at the beginning of a second.
const START: u64 = 1_795_219_200_000_000_000;
const SECOND: u64 = 1_000_000_000;
const NO_JITTER: Fraction = Fraction::from_bits(0);

fn settings(fields: Value) -> FailureAccrual {
    let document = json!({"policies": [{"hosts": ["a"], "fallback": ["v2", "v1"], "failureAccrual": fields}]});
    Config::read(&document).unwrap().0.policies[0].failure_accrual.clone().unwrap()
}

fn send(view: &mut View, results: &str, settings: &FailureAccrual, now: u64) {
    for result in results.chars() {
        let verdict = if result == '+' { Verdict::Success } else { Verdict::Failure };
        view.record(view.stretch(now), verdict, settings, now, NO_JITTER);
    }
}

/// A version that its first failure has ejected at [`START`].
fn ejected(settings: &FailureAccrual) -> View {
    let mut view = View::default();
    send(&mut view, "-----", settings, START);
    assert_eq!(view.standing(START), Standing::Ejected);
    view
}

/// Exchanges what a worker knows with what all share.
fn exchange(view: &mut View, shared: &mut Vec<u8>, settings: &FailureAccrual, now: u64) -> Vec<Change> {
    view.merge(Accrual::decode(shared).unwrap_or_default(), Some(settings), now, NO_JITTER);
    *shared = view.state().encode();
    view.told()
}

#[test]
fn thresholds() {
    let (consecutive, ratio) = (json!({}), json!({"consecutiveFailures": 0, "failureRatio": 0.5, "minRequests": 4}));
    let why = |failures| Some(Why::ConsecutiveFailures(failures));
    // Results with the second in which each group ends, and what for the version is ejected.
    for (row, settings, results, expected) in [
        ("four in succession", &consecutive, vec![(0, "----")], None),
        ("five in succession", &consecutive, vec![(0, "-----")], why(5)),
        ("a success in between", &consecutive, vec![(0, "----+----")], None),
        ("a success long before", &consecutive, vec![(0, "+"), (9, "-----")], why(5)),
        ("in succession however slowly", &consecutive, vec![(0, "--"), (100, "--"), (200, "-")], why(5)),
        ("one is enough", &json!({"consecutiveFailures": 1}), vec![(0, "+-")], why(1)),
        ("nothing is switched on", &json!({"consecutiveFailures": 0}), vec![(0, "------------")], None),
        ("the ratio exactly", &ratio, vec![(0, "+-+-")], Some(Why::FailureRatio(2, 4))),
        ("just below the ratio", &ratio, vec![(0, "++-+-")], None),
        ("too few requests", &ratio, vec![(0, "---")], None),
        ("as many as are asked for", &ratio, vec![(0, "----")], Some(Why::FailureRatio(4, 4))),
        ("a success that fills the minimum", &ratio, vec![(0, "---+")], Some(Why::FailureRatio(3, 4))),
        ("within the window", &ratio, vec![(0, "--"), (9, "++")], Some(Why::FailureRatio(2, 4))),
        ("out of the window", &ratio, vec![(0, "---"), (10, "-")], None),
        ("in and out of the window", &ratio, vec![(0, "+++"), (1, "--"), (10, "--")], Some(Why::FailureRatio(4, 4))),
        ("long after", &ratio, vec![(0, "---"), (100_000, "-")], None),
        (
            "a ratio of one",
            &json!({"consecutiveFailures": 0, "failureRatio": 1, "minRequests": 1}),
            vec![(0, "-")],
            Some(Why::FailureRatio(1, 1)),
        ),
        (
            "both, whichever is first",
            &json!({"failureRatio": 0.1, "minRequests": 3}),
            vec![(0, "+++-")],
            Some(Why::FailureRatio(1, 4)),
        ),
    ] {
        let settings = self::settings(settings.clone());
        let mut view = View::default();
        for (second, results) in results {
            assert_eq!(view.standing(START + second * SECOND), Standing::Serving, "{row}: too early");
            send(&mut view, results, &settings, START + second * SECOND);
        }
        let found = view.told().first().map(|change| match change {
            Change::Ejected { why, .. } => *why,
            Change::Recovered(_) => panic!("{row}: nothing to recover from"),
        });
        assert_eq!(found, expected, "{row}");
    }
}

#[test]
fn a_worker_asks_only_for_what_changes_something() {
    let (plain, ratio) = (settings(json!({})), settings(json!({"failureRatio": 0.5})));
    let wants = |view: &View, verdict, settings| view.wants(view.stretch(START), verdict, settings, START);
    let mut view = View::default();
    assert!(!wants(&view, Verdict::Success, &plain) && wants(&view, Verdict::Success, &ratio));
    assert!(wants(&view, Verdict::Failure, &plain));
    send(&mut view, "-", &plain, START);
    assert!(wants(&view, Verdict::Success, &plain), "a success would end the succession");
    let view = ejected(&plain);
    assert!(!wants(&view, Verdict::Failure, &plain) && !wants(&view, Verdict::Success, &plain));
}

#[test]
fn ejections_grow_to_their_maximum_and_jitter_adds_a_tenth() {
    let settings = settings(json!({"consecutiveFailures": 1, "ejection": "30s", "maxEjection": "100s"}));
    for (jitter, lengths) in [
        (0, [30_000, 60_000, 100_000, 100_000]),
        (1 << 63, [31_500, 63_000, 105_000, 105_000]),
        (u64::MAX, [33_000, 66_000, 110_000, 110_000]),
    ] {
        let (mut view, mut now) = (View::default(), START);
        for (index, expected) in lengths.into_iter().enumerate() {
            view.record(view.stretch(now), Verdict::Failure, &settings, now, Fraction::from_bits(jitter));
            let changes = view.told();
            let [Change::Ejected { length, number, .. }] = changes[..] else { panic!("{changes:?}") };
            assert_eq!((length.as_millis(), number as usize), (expected, index + 1), "jitter {jitter}");
            let until = now + u64::try_from(length.as_nanos()).unwrap();
            assert_eq!(view.standing(until - 1), Standing::Ejected);
            assert_eq!(view.standing(until), Standing::OnTrial);
            now = until;
        }
    }
}

#[test]
fn a_trial_decides() {
    let settings = settings(json!({"ejection": "10s", "trial": {"requests": 3}}));
    let trial = START + 10 * SECOND;
    for (row, results, standing, changes) in [
        ("nothing yet", "", Standing::OnTrial, 0),
        ("two successes", "++", Standing::OnTrial, 0),
        ("three successes", "+++", Standing::Serving, 1),
        ("a failure", "-", Standing::Ejected, 1),
        ("a failure after two successes", "++-", Standing::Ejected, 1),
        ("what comes too late for a trial that has failed", "-+++", Standing::Ejected, 1),
    ] {
        let mut view = ejected(&settings);
        view.told();
        send(&mut view, "+++---", &settings, START + SECOND);
        assert_eq!(view.told(), [], "{row}: while it is ejected nothing counts");
        send(&mut view, results, &settings, trial);
        assert_eq!((view.standing(trial), view.told().len()), (standing, changes), "{row}");
    }
    for (row, sent_at) in [
        ("before the ejection", View::default().stretch(START)),
        ("during the ejection", ejected(&settings).stretch(trial - 1)),
    ] {
        for verdict in [Verdict::Failure, Verdict::Success] {
            let mut view = ejected(&settings);
            (0..3).for_each(|_| view.record(sent_at, verdict, &settings, trial, NO_JITTER));
            assert_eq!(view.standing(trial), Standing::OnTrial, "what was sent {row} is no trial");
        }
    }
}

#[test]
fn a_version_begins_anew_after_its_recovery() {
    let settings = settings(json!({"ejection": "10s", "maxEjection": "40s", "failureRatio": 0.5, "minRequests": 5}));
    for (row, served, number) in [("soon", 39, 2), ("after maxEjection", 40, 1)] {
        let mut view = ejected(&settings);
        let back = START + 10 * SECOND;
        send(&mut view, "+++", &settings, back);
        assert_eq!(view.standing(back), Standing::Serving, "{row}");
        send(&mut view, "----", &settings, back);
        assert_eq!(view.standing(back), Standing::Serving, "{row}: the failures before are forgotten");
        send(&mut view, "-", &settings, back + served * SECOND);
        let last = view.told().pop();
        assert!(matches!(last, Some(Change::Ejected { number: found, .. }) if found == number), "{row}: {last:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_ejects_nobody_for_ever() {
    let settings = settings(json!({"failureRatio": 0.5, "minRequests": 4, "consecutiveFailures": 5}));
    let view = ejected(&settings);
    for (row, now, standing) in [
        ("a moment", START - SECOND / 2, Standing::Ejected),
        ("an hour", START - 3_600 * SECOND, Standing::OnTrial),
        ("to the epoch", 0, Standing::OnTrial),
    ] {
        assert_eq!(view.standing(now), standing, "{row}");
    }
    let mut view = View::default();
    send(&mut view, "-++", &settings, START);
    send(&mut view, "+-", &settings, START - 3_600 * SECOND);
    assert_eq!(view.standing(START - 3_600 * SECOND), Standing::Serving, "the window begins anew");
    send(&mut view, "+-", &settings, START - 3_600 * SECOND);
    assert_eq!(view.standing(START - 3_600 * SECOND), Standing::Ejected);
}

#[test]
fn workers_judge_by_what_all_have_seen() {
    let plain = json!({"ejection": "10s", "trial": {"requests": 2}});
    let ratio = json!({"consecutiveFailures": 0, "failureRatio": 0.5, "minRequests": 8});
    // What each of two workers sees in each of some rounds, and in which round both know the version as ejected.
    for (row, settings, rounds, expected) in [
        ("one sees all", &plain, vec![["-----", ""]], Some(0)),
        ("each sees some", &plain, vec![["---", "--"]], Some(0)),
        ("in turns", &plain, vec![["--", "-"], ["-", "-"]], Some(1)),
        ("a success of the other", &plain, vec![["--", ""], ["", "+"], ["--", "--"]], None),
        ("a success before the worker has heard of failures", &plain, vec![["----", "+"], ["-", ""]], Some(1)),
        ("the ratio over both", &ratio, vec![["+-", "+-"], ["+-", "+-"]], Some(1)),
        ("the ratio is not reached", &ratio, vec![["+-", "++"], ["+-", "+-"]], None),
    ] {
        let settings = self::settings(settings.clone());
        let (mut workers, mut shared, mut told, mut found) = ([View::default(), View::default()], Vec::new(), 0, None);
        for (round, results) in rounds.into_iter().enumerate() {
            let now = START + round as u64 * SECOND / 10;
            for (worker, results) in workers.iter_mut().zip(results) {
                send(worker, results, &settings, now);
            }
            for worker in [0, 1, 0] {
                told += exchange(&mut workers[worker], &mut shared, &settings, now).len();
            }
            assert_eq!(workers[0].state(), workers[1].state(), "{row}: both know the same");
            if found.is_none() && workers[0].standing(now) == Standing::Ejected {
                found = Some(round);
            }
        }
        assert_eq!(found, expected, "{row}");
        assert_eq!(told, usize::from(expected.is_some()), "{row}: told once");
    }
}

#[test]
fn of_turns_at_once_one_counts() {
    let settings = settings(json!({"consecutiveFailures": 1, "ejection": "10s", "trial": {"requests": 2}}));
    let trial = START + 11 * SECOND;
    // What each of two workers sees of the same trial at once, where the trial leads to, and how many turns are told.
    for (row, results, standing) in [
        ("both see it fail", ["-", "-"], Standing::Ejected),
        ("one sees it succeed, then one sees it fail", ["++", "-"], Standing::Ejected),
        ("one sees it fail, then one sees it succeed", ["-", "++"], Standing::Ejected),
        ("each sees a success", ["+", "+"], Standing::Serving),
        ("both see it succeed", ["++", "++"], Standing::Serving),
    ] {
        let (mut workers, mut shared) = ([View::default(), View::default()], Vec::new());
        workers.iter_mut().enumerate().for_each(|(index, worker)| send(worker, "-", &settings, START + index as u64));
        let told = [0, 1, 0].map(|worker| exchange(&mut workers[worker], &mut shared, &settings, START).len());
        assert_eq!(told, [1, 0, 0], "{row}: ejected at once by both, once");
        for (index, results) in results.into_iter().enumerate() {
            send(&mut workers[index], results, &settings, trial + index as u64);
        }
        for worker in [0, 1, 0] {
            exchange(&mut workers[worker], &mut shared, &settings, trial);
        }
        assert_eq!(workers.map(|worker| worker.standing(trial)), [standing; 2], "{row}");
    }
}

#[test]
fn an_exchange_may_be_repeated_and_lost() {
    let settings = settings(json!({}));
    let (mut view, mut other) = (View::default(), View::default());
    send(&mut view, "--", &settings, START);
    for _ in 0..5 {
        view.merge(Accrual::default(), Some(&settings), START, NO_JITTER);
    }
    assert_eq!(view.standing(START), Standing::Serving, "a repeated attempt counts once");
    let mut shared = Vec::new();
    send(&mut other, "--", &settings, START);
    exchange(&mut other, &mut shared, &settings, START);
    exchange(&mut view, &mut shared, &settings, START);
    send(&mut view, "-", &settings, START);
    assert_eq!(view.standing(START), Standing::Ejected, "2 + 2 + 1");
    exchange(&mut view, &mut shared, &settings, START);
    let mut lost = Vec::new();
    exchange(&mut view, &mut lost, &settings, START);
    assert_eq!(lost, shared, "a turn outlives the loss of what is shared");
}

#[test]
fn a_changed_window_begins_anew() {
    let before = json!({"consecutiveFailures": 0, "failureRatio": 0.5, "minRequests": 4, "window": "10s"});
    let mut after = before.clone();
    after["window"] = json!("20s");
    let mut view = View::default();
    send(&mut view, "---", &settings(before), START);
    send(&mut view, "-", &settings(after.clone()), START);
    assert_eq!(view.standing(START), Standing::Serving);
    send(&mut view, "---", &settings(after), START);
    assert_eq!(view.standing(START), Standing::Ejected);
}

#[test]
fn what_is_old_is_forgotten() {
    let settings = settings(json!({"failureRatio": 1, "ejection": "2h", "maxEjection": "2h"}));
    let hours = |hours: u64| START + hours * 3_600 * SECOND;
    let after = |results: &str| {
        let mut view = View::default();
        send(&mut view, results, &settings, START);
        view
    };
    for (row, results, now, forgettable) in [
        ("a success in the window", "+", START, false),
        ("a success out of it", "+", START + 10 * SECOND, true),
        ("a failure", "-", START + 100 * SECOND, false),
        ("a failure an hour ago", "-", hours(1), true),
        ("an ejection", "-----", hours(1), false),
        ("a trial", "-----", hours(2), false),
        ("a trial without a request in an hour", "-----", hours(3), true),
        ("an ejection by a clock that was set back", "-----", hours(0) - 2 * 3_600 * SECOND, true),
    ] {
        assert_eq!(after(results).state().is_forgettable(now), forgettable, "{row}");
    }
    assert!(Accrual::default().is_forgettable(START));
}

#[test]
fn what_one_worker_has_forgotten_begins_anew_for_all() {
    let settings = settings(json!({"ejection": "10s"}));
    let (back, hour) = (START + 10 * SECOND, 3_600 * SECOND);
    // How long after the recovery another worker counts two failures, and whether the recovered view has forgotten itself.
    for (row, later, is_forgotten) in [("within the hour", hour - SECOND, false), ("after an hour", hour, true)] {
        let mut remembering = ejected(&settings);
        send(&mut remembering, "+++", &settings, back);
        remembering.told();
        assert_eq!(remembering.standing(back), Standing::Serving, "{row}");
        let (mut forgetful, mut shared) = (View::default(), Vec::new());
        send(&mut forgetful, "--", &settings, back + later);
        exchange(&mut forgetful, &mut shared, &settings, back + later);
        exchange(&mut remembering, &mut shared, &settings, back + later);
        assert_eq!(remembering.state() == forgetful.state(), is_forgotten, "{row}");
        exchange(&mut forgetful, &mut shared, &settings, back + later);
        assert_eq!(remembering.state(), forgetful.state(), "{row}: both know the same in the end");
        send(&mut remembering, "---", &settings, back + later);
        let standing = if is_forgotten { Standing::Ejected } else { Standing::Serving };
        assert_eq!(remembering.standing(back + later), standing, "{row}: 2 + 3");
    }
}

#[test]
fn bytes() {
    let settings = settings(json!({"failureRatio": 1}));
    let mut counting = View::default();
    send(&mut counting, "+--", &settings, START);
    let out = ejected(&settings);
    for view in [&View::default(), &counting, &out] {
        let bytes = view.state().encode();
        assert_eq!(Accrual::decode(&bytes).as_ref(), Some(view.state()));
        for end in 0..bytes.len() {
            // A state without its window is a whole one.
            let cut = Accrual::decode(&bytes[..end]);
            assert!(cut.is_none() || end == 30, "{end} of {} bytes", bytes.len());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Accrual::decode(&longer), None, "a byte too many");
    }
    let bytes = out.state().encode();
    let forged = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        Accrual::decode(&bytes)
    };
    assert!(forged(0, &[1]).is_some());
    for (row, at, with) in [
        ("another version", 0, &[2][..]),
        ("a generation that nothing can succeed", 1, &[255; 4]),
        ("an unknown phase", 21, b"x"),
        ("an ejection for ever", 30, &[255; 8]),
        ("an ejection that ends before it begins", 30, &[0; 8]),
    ] {
        assert_eq!(forged(at, with), None, "{row}");
    }
}

#[test]
fn counts_do_not_overflow() {
    let settings = settings(json!({"consecutiveFailures": 0, "failureRatio": 1, "minRequests": 1_000_000}));
    let mut bytes = {
        let mut view = View::default();
        send(&mut view, "-", &settings, START);
        view.state().encode()
    };
    // Failures in succession, and the newest bucket.
    for at in [9, 46, 50] {
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    }
    let mut view = View::default();
    view.merge(Accrual::decode(&bytes).unwrap(), None, START, NO_JITTER);
    send(&mut view, "-", &settings, START);
    assert_eq!(view.standing(START), Standing::Ejected);
    assert_eq!(view.standing(START + Duration::from_secs(30).as_nanos() as u64), Standing::OnTrial);
}
