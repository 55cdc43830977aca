//! `exportTo`: in which namespaces an object is visible.

/// Whether an object of `namespace` with this `exportTo` is visible where `is_here` says of a namespace that it is.
pub(super) fn is_exported(export_to: &[String], namespace: &str, is_here: impl Fn(&str) -> bool) -> bool {
    export_to.is_empty()
        || export_to.iter().any(|target| match target.as_str() {
            "*" => true,
            "." => is_here(namespace),
            target => is_here(target),
        })
}
