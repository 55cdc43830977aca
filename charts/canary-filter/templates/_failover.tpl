{{/* The service by its full name. */}}
{{- define "canary.fullHost" -}}
{{- printf "%s.%s.svc.cluster.local" (include "canary.name" .) .Release.Namespace -}}
{{- end -}}

{{/* istiod's cluster of a version. */}}
{{- define "canary.cluster" -}}
{{- printf "outbound|%d|%s|%s" (int .root.Values.service.port) .version (include "canary.fullHost" .root) -}}
{{- end -}}

{{- define "canary.failoverCluster" -}}
{{- printf "failover|%s" (include "canary.cluster" .) -}}
{{- end -}}

{{/* The failover clusters, by name: a version that others follow, and these in order. Every rule names every version, so each version
     can be picked. */}}
{{- define "canary.failoverClusters" -}}
{{- $clusters := dict -}}
{{- range $version := include "canary.versionNames" . | fromJsonArray -}}
{{- $others := include "canary.after" (dict "root" $ "version" $version) | fromJsonArray -}}
{{- if $others -}}
{{- $_ := set $clusters (include "canary.failoverCluster" (dict "root" $ "version" $version)) (prepend $others $version) -}}
{{- end -}}
{{- end -}}
{{- $clusters | toJson -}}
{{- end -}}

{{/* How often a rule's requests are tried again, and after what: the retries that all rules share, or istiod's. */}}
{{- define "canary.tries" -}}
{{- $attempts := 2 -}}
{{- $conditions := list "connect-failure" "refused-stream" "unavailable" "cancelled" "retriable-status-codes" -}}
{{- $retries := (.Values.http).retries -}}
{{- if not (kindIs "invalid" $retries) -}}
{{- $attempts = $retries.attempts | default 0 | int -}}
{{- with coalesce $retries.retryOn $retries.retry_on -}}
{{- $conditions = list -}}
{{- $codes := false -}}
{{- range splitList "," . -}}
{{- if regexMatch "^[0-9]+$" . -}}{{- $codes = true -}}{{- else -}}{{- $conditions = append $conditions . -}}{{- end -}}
{{- end -}}
{{- if $codes -}}{{- $conditions = append $conditions "retriable-status-codes" | uniq -}}{{- end -}}
{{- end -}}
{{- if not $attempts -}}{{- $conditions = list -}}{{- end -}}
{{- end -}}
{{- dict "attempts" $attempts "conditions" $conditions | toJson -}}
{{- end -}}

{{/* The members of a failover cluster as its kind lists them. A composite one has an entry for each try, 32 at most: with more tries
     than members they begin again, as those of an aggregate one do. */}}
{{- define "canary.members" -}}
{{- $members := list -}}
{{- range .versions -}}
{{- $members = append $members (include "canary.cluster" (dict "root" $.root "version" .)) -}}
{{- end -}}
{{- if eq .root.Values.failover "composite" -}}
{{- $attempts := (include "canary.tries" .root | fromJson).attempts -}}
{{- $longest := len (include "canary.fallback" .root | fromJsonArray) -}}
{{- $tries := add1 (max (int $attempts) $longest) -}}
{{- $count := int (max (len $members) (min $tries 32)) -}}
{{- $entries := list -}}
{{- range $entry := until $count -}}
{{- $entries = append $entries (dict "name" (index $members (mod $entry (len $members)))) -}}
{{- end -}}
{{- $members = $entries -}}
{{- end -}}
{{- $members | toJson -}}
{{- end -}}

{{/* The retry policy of the routes to failover clusters: a rule's own tries, and one for each version on what repeats nothing. */}}
{{- define "canary.retryPolicy" -}}
{{- $tries := include "canary.tries" . | fromJson -}}
{{- $longest := len (include "canary.fallback" . | fromJsonArray) -}}
{{- $conditions := concat $tries.conditions (list "connect-failure" "refused-stream" "reset-before-request") | uniq -}}
num_retries: {{ max (int $tries.attempts) $longest }}
retry_on: {{ join "," $conditions }}
{{- if eq .Values.failover "aggregate" }}
retry_priority:
  name: envoy.retry_priorities.previous_priorities
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig
    update_frequency: 1
{{- end }}
{{- end -}}

{{/* The virtual hosts of the release's routes, as an EnvoyFilter matches them, in lower case as Istio has them. Releases share
     proxies, and names of rules. */}}
{{- define "canary.virtualHosts" -}}
{{- $found := list -}}
{{- if eq .Values.workload "gateway" -}}
{{- range .Values.hosts | uniq | sortAlpha -}}
{{- $isWhole := regexMatch "[.*:]" . -}}
{{- $host := $isWhole | ternary . (printf "%s.%s.svc.cluster.local" . $.Release.Namespace) -}}
{{- $found = append $found (dict "domainName" (lower $host)) -}}
{{- end -}}
{{- else -}}
{{- $found = list (dict "name" (printf "%s:%d" (include "canary.fullHost" .) (int .Values.service.port))) -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/* The native routes of the versions that others follow: Istio's name of each, and the failover cluster that it goes to. */}}
{{- define "canary.failoverRoutes" -}}
{{- $clusters := include "canary.failoverClusters" . | fromJson -}}
{{- $routes := dict -}}
{{- range $rule := include "canary.nativeRules" . | fromJsonArray -}}
{{- $version := (index $rule.route 0).destination.subset -}}
{{- $cluster := include "canary.failoverCluster" (dict "root" $ "version" $version) -}}
{{- if and (eq (len $rule.route) 1) (hasKey $clusters $cluster) -}}
{{- range $rule.match -}}
{{- $name := $rule.name -}}
{{- with .name -}}{{- $name = printf "%s.%s" $name . -}}{{- end -}}
{{- $_ := set $routes $name $cluster -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $routes | toJson -}}
{{- end -}}

{{/* The canonical revision of each version that no other version has; none where the labels of any version do not say theirs. */}}
{{- define "canary.revisions" -}}
{{- $revisions := dict -}}
{{- $versions := include "canary.versions" . | fromJsonArray -}}
{{- range $version := $versions -}}
{{- range $label := list "version" "app.kubernetes.io/version" "service.istio.io/canonical-revision" -}}
{{- if hasKey $version.labels $label -}}{{- $_ := set $revisions $version.name (get $version.labels $label) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $own := dict -}}
{{- if eq (len $versions) (len $revisions) -}}
{{- range $version, $revision := $revisions -}}
{{- if eq (len $versions) (len (without (values $revisions) $revision) | add1 | int) -}}{{- $_ := set $own $version $revision -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $own | toJson -}}
{{- end -}}

{{/* An expression of CEL: which of these versions serves a try, by the revision that istiod writes into the metadata of its endpoint. */}}
{{- define "canary.servedVersion" -}}
{{- $choices := "" -}}
{{- $revisions := include "canary.revisions" .root | fromJson -}}
{{- range $version := .versions | sortAlpha -}}
{{- with get $revisions $version -}}
{{- $workload := "xds.upstream_host_metadata.filter_metadata['istio']['workload']" -}}
{{- $choices = printf "%s%s.matches('^[^;]*;[^;]*;[^;]*;%s;') ? '%s' : " $choices $workload (replace "." "[.]" .) $version -}}
{{- end -}}
{{- end -}}
{{- with $choices -}}
{{ . }}''
{{- end -}}
{{- end -}}

{{/* The headers that tell upstreams which of these versions they are, each with Envoy's format for it: the filter's own, and that in
     which clients name one, in requests of its protocol. */}}
{{- define "canary.servedHeaders" -}}
{{- $headers := list -}}
{{- with $served := include "canary.servedVersion" . -}}
{{- $format := printf "%%CEL(%s)%%" $served -}}
{{- with include "canary.header" $.root -}}{{- $headers = append $headers (dict "key" . "value" $format) -}}{{- end -}}
{{- with $.root.Values.versionHeader -}}
{{- $isGrpc := "('content-type' in request.headers && request.headers['content-type'].startsWith('application/grpc'))" -}}
{{- $protocols := .protocols | default (list "grpc" "http") -}}
{{- if not (has "http" $protocols) -}}{{- $format = printf "%%CEL(%s ? (%s) : '')%%" $isGrpc $served -}}{{- end -}}
{{- if not (has "grpc" $protocols) -}}{{- $format = printf "%%CEL(%s ? '' : (%s))%%" $isGrpc $served -}}{{- end -}}
{{- $headers = append $headers (dict "key" (lower .name) "value" $format) -}}
{{- end -}}
{{- end -}}
{{- $headers | toJson -}}
{{- end -}}
