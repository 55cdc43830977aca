//! Decides a request.

use canary_config::Mode;
use canary_config::host::split_port;

use crate::acting::LocalReply;
use crate::decision::{Decision, Outcome};
use crate::input::DecisionInput;
use crate::matching::{HiddenHeaders, RequestView};
use crate::names::HeaderName;
use crate::overrides::{Permission, Permissions};
use crate::picking::{RequestedVersion, Resolver};
use crate::table::{DEFAULT_PORT, RouteTable, VirtualHost};

impl RouteTable {
    /// Decides a request. The cost is one look-up of the host, one look-up for each value of an indexed field, and the
    /// conditions of the few routes that these find.
    #[must_use]
    pub fn decide<'t>(&'t self, input: &DecisionInput<'_>) -> Decision<'t> {
        let permissions = self.overrides.judge(input.head, input.context);
        let (host, authority_port) = split_port(input.head.authority());
        let port = input.context.port().or(authority_port).unwrap_or(DEFAULT_PORT);
        let virtual_host = self.hosts.find(host).and_then(|index| self.virtual_hosts.get(index));
        let found = virtual_host.and_then(|host| Some((host, host.rules(port)?)));
        let Some((virtual_host, rules)) = found else { return Decision::of(permissions, Outcome::Untouched) };
        let view = self.view(input, virtual_host, permissions);
        match rules.first(port, &view) {
            Some(route) => Resolver { table: self, input, view: &view, route, port, permissions }.resolve(),
            // In version mode the proxy's own routes serve a request that no rule matches.
            None if self.mode() == Mode::Version => Decision::of(permissions, Outcome::Untouched),
            None => Decision::of(permissions, Outcome::LocalReply(Box::new(LocalReply::NO_RULE))),
        }
    }

    fn view<'r>(
        &'r self,
        input: &DecisionInput<'r>,
        host: &'r VirtualHost,
        permissions: Permissions,
    ) -> RequestView<'r> {
        let visible = self.steering.version.as_ref().filter(|_| permissions.version == Permission::Granted);
        let hidden = HiddenHeaders { slots: self.own_headers.hidden.clone(), visible: visible.map(HeaderName::slot) };
        let mut view = RequestView::new(input.head, input.context, &self.fields, hidden);
        for policy in &host.policies {
            let Some(header) = policy.header_for(input.head) else { continue };
            let version = match policy.requested_version(input.head) {
                Some(RequestedVersion::Known(version)) => Some(version),
                Some(RequestedVersion::Unknown(_) | RequestedVersion::Nothing) | None => policy.default_subset(),
            };
            if let Some(version) = version {
                view.replace(header.name.slot(), version.as_bytes());
            }
        }
        view
    }
}
