//! Kubernetes objects, and the specs of those that are not VirtualServices.

use super::object::{Object, object};

#[cfg(feature = "reference")]
use super::{
    object::reference::{Alternative, Entry, Kind, Reference, Source, field},
    scalars::{EXPORT_TO, LABELS, PORT, SUBSET_NAME, kind},
    virtual_service::VIRTUAL_SERVICE,
};
#[cfg(feature = "reference")]
use Kind::{Any, AnyObject, List, Named, Nested, Text};

#[cfg(feature = "reference")]
const DESTINATION_RULE_PAGE: Source = Source::Istio("destination-rule/#DestinationRule");

object!(KUBERNETES_OBJECT, "Object", Source::Kubernetes, "A whole Kubernetes object.", [
    "apiVersion" => field(Any, "The version of the object's API.");
    "kind" => field(Text, "The object's kind.");
    "metadata" => field(Nested(&METADATA), "Name, namespace and age.");
    "spec" => field(Any, "What the object says.").required();
    "status" => field(Any, "Not read.");
]);

object!(METADATA(open), "Metadata", Source::Kubernetes, "Name, namespace and age. Everything else is ignored.", [
    "name" => field(Text, "The object's name.");
    "namespace" => field(Text, "The object's namespace. Short host names belong to it.").default(r#""default""#);
    "creationTimestamp" => field(Text, "When the object was made (RFC 3339). Of several objects for a host, the oldest comes first. Absent counts as the oldest.");
]);

object!(DESTINATION_RULE, "DestinationRule", DESTINATION_RULE_PAGE, "The versions of a host.", [
    "host" => field(Text, "The host. A short name is a service of the object's namespace.").required();
    "subsets" => field(List(&Nested(&SUBSET)), "The versions. Where several objects define a subset, the first definition counts.");
    "exportTo" => field(Named(&EXPORT_TO), "Which namespaces see the object. Absent means all.");
    "trafficPolicy" => field(AnyObject, "`canaryctl run` configures its clusters by it. The filter does not read it.");
    "workloadSelector" => field(Any, "Not carried out: the object counts for every workload.");
]);

object!(SUBSET, "Subset", Source::Istio("destination-rule/#Subset"), "One version of a host.", [
    "name" => field(Named(&SUBSET_NAME), "The name that destinations use.").required();
    "labels" => field(Named(&LABELS), "Labels of the version's workloads.");
    "trafficPolicy" => field(AnyObject, "For `canaryctl run`. It overrides the host's.");
]);

object!(SHORT_SERVICE, "ShortService", Source::Own, "The ports of a host.", [
    "host" => field(Text, "The host. A short name is a service of `namespace`.").required();
    "ports" => field(List(&Named(&PORT)), "Its ports. A destination without a port takes its service's only port.").required();
    "namespace" => field(Text, "The namespace of a short name.").default(r#""default""#);
]);

object!(KUBERNETES_SERVICE(open), "KubernetesService", Source::Kubernetes, "The spec of a Service. Only its ports are read.", [
    "ports" => field(List(&Nested(&KUBERNETES_PORT)), "Its ports.");
]);

object!(KUBERNETES_PORT(open), "KubernetesPort", Source::Kubernetes, "A port of a Service.", [
    "port" => field(Named(&PORT), "Its number.").required();
]);

object!(SERVICE_ENTRY(open), "ServiceEntry", Source::Istio("service-entry/#ServiceEntry"), "The spec of a ServiceEntry. Only hosts and ports are read.", [
    "hosts" => field(List(&Text), "Its hosts.").required();
    "ports" => field(List(&Nested(&SERVICE_ENTRY_PORT)), "Their ports.");
]);

object!(SERVICE_ENTRY_PORT(open), "ServiceEntryPort", Source::Istio("service-entry/#ServicePort"), "A port of a ServiceEntry.", [
    "number" => field(Named(&PORT), "Its number.").required();
]);

/// An entry of `virtualServices`.
#[cfg(feature = "reference")]
pub static VIRTUAL_SERVICE_ENTRY: Entry = Entry {
    name: "VirtualServiceEntry",
    description: "A VirtualService: a whole object, or its bare spec.",
    of_kind: &[],
    whole: Alternative { name: "VirtualServiceObject", kinds: &kind::VIRTUAL_SERVICE, spec: &VIRTUAL_SERVICE },
};

/// An entry of `destinationRules`.
#[cfg(feature = "reference")]
pub static DESTINATION_RULE_ENTRY: Entry = Entry {
    name: "DestinationRuleEntry",
    description: "A DestinationRule: a whole object, or its bare spec.",
    of_kind: &[],
    whole: Alternative { name: "DestinationRuleObject", kinds: &kind::DESTINATION_RULE, spec: &DESTINATION_RULE },
};

/// An entry of `services`.
#[cfg(feature = "reference")]
pub static ANY_SERVICE: Entry = Entry {
    name: "AnyService",
    description: "The ports of a host: `{host, ports, namespace}`, or a whole Service or ServiceEntry.",
    of_kind: &[
        Alternative { name: "KubernetesServiceObject", kinds: &kind::SERVICE, spec: &KUBERNETES_SERVICE },
        Alternative { name: "ServiceEntryObject", kinds: &kind::SERVICE_ENTRY, spec: &SERVICE_ENTRY },
    ],
    whole: Alternative { name: "ShortServiceObject", kinds: &kind::ANY_SERVICE, spec: &SHORT_SERVICE },
};
