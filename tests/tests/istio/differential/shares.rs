//! Tests shares with many requests.

use e2e::{
    client::Protocol,
    load::Load,
    proportion::{ALPHA, agrees},
};

use super::{case::TAG, exchange::Exchange, ground::Ground, requests::Ask, rules::Rule};

const REQUESTS: u64 = 1000;

/// The shares, at any side, that are not as the rules say.
pub(crate) async fn wrong(ground: &Ground, asks: &[Ask], native: &[Exchange], rules: &[Rule]) -> Vec<String> {
    let mut wrong = Vec::new();
    for rule in rules.iter().filter(|rule| rule.is_open()) {
        let meets = |(ask, exchange): &(&Ask, &Exchange)| {
            ask.protocol == Protocol::Http1 && exchange.values(TAG) == [rule.tag.as_str()]
        };
        let met = asks.iter().zip(native).find(meets).map(|(ask, _)| ask);
        let ask = met.unwrap_or_else(|| panic!("{}: no request meets it", rule.tag));
        for side in &ground.sides {
            let address = ground.proxy.port(side.port());
            let outcome = Load::start(address, ask.protocol, &ask.request, 1, REQUESTS).finish().await;
            let aborted = rule.abort.map_or(0.0, |(_, share)| share);
            let split = rule.split.iter().map(|(upstreams, share)| {
                let hits = upstreams.iter().map(|upstream| outcome.served(upstream)).sum::<u64>();
                (format!("{upstreams:?}"), hits, share * (1.0 - aborted))
            });
            let aborts = rule.may_abort().map(|status| (status.to_string(), outcome.refused(status), aborted));
            for (what, hits, share) in split.chain(aborts) {
                eprintln!(
                    "{} at the side {}: {what}: {hits} of {REQUESTS} for a share of {share}",
                    rule.tag,
                    side.name()
                );
                if !agrees(hits, REQUESTS, share, ALPHA) {
                    wrong.push(format!(
                        "{}: {}: {what}: {hits} of {REQUESTS} for a share of {share}",
                        side.name(),
                        rule.tag
                    ));
                }
            }
        }
    }
    wrong
}
