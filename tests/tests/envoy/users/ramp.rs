//! A ramp by Envoy's own clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::{
    canary::{Canary, Delivery, UPSTREAMS},
    wait,
};
use serde_json::json;

use super::{served_by, sticky, users};
use crate::Subject;

const USERS: usize = 100;
/// The time before the ramp starts, so that the test sees its start.
const AHEAD: Duration = Duration::from_secs(4);
const DURATION: &str = "8s";

pub(crate) async fn moves_by_the_wall_clock(subject: &Subject) {
    let shares = [("v1", 100), ("v2", 0)];
    let canary = Canary::start(&subject.binary, Delivery::Ecds, &sticky(&shares, json!({})), &UPSTREAMS).await;
    let _log = canary.envoy.show_log_on_panic();
    let start = rfc3339(SystemTime::now() + AHEAD);
    canary.take(&sticky(&shares, json!({"ramp": {"subset": "v2", "start": start, "duration": DURATION}}))).await;

    let users = users(USERS);
    let mut before = served_by(&canary, &users).await;
    let in_canary = |versions: &[String]| versions.iter().filter(|version| *version == "v2").count();
    assert_eq!(in_canary(&before), 0, "before {start}");
    let mut counts = vec![0];
    wait::until("every user in the canary", async || {
        let now = served_by(&canary, &users).await;
        for (user, (before, now)) in users.iter().zip(before.iter().zip(&now)) {
            assert!(before == now || (before == "v1" && now == "v2"), "{user} goes from {before} to {now}");
        }
        counts.push(in_canary(&now));
        before = now;
        (counts.last() == Some(&USERS)).then_some(())
    })
    .await;
    counts.dedup();
    // None and all are two shares. The number of shares in between depends on the load of the machine.
    assert!(counts.len() > 3, "it moves in steps: {counts:?}");
    println!("of {USERS} users in the canary: {counts:?}; none left");
}

/// Whole seconds of a time after 1970.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}
