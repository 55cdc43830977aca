//! One decision as data: the request and decision shapes of `canaryctl explain`, of fixtures and of tests.

use serde_json::Value;
