//! The random numbers of one request.

use std::cell::Cell;

use canary_config::MAX_MIRRORS;
use canary_routing::{Chance, Draw, Fraction};

use crate::host::Host;

/// Each number is drawn on first use.
pub(crate) struct RequestChance<'h, H> {
    host: &'h H,
    split: Cell<Option<Fraction>>,
    delay: Cell<Option<Fraction>>,
    abort: Cell<Option<Fraction>>,
    trial: Cell<Option<Fraction>>,
    candidate: Cell<Option<Fraction>>,
    mirrors: [Cell<Option<Fraction>>; MAX_MIRRORS],
    identity: Cell<Option<u128>>,
}

impl<'h, H: Host> RequestChance<'h, H> {
    pub(crate) fn new(host: &'h H) -> Self {
        Self {
            host,
            split: Cell::default(),
            delay: Cell::default(),
            abort: Cell::default(),
            trial: Cell::default(),
            candidate: Cell::default(),
            mirrors: [const { Cell::new(None) }; MAX_MIRRORS],
            identity: Cell::default(),
        }
    }

    fn place(&self, purpose: Draw) -> Option<&Cell<Option<Fraction>>> {
        Some(match purpose {
            Draw::Split => &self.split,
            Draw::Delay => &self.delay,
            Draw::Abort => &self.abort,
            Draw::Trial => &self.trial,
            Draw::Candidate => &self.candidate,
            Draw::Mirror(position) => self.mirrors.get(position)?,
        })
    }
}

impl<H: Host> Chance for RequestChance<'_, H> {
    fn draw(&self, purpose: Draw) -> Fraction {
        let Some(place) = self.place(purpose) else { return Fraction::default() };
        place.get().unwrap_or_else(|| {
            let drawn = Fraction::from_bits(self.host.random());
            place.set(Some(drawn));
            drawn
        })
    }

    fn identity(&self) -> Option<u128> {
        let identity = self.identity.get().unwrap_or_else(|| {
            let drawn = u128::from(self.host.random()) << 64 | u128::from(self.host.random());
            self.identity.set(Some(drawn));
            drawn
        });
        Some(identity)
    }
}
