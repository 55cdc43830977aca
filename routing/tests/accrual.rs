//! The states of failure accrual: every threshold, boundary and transition, and the exchange between workers.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::time::Duration;

use canary_config::{Config, FailureAccrual};
use canary_routing::Fraction;
use canary_routing::accrual::{Accrual, EjectionReason, Transition, Verdict, VersionState, WorkerView};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// 2026-11-21, at the start of a second.
const START: u64 = 1_795_219_200_000_000_000;
const SECOND: u64 = 1_000_000_000;
const NO_JITTER: Fraction = Fraction::from_bits(0);

fn settings(fields: Value) -> FailureAccrual {
    let document = json!({"policies": [{"hosts": ["a"], "fallback": ["v2", "v1"], "failureAccrual": fields}]});
    Config::read(&document).unwrap().0.policies[0].failure_accrual.clone().unwrap()
}

fn send(view: &mut WorkerView, results: &str, settings: &FailureAccrual, now: u64) {
    for result in results.chars() {
        let verdict = if result == '+' { Verdict::Success } else { Verdict::Failure };
        view.record(view.period(now), verdict, settings, now, NO_JITTER);
    }
}

/// A version that its first failure has ejected at [`START`].
fn ejected(settings: &FailureAccrual) -> WorkerView {
    let mut view = WorkerView::default();
    send(&mut view, "-----", settings, START);
    assert_eq!(view.version_state(START), VersionState::Ejected);
    view
}

/// Exchanges a worker's state with the shared state.
fn exchange(view: &mut WorkerView, shared: &mut Vec<u8>, settings: &FailureAccrual, now: u64) -> Vec<Transition> {
    view.merge(Accrual::decode(shared).unwrap_or_default(), Some(settings), now, NO_JITTER);
    *shared = view.state().encode();
    view.mark_published()
}

#[test]
fn thresholds() {
    let (consecutive, ratio) = (json!({}), json!({"consecutiveFailures": 0, "failureRatio": 0.5, "minRequests": 4}));
    let reason = |failures| Some(EjectionReason::ConsecutiveFailures(failures));
    // Results by the second in which they end, and the reason of the ejection.
    for (row, settings, results, expected) in [
        ("four in succession", &consecutive, vec![(0, "----")], None),
        ("five in succession", &consecutive, vec![(0, "-----")], reason(5)),
        ("a success in between", &consecutive, vec![(0, "----+----")], None),
        ("a success long before", &consecutive, vec![(0, "+"), (9, "-----")], reason(5)),
        ("in succession, but slowly", &consecutive, vec![(0, "--"), (100, "--"), (200, "-")], reason(5)),
        ("one is enough", &json!({"consecutiveFailures": 1}), vec![(0, "+-")], reason(1)),
        ("everything is off", &json!({"consecutiveFailures": 0}), vec![(0, "------------")], None),
        ("the ratio exactly", &ratio, vec![(0, "+-+-")], Some(EjectionReason::FailureRatio(2, 4))),
        ("just below the ratio", &ratio, vec![(0, "++-+-")], None),
        ("too few requests", &ratio, vec![(0, "---")], None),
        ("exactly the minimum of requests", &ratio, vec![(0, "----")], Some(EjectionReason::FailureRatio(4, 4))),
        ("a success that fills the minimum", &ratio, vec![(0, "---+")], Some(EjectionReason::FailureRatio(3, 4))),
        ("within the window", &ratio, vec![(0, "--"), (9, "++")], Some(EjectionReason::FailureRatio(2, 4))),
        ("outside the window", &ratio, vec![(0, "---"), (10, "-")], None),
        (
            "inside and outside the window",
            &ratio,
            vec![(0, "+++"), (1, "--"), (10, "--")],
            Some(EjectionReason::FailureRatio(4, 4)),
        ),
        ("long after", &ratio, vec![(0, "---"), (100_000, "-")], None),
        (
            "a ratio of one",
            &json!({"consecutiveFailures": 0, "failureRatio": 1, "minRequests": 1}),
            vec![(0, "-")],
            Some(EjectionReason::FailureRatio(1, 1)),
        ),
        (
            "both, the first one counts",
            &json!({"failureRatio": 0.1, "minRequests": 3}),
            vec![(0, "+++-")],
            Some(EjectionReason::FailureRatio(1, 4)),
        ),
    ] {
        let settings = self::settings(settings.clone());
        let mut view = WorkerView::default();
        for (second, results) in results {
            assert_eq!(view.version_state(START + second * SECOND), VersionState::Serving, "{row}: too early");
            send(&mut view, results, &settings, START + second * SECOND);
        }
        let found = view.mark_published().first().map(|change| match change {
            Transition::Ejected { reason, .. } => *reason,
            Transition::Recovered(_) => panic!("{row}: nothing to recover from"),
        });
        assert_eq!(found, expected, "{row}");
    }
}

#[test]
fn only_results_that_change_the_state_are_wanted() {
    let (plain, ratio) = (settings(json!({})), settings(json!({"failureRatio": 0.5})));
    let would_change =
        |view: &WorkerView, verdict, settings| view.would_change(view.period(START), verdict, settings, START);
    let mut view = WorkerView::default();
    assert!(!would_change(&view, Verdict::Success, &plain) && would_change(&view, Verdict::Success, &ratio));
    assert!(would_change(&view, Verdict::Failure, &plain));
    send(&mut view, "-", &plain, START);
    assert!(would_change(&view, Verdict::Success, &plain), "a success would end the succession");
    let view = ejected(&plain);
    assert!(!would_change(&view, Verdict::Failure, &plain) && !would_change(&view, Verdict::Success, &plain));
}

#[test]
fn ejections_grow_to_their_maximum_and_jitter_adds_a_tenth() {
    let settings = settings(json!({"consecutiveFailures": 1, "ejection": "30s", "maxEjection": "100s"}));
    for (jitter, lengths) in [
        (0, [30_000, 60_000, 100_000, 100_000]),
        (1 << 63, [31_500, 63_000, 105_000, 105_000]),
        (u64::MAX, [33_000, 66_000, 110_000, 110_000]),
    ] {
        let (mut view, mut now) = (WorkerView::default(), START);
        for (index, expected) in lengths.into_iter().enumerate() {
            view.record(view.period(now), Verdict::Failure, &settings, now, Fraction::from_bits(jitter));
            let changes = view.mark_published();
            let [Transition::Ejected { length, number, .. }] = changes[..] else { panic!("{changes:?}") };
            assert_eq!((length.as_millis(), number as usize), (expected, index + 1), "jitter {jitter}");
            let until = now + u64::try_from(length.as_nanos()).unwrap();
            assert_eq!(view.version_state(until - 1), VersionState::Ejected);
            assert_eq!(view.version_state(until), VersionState::OnTrial);
            now = until;
        }
    }
}

#[test]
fn a_trial_decides() {
    let settings = settings(json!({"ejection": "10s", "trial": {"requests": 3}}));
    let trial = START + 10 * SECOND;
    for (row, results, version_state, changes) in [
        ("nothing yet", "", VersionState::OnTrial, 0),
        ("two successes", "++", VersionState::OnTrial, 0),
        ("three successes", "+++", VersionState::Serving, 1),
        ("a failure", "-", VersionState::Ejected, 1),
        ("a failure after two successes", "++-", VersionState::Ejected, 1),
        ("results after a failed trial", "-+++", VersionState::Ejected, 1),
    ] {
        let mut view = ejected(&settings);
        view.mark_published();
        send(&mut view, "+++---", &settings, START + SECOND);
        assert_eq!(view.mark_published(), [], "{row}: results during an ejection do not count");
        send(&mut view, results, &settings, trial);
        assert_eq!((view.version_state(trial), view.mark_published().len()), (version_state, changes), "{row}");
    }
    for (row, sent_at) in [
        ("before the ejection", WorkerView::default().period(START)),
        ("during the ejection", ejected(&settings).period(trial - 1)),
    ] {
        for verdict in [Verdict::Failure, Verdict::Success] {
            let mut view = ejected(&settings);
            (0..3).for_each(|_| view.record(sent_at, verdict, &settings, trial, NO_JITTER));
            assert_eq!(
                view.version_state(trial),
                VersionState::OnTrial,
                "a request that was sent {row} is not a trial"
            );
        }
    }
}

#[test]
fn counts_start_at_zero_after_a_recovery() {
    let settings = settings(json!({"ejection": "10s", "maxEjection": "40s", "failureRatio": 0.5, "minRequests": 5}));
    for (row, served, number) in [("soon", 39, 2), ("after maxEjection", 40, 1)] {
        let mut view = ejected(&settings);
        let back = START + 10 * SECOND;
        send(&mut view, "+++", &settings, back);
        assert_eq!(view.version_state(back), VersionState::Serving, "{row}");
        send(&mut view, "----", &settings, back);
        assert_eq!(view.version_state(back), VersionState::Serving, "{row}: earlier failures do not count");
        send(&mut view, "-", &settings, back + served * SECOND);
        let last = view.mark_published().pop();
        assert!(matches!(last, Some(Transition::Ejected { number: found, .. }) if found == number), "{row}: {last:?}");
    }
}

#[test]
fn an_ejection_ends_after_the_clock_is_set_back() {
    let settings = settings(json!({"failureRatio": 0.5, "minRequests": 4, "consecutiveFailures": 5}));
    let view = ejected(&settings);
    for (row, now, version_state) in [
        ("a moment", START - SECOND / 2, VersionState::Ejected),
        ("an hour", START - 3_600 * SECOND, VersionState::OnTrial),
        ("to the epoch", 0, VersionState::OnTrial),
    ] {
        assert_eq!(view.version_state(now), version_state, "{row}");
    }
    let mut view = WorkerView::default();
    send(&mut view, "-++", &settings, START);
    send(&mut view, "+-", &settings, START - 3_600 * SECOND);
    assert_eq!(view.version_state(START - 3_600 * SECOND), VersionState::Serving, "the window starts again");
    send(&mut view, "+-", &settings, START - 3_600 * SECOND);
    assert_eq!(view.version_state(START - 3_600 * SECOND), VersionState::Ejected);
}

#[test]
fn workers_judge_by_the_results_of_all() {
    let plain = json!({"ejection": "10s", "trial": {"requests": 2}});
    let ratio = json!({"consecutiveFailures": 0, "failureRatio": 0.5, "minRequests": 8});
    // The results of two workers in each round, and the round after which both have ejected the version.
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
        let (mut workers, mut shared, mut published, mut found) =
            ([WorkerView::default(), WorkerView::default()], Vec::new(), 0, None);
        for (round, results) in rounds.into_iter().enumerate() {
            let now = START + round as u64 * SECOND / 10;
            for (worker, results) in workers.iter_mut().zip(results) {
                send(worker, results, &settings, now);
            }
            for worker in [0, 1, 0] {
                published += exchange(&mut workers[worker], &mut shared, &settings, now).len();
            }
            assert_eq!(workers[0].state(), workers[1].state(), "{row}: both have the same state");
            if found.is_none() && workers[0].version_state(now) == VersionState::Ejected {
                found = Some(round);
            }
        }
        assert_eq!(found, expected, "{row}");
        assert_eq!(published, usize::from(expected.is_some()), "{row}: published once");
    }
}

#[test]
fn one_of_simultaneous_transitions_counts() {
    let settings = settings(json!({"consecutiveFailures": 1, "ejection": "10s", "trial": {"requests": 2}}));
    let trial = START + 11 * SECOND;
    // The simultaneous results of two workers in one trial, the state after it, and the number of published transitions.
    for (row, results, version_state) in [
        ("both see it fail", ["-", "-"], VersionState::Ejected),
        ("one sees it succeed, then one sees it fail", ["++", "-"], VersionState::Ejected),
        ("one sees it fail, then one sees it succeed", ["-", "++"], VersionState::Ejected),
        ("each sees a success", ["+", "+"], VersionState::Serving),
        ("both see it succeed", ["++", "++"], VersionState::Serving),
    ] {
        let (mut workers, mut shared) = ([WorkerView::default(), WorkerView::default()], Vec::new());
        workers.iter_mut().enumerate().for_each(|(index, worker)| send(worker, "-", &settings, START + index as u64));
        let published = [0, 1, 0].map(|worker| exchange(&mut workers[worker], &mut shared, &settings, START).len());
        assert_eq!(published, [1, 0, 0], "{row}: both eject, and one ejection counts");
        for (index, results) in results.into_iter().enumerate() {
            send(&mut workers[index], results, &settings, trial + index as u64);
        }
        for worker in [0, 1, 0] {
            exchange(&mut workers[worker], &mut shared, &settings, trial);
        }
        assert_eq!(workers.map(|worker| worker.version_state(trial)), [version_state; 2], "{row}");
    }
}

#[test]
fn an_exchange_may_be_repeated_and_lost() {
    let settings = settings(json!({}));
    let (mut view, mut other) = (WorkerView::default(), WorkerView::default());
    send(&mut view, "--", &settings, START);
    for _ in 0..5 {
        view.merge(Accrual::default(), Some(&settings), START, NO_JITTER);
    }
    assert_eq!(view.version_state(START), VersionState::Serving, "a repeated attempt counts once");
    let mut shared = Vec::new();
    send(&mut other, "--", &settings, START);
    exchange(&mut other, &mut shared, &settings, START);
    exchange(&mut view, &mut shared, &settings, START);
    send(&mut view, "-", &settings, START);
    assert_eq!(view.version_state(START), VersionState::Ejected, "2 + 2 + 1");
    exchange(&mut view, &mut shared, &settings, START);
    let mut lost = Vec::new();
    exchange(&mut view, &mut lost, &settings, START);
    assert_eq!(lost, shared, "a transition survives the loss of the shared state");
}

#[test]
fn a_changed_window_starts_empty() {
    let before = json!({"consecutiveFailures": 0, "failureRatio": 0.5, "minRequests": 4, "window": "10s"});
    let mut after = before.clone();
    after["window"] = json!("20s");
    let mut view = WorkerView::default();
    send(&mut view, "---", &settings(before), START);
    send(&mut view, "-", &settings(after.clone()), START);
    assert_eq!(view.version_state(START), VersionState::Serving);
    send(&mut view, "---", &settings(after), START);
    assert_eq!(view.version_state(START), VersionState::Ejected);
}

#[test]
fn old_states_are_forgotten() {
    let settings = settings(json!({"failureRatio": 1, "ejection": "2h", "maxEjection": "2h"}));
    let hours = |hours: u64| START + hours * 3_600 * SECOND;
    let after = |results: &str| {
        let mut view = WorkerView::default();
        send(&mut view, results, &settings, START);
        view
    };
    for (row, results, now, forgettable) in [
        ("a success in the window", "+", START, false),
        ("a success outside the window", "+", START + 10 * SECOND, true),
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
fn a_state_that_one_worker_has_forgotten_starts_again_for_all() {
    let settings = settings(json!({"ejection": "10s"}));
    let (back, hour) = (START + 10 * SECOND, 3_600 * SECOND);
    // The time from the recovery to two failures at another worker, and whether the recovered state is forgotten by then.
    for (row, later, is_forgotten) in [("within the hour", hour - SECOND, false), ("after an hour", hour, true)] {
        let mut remembering = ejected(&settings);
        send(&mut remembering, "+++", &settings, back);
        remembering.mark_published();
        assert_eq!(remembering.version_state(back), VersionState::Serving, "{row}");
        let (mut forgetful, mut shared) = (WorkerView::default(), Vec::new());
        send(&mut forgetful, "--", &settings, back + later);
        exchange(&mut forgetful, &mut shared, &settings, back + later);
        exchange(&mut remembering, &mut shared, &settings, back + later);
        assert_eq!(remembering.state() == forgetful.state(), is_forgotten, "{row}");
        exchange(&mut forgetful, &mut shared, &settings, back + later);
        assert_eq!(remembering.state(), forgetful.state(), "{row}: both end in the same state");
        send(&mut remembering, "---", &settings, back + later);
        let version_state = if is_forgotten { VersionState::Ejected } else { VersionState::Serving };
        assert_eq!(remembering.version_state(back + later), version_state, "{row}: 2 + 3");
    }
}

#[test]
fn bytes() {
    let settings = settings(json!({"failureRatio": 1}));
    let mut counting = WorkerView::default();
    send(&mut counting, "+--", &settings, START);
    let out = ejected(&settings);
    for view in [&WorkerView::default(), &counting, &out] {
        let bytes = view.state().encode();
        assert_eq!(Accrual::decode(&bytes).as_ref(), Some(view.state()));
        for end in 0..bytes.len() {
            // A state without its window is complete.
            let cut = Accrual::decode(&bytes[..end]);
            assert!(cut.is_none() || end == 30, "{end} of {} bytes", bytes.len());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Accrual::decode(&longer), None, "an additional byte");
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
        ("a generation without a successor", 1, &[255; 4]),
        ("an unknown phase", 21, b"x"),
        ("an endless ejection", 30, &[255; 8]),
        ("an ejection that ends before it begins", 30, &[0; 8]),
    ] {
        assert_eq!(forged(at, with), None, "{row}");
    }
}

#[test]
fn counts_do_not_overflow() {
    let settings = settings(json!({"consecutiveFailures": 0, "failureRatio": 1, "minRequests": 1_000_000}));
    let mut bytes = {
        let mut view = WorkerView::default();
        send(&mut view, "-", &settings, START);
        view.state().encode()
    };
    // Failures in succession, and the newest bucket.
    for at in [9, 46, 50] {
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    }
    let mut view = WorkerView::default();
    view.merge(Accrual::decode(&bytes).unwrap(), None, START, NO_JITTER);
    send(&mut view, "-", &settings, START);
    assert_eq!(view.version_state(START), VersionState::Ejected);
    assert_eq!(view.version_state(START + Duration::from_secs(30).as_nanos() as u64), VersionState::OnTrial);
}
