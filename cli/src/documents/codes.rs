//! The codes of problems, for machines. A code keeps its name and meaning in later releases.

/// Each code with its severity and meaning.
pub const CODES: [(&str, &str, &str); 23] = [
    ("syntax", "error", "The file cannot be read, or is neither YAML nor JSON."),
    ("unknown-field", "error", "The object has no such field. The message lists those that it has."),
    ("duplicate-field", "error", "The field is given in camelCase and in snake_case."),
    ("missing-field", "error", "A required field is absent."),
    ("wrong-type", "error", "The value has another type than the field takes."),
    ("invalid-value", "error", "The value breaks a rule: Istio's, where the field is Istio's."),
    ("render", "error or note", "`canaryctl render` cannot print what the configuration asks for, or only in part."),
    (
        "run",
        "error or note",
        "`canaryctl run` cannot carry out a setting of a DestinationRule or of `clusters`, or only in part.",
    ),
    ("deprecated", "warning", "The field has a successor."),
    ("not-carried-out", "warning", "The setting is valid, and an HTTP filter cannot carry it out."),
    ("no-effect", "warning", "The setting changes nothing as it is."),
    ("reduced", "warning", "The value is reduced to a limit."),
    ("unused-rule", "warning", "No request reaches the rule or match."),
    ("unknown-subset", "warning", "No DestinationRule defines the subset."),
    ("unknown-delegate", "warning", "The delegate is not visible here."),
    ("other-gateway", "warning", "The object is for gateways that this proxy does not serve."),
    ("host-taken", "warning", "An older VirtualService has the host."),
    ("failover-port", "warning", "Failover asks for a version on a port on which no rule sends to it."),
    ("legacy-name", "warning", "A gateway's name has its old form."),
    ("large-body", "warning", "A `directResponse` has a large body."),
    ("unknown-kind", "warning", "The kind is unknown, and close to a known one."),
    ("skipped", "note", "The filter does not use objects of this kind."),
    ("nothing-found", "warning", "The file has nothing that decides about requests."),
];
