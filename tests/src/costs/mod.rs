//! What `make bench` has measured, and the pages that say so: everything on them is made from [`Results`] and [`budget::Budget`], so
//! a test can hold the pages against the files that are kept.

pub mod budget;
pub mod case;
pub mod chart;
pub mod pages;
pub mod targets;
pub mod verdict;

use std::{fs, process::Command};

use serde::{Deserialize, Serialize};

use crate::statistics::{Estimate, differences};
use budget::LargeRequests;

/// Everything that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// Where.
    pub machine: Machine,
    /// Rounds of the cases.
    pub rounds: u64,
    /// How long a case was measured in each round, in milliseconds.
    pub slice_millis: u64,
    /// The share of its slices that the proxy ran: the median of all.
    pub busy: f64,
    /// Processor time of clients and upstreams per request without a filter, in microseconds.
    pub load_micros: f64,
    /// The size of the filter's module.
    pub filter_bytes: u64,
    /// What a request costs.
    pub cases: Vec<Measured>,
    /// The large requests that some of the cases send.
    pub large: LargeRequests,
    /// What it waits.
    pub latency: Latency,
    /// What loading takes.
    pub loading: Loading,
    /// What a change of rules does to requests.
    pub reload: Reload,
}

/// The machine and the day.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The model of its processor.
    pub processor: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// The kernel's release, without what its builder added.
    pub kernel: String,
    /// Envoy's version.
    pub envoy: String,
    /// The day, in UTC.
    pub date: String,
}

/// One case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Its name, one of [`case`] or of a job.
    pub name: String,
    /// The case that it is compared with.
    pub base: String,
    /// Processor time of the proxy per request in each round, in microseconds.
    pub micros: Vec<f64>,
    /// Requests per second of a saturated worker: the median.
    pub per_second: f64,
}

/// Requests that come when they are due, at half of the rate that the slowest of the cases can bear.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Latency {
    /// Requests per second.
    pub rate: u64,
    /// Requests of each case.
    pub requests: u64,
    /// By case; the first is the one without a filter.
    pub cases: Vec<Waits>,
}

/// How long requests of a case wait, in microseconds from when a request was due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waits {
    /// The case.
    pub name: String,
    /// The median of all requests.
    pub p50: f64,
    /// The 99th percentile of all requests.
    pub p99: f64,
    /// The 99th percentile of each slice.
    pub p99_of_slices: Vec<f64>,
}

/// What loading takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Loading {
    /// How many rules.
    pub rules: usize,
    /// Processor time of a worker that reads and compiles them, each time, in milliseconds.
    pub millis: Vec<f64>,
    /// Processor time of the proxy for a VM more with a small configuration, each time, in milliseconds: the module compiled once,
    /// and the start of two VMs, that of the main thread and that of the worker.
    pub start_millis: Vec<f64>,
}

/// New rules under load, over and over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reload {
    /// How many rules each time.
    pub rules: usize,
    /// Requests meanwhile.
    pub requests: u64,
    /// Those that were not answered as they had to be.
    pub failures: u64,
    /// The longest wait, in milliseconds.
    pub longest_millis: f64,
    /// The same without reloads.
    pub longest_millis_without: f64,
    /// Resident memory after each reload.
    pub kib: Vec<u64>,
}

impl Machine {
    /// This one, today.
    ///
    /// # Panics
    /// If it does not say.
    #[must_use]
    pub fn here(envoy: &str, cores: usize) -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
        let date = Command::new("date").args(["-u", "+%F"]).output().expect("the date");
        Self {
            processor: model.map_or("unknown", |(_, model)| model).to_owned(),
            cores,
            kernel: kernel.trim().split('-').next().unwrap_or_default().to_owned(),
            envoy: envoy.to_owned(),
            date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
        }
    }
}

impl Latency {
    /// The 99th percentile of a case by that of the case without a filter, slice by slice.
    ///
    /// # Panics
    /// If it was not measured.
    #[must_use]
    pub fn ratio_of_p99(&self, name: &str) -> Estimate {
        let waits = self.cases.iter().find(|waits| waits.name == name).unwrap_or_else(|| panic!("no waits of {name}"));
        Estimate::median_of_ratios(&waits.p99_of_slices, &self.cases[0].p99_of_slices)
    }
}

impl Results {
    /// A case.
    ///
    /// # Panics
    /// If it was not measured.
    #[must_use]
    pub fn case(&self, name: &str) -> &Measured {
        self.cases.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
    }

    /// What a case costs more than its base, in each round.
    #[must_use]
    pub fn added(&self, name: &str) -> Vec<f64> {
        let case = self.case(name);
        differences(&case.micros, &self.case(&case.base).micros)
    }

    /// As it is kept: JSON, one case on a line.
    ///
    /// # Panics
    /// Never: all of it can be written.
    #[must_use]
    pub fn to_text(&self) -> String {
        let value = serde_json::to_value(self).expect("results as JSON");
        let fields = value.as_object().expect("an object").iter().map(|(name, value)| {
            let lines =
                value.as_array().map(|cases| cases.iter().map(|case| format!("    {case}")).collect::<Vec<_>>());
            let text = lines.map_or_else(|| value.to_string(), |lines| format!("[\n{}\n  ]", lines.join(",\n")));
            format!("  \"{name}\": {text}")
        });
        format!("{{\n{}\n}}\n", fields.collect::<Vec<_>>().join(",\n"))
    }

    /// What [`Self::to_text`] has written.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}
