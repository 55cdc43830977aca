//! An in-memory host that runs the steps of a request without proxy-wasm.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use canary_routing::LocalReply;

use crate::apply::NextStep;
use crate::host::{HeadersOf, Host, HostError, MetricId, MetricKind, OwnedPairs, SharedData};
use crate::plugin::Plugin;

#[derive(Default)]
struct NativeHost {
    request: RefCell<Vec<(String, Vec<u8>)>>,
    response: RefCell<Vec<(String, Vec<u8>)>>,
    properties: RefCell<BTreeMap<String, Vec<u8>>>,
    metrics: RefCell<Vec<(String, u64)>>,
    reply: Cell<Option<u16>>,
}

impl NativeHost {
    fn headers(&self, of: HeadersOf) -> &RefCell<Vec<(String, Vec<u8>)>> {
        match of {
            HeadersOf::Request => &self.request,
            HeadersOf::Response => &self.response,
        }
    }

    fn count(&self, MetricId(id): MetricId, by: u64) {
        let count = &mut self.metrics.borrow_mut()[id as usize].1;
        *count = count.saturating_add(by);
    }
}

impl Host for NativeHost {
    type Pairs = OwnedPairs;

    fn request_headers(&self) -> Result<OwnedPairs, HostError> {
        let pairs = self.request.borrow();
        Ok(OwnedPairs(pairs.iter().map(|(name, value)| (name.as_bytes().into(), value.as_slice().into())).collect()))
    }

    fn set_header(&self, of: HeadersOf, name: &str, value: &[u8]) -> Result<(), HostError> {
        self.remove_header(of, name)?;
        self.add_header(of, name, value)
    }

    fn add_header(&self, of: HeadersOf, name: &str, value: &[u8]) -> Result<(), HostError> {
        self.headers(of).borrow_mut().push((name.to_owned(), value.to_vec()));
        Ok(())
    }

    fn remove_header(&self, of: HeadersOf, name: &str) -> Result<(), HostError> {
        self.headers(of).borrow_mut().retain(|(header, _)| header != name);
        Ok(())
    }

    fn property(&self, path: &str) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.properties.borrow().get(path).cloned())
    }

    fn set_property(&self, name: &str, value: &[u8]) -> Result<(), HostError> {
        self.properties.borrow_mut().insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    fn node_namespace(&self) -> Result<Option<String>, HostError> {
        Ok(None)
    }

    fn node_labels(&self) -> Result<Option<Vec<(String, String)>>, HostError> {
        Ok(None)
    }

    fn unix_nanoseconds(&self) -> Result<u64, HostError> {
        Ok(1)
    }

    fn steady_nanoseconds(&self) -> Result<u64, HostError> {
        Ok(1)
    }

    fn random(&self) -> u64 {
        0
    }

    fn define_metric(&self, _: MetricKind, name: &str) -> Result<MetricId, HostError> {
        let metrics = &mut *self.metrics.borrow_mut();
        let id = u32::try_from(metrics.len()).unwrap_or(u32::MAX);
        metrics.push((name.to_owned(), 0));
        Ok(MetricId(id))
    }

    fn increment_metric(&self, metric: MetricId) -> Result<(), HostError> {
        self.count(metric, 1);
        Ok(())
    }

    fn record_metric(&self, metric: MetricId, number: u64) -> Result<(), HostError> {
        self.count(metric, number);
        Ok(())
    }

    fn shared_data(&self, _: &str) -> Result<Option<SharedData<OwnedPairs>>, HostError> {
        Ok(None)
    }

    fn set_shared_data(&self, _: &str, _: &OwnedPairs, _: Option<u32>) -> Result<bool, HostError> {
        Ok(true)
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        self.reply.set(Some(reply.status));
        Ok(())
    }

    fn enter_stream(&self, _: u32) -> Result<bool, HostError> {
        Ok(true)
    }

    fn resume_request(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn set_tick_period(&self, _: u32) -> Result<(), HostError> {
        Ok(())
    }
}

#[test]
fn a_request_passes_through_every_step_without_proxy_wasm() {
    let document = br#"{"virtualServices": [{"hosts": ["reviews"], "http": [
        {"name": "gone", "match": [{"uri": {"prefix": "/gone"}}], "directResponse": {"status": 410}},
        {"name": "all", "route": [{"destination": {"host": "reviews", "subset": "v1"},
                                   "headers": {"response": {"set": {"x-served-by": "v1"}}}}]}]}]}"#;
    let reviews = "outbound|80|v1|reviews.default.svc.cluster.local";
    for (path, step, cluster, reply, text) in [
        ("/", NextStep::Continue, Some(reviews), None, "version=v1 reason=rule route=all"),
        ("/gone", NextStep::Pause, None, Some(410), "route=gone"),
    ] {
        let host = NativeHost::default();
        let mut plugin = Plugin::new(&Rc::default());
        assert!(plugin.configure(&host, document));
        let request = [(":authority", "reviews"), (":path", path), (":method", "GET"), ("x-canary-cluster", "forged")];
        host.request.replace(request.map(|(name, value)| (name.to_owned(), value.into())).into());
        let mut stream = plugin.stream(1);
        assert_eq!(stream.on_request_headers(&host, true), step, "{path}");
        let found = |headers: &RefCell<Vec<(String, Vec<u8>)>>, name: &str| {
            headers.borrow().iter().find(|(header, _)| header == name).map(|(_, value)| value.clone())
        };
        assert_eq!(found(&host.request, "x-canary-cluster").as_deref(), cluster.map(str::as_bytes), "{path}");
        assert_eq!((host.reply.get(), &*host.properties.borrow()["canary"]), (reply, text.as_bytes()), "{path}");
        stream.on_response_headers(&host);
        assert_eq!(found(&host.response, "x-served-by").is_some(), cluster.is_some(), "{path}");
        stream.on_log(&host);
        let requests: u64 = host
            .metrics
            .borrow()
            .iter()
            .filter(|(name, _)| name.ends_with("canary_requests_total"))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(requests, 1, "{path}");
    }
}
