//! What `make bench` has measured, and the pages that say so: everything on them is made from [`Results`], so a test can hold the
//! pages against the results that are kept beside them.

pub mod case;
pub mod chart;
pub mod pages;
pub mod targets;

use std::{fs, process::Command, thread};

use serde::{Deserialize, Serialize};

use crate::statistics::differences;

/// Everything that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// Where.
    pub machine: Machine,
    /// Rounds of the cases.
    pub rounds: u64,
    /// Requests for each case in each round, but for dear ones.
    pub requests: u64,
    /// The size of the filter's module.
    pub filter_bytes: u64,
    /// What a request costs.
    pub cases: Vec<Measured>,
    /// What it waits.
    pub latency: Latency,
    /// What rules take to be loaded and kept.
    pub loading: Loading,
    /// What a change of rules does to requests.
    pub reload: Reload,
}

/// The machine and the day.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The model of its processor.
    pub processor: String,
    /// How many can run at a time.
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
    /// Its name, one of [`case`].
    pub name: String,
    /// The case that it is compared with.
    pub base: String,
    /// Processor time of the worker for a request in each round, in microseconds.
    pub micros: Vec<f64>,
}

/// Requests at half of the rate that the proxy with the filter can just bear, in turns without and with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Latency {
    /// Requests in a second.
    pub rate: u64,
    /// The 99th percentile of each round without a filter, in microseconds from when a request was due.
    pub without: Vec<f64>,
    /// The same with it.
    pub with: Vec<f64>,
}

/// Rules in a VM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Loading {
    /// How many.
    pub rules: usize,
    /// Processor time of a worker that takes them up, each time, in milliseconds.
    pub millis: Vec<f64>,
    /// KiB for each worker, each time: resident memory of three workers over that of one, by two.
    pub kib: Vec<f64>,
    /// The same with ten rules.
    pub kib_of_ten: Vec<f64>,
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
    /// The longest answer, in milliseconds.
    pub longest_millis: f64,
    /// The same for as long without a change.
    pub longest_millis_without: f64,
    /// Resident memory after each change.
    pub kib: Vec<u64>,
}

impl Machine {
    /// This one, today.
    ///
    /// # Panics
    /// If it does not say.
    #[must_use]
    pub fn here(envoy: &str) -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
        let date = Command::new("date").args(["-u", "+%F"]).output().expect("the date");
        Self {
            processor: model.map_or("unknown", |(_, model)| model).to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().split('-').next().unwrap_or_default().to_owned(),
            envoy: envoy.to_owned(),
            date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
        }
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
