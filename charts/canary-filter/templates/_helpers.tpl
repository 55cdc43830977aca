{{/* The name of the service, which everything else is called by. */}}
{{- define "canary.name" -}}
{{- .Values.service.name | default .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "canary.labels" -}}
{{ include "canary.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end -}}

{{/* What all Pods of the service have in common. */}}
{{- define "canary.selectorLabels" -}}
app.kubernetes.io/name: {{ include "canary.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The versions with their labels filled in, as a JSON list. */}}
{{- define "canary.versions" -}}
{{- $versions := list -}}
{{- range .Values.versions -}}
{{- $versions = append $versions (merge (dict "labels" (.labels | default (dict "version" .name))) .) -}}
{{- end -}}
{{- $versions | toJson -}}
{{- end -}}

{{- define "canary.versionNames" -}}
{{- $names := list -}}
{{- range include "canary.versions" . | fromJsonArray -}}{{- $names = append $names .name -}}{{- end -}}
{{- $names | toJson -}}
{{- end -}}

{{- define "canary.defaultVersion" -}}
{{- .Values.defaultVersion | default (include "canary.versionNames" . | fromJsonArray | first) -}}
{{- end -}}

{{/* The order in which versions are tried, the default last. */}}
{{- define "canary.fallback" -}}
{{- $default := include "canary.defaultVersion" . -}}
{{- append (without (.Values.fallback | default list) $default) $default | toJson -}}
{{- end -}}

{{/* The versions that are tried after a version, in order. */}}
{{- define "canary.after" -}}
{{- without (include "canary.fallback" .root | fromJsonArray) .version | toJson -}}
{{- end -}}

{{/* The gateways as namespace/name; sidecars are the gateway mesh. */}}
{{- define "canary.gateways" -}}
{{- $gateways := list -}}
{{- if eq .Values.workload "sidecar" -}}{{- $gateways = list "mesh" -}}{{- end -}}
{{- range .Values.gateways -}}
{{- $gateways = append $gateways (contains "/" . | ternary . (printf "%s/%s" $.Release.Namespace .)) -}}
{{- end -}}
{{- $gateways | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* The namespace of the proxies. */}}
{{- define "canary.pluginNamespace" -}}
{{- .Values.plugin.namespace | default (eq .Values.workload "gateway" | ternary "istio-system" .Release.Namespace) -}}
{{- end -}}

{{/* Where a version is: a destination of a VirtualService. */}}
{{- define "canary.destination" -}}
{{- $port := dict "number" (int .root.Values.service.port) -}}
{{- dict "host" (include "canary.name" .root) "port" $port "subset" .version | toJson -}}
{{- end -}}

{{/* Every version with its weight. Those of weight 0 are there for who names them, and to fall back to. */}}
{{- define "canary.route" -}}
{{- $route := list -}}
{{- range include "canary.versionNames" .root | fromJsonArray -}}
{{- $destination := include "canary.destination" (dict "root" $.root "version" .) | fromJson -}}
{{- $route = append $route (dict "destination" $destination "weight" (get $.weights . | default 0 | int)) -}}
{{- end -}}
{{- $route | toJson -}}
{{- end -}}

{{/* The rules as the filter reads them: those of the values, then everybody. */}}
{{- define "canary.rules" -}}
{{- $everybody := .Values.weights | default (dict (include "canary.defaultVersion" .) 100) -}}
{{- $rules := list -}}
{{- range append (.Values.rules | default list) (dict "name" "everybody" "weights" $everybody) -}}
{{- $weights := .weights | default (dict (.version | default "") 100) -}}
{{- $route := include "canary.route" (dict "root" $ "weights" $weights) | fromJsonArray -}}
{{- $rules = append $rules (merge (dict "route" $route) (omit . "version" "weights") ($.Values.http | default dict)) -}}
{{- end -}}
{{- $rules | toJson -}}
{{- end -}}

{{/* The names of the headers by which the filter steers the proxy; one that is turned off is empty. That of the version is of each release
     another one: a filter takes its own header from every request, so of two in one proxy the second would undo what the first has picked. */}}
{{- define "canary.headers" -}}
{{- $names := dict "cluster" "x-canary-cluster" "host" "x-canary-host" "mirror" "x-canary-mirror" -}}
{{- $_ := set $names "version" (printf "x-canary-version-%s" (include "canary.name" .)) -}}
{{- range $header, $name := (.Values.config).headers -}}
{{- if kindIs "string" $name -}}{{- $_ := set $names $header (lower $name) -}}{{- end -}}
{{- end -}}
{{- $names | toJson -}}
{{- end -}}

{{/* The header by which the filter names the version to the native routes. */}}
{{- define "canary.header" -}}
{{- get (include "canary.headers" . | fromJson) "version" -}}
{{- end -}}

{{/* The native rules of mode version: each rule once for each version, with a match of the header that the filter sets, then as it
     is. A version that others follow has its own name there, RULE@VERSION, by which its failover finds the route. This is what
     `canaryctl render virtualservice` prints of the document. */}}
{{- define "canary.nativeRules" -}}
{{- $header := include "canary.header" . -}}
{{- $rules := include "canary.rules" . | fromJsonArray -}}
{{- $native := list -}}
{{- range $index, $rule := $rules -}}
{{- $base := include "canary.ruleName" (dict "rules" $rules "index" $index) -}}
{{- range $rule.route -}}
{{- $subset := .destination.subset -}}
{{- $version := dict $header (dict "exact" $subset) -}}
{{- $matches := list -}}
{{- range $rule.match | default (list dict) -}}
{{- $matches = append $matches (merge (dict "headers" (merge (deepCopy $version) (.headers | default dict))) .) -}}
{{- end -}}
{{- $own := dict "match" $matches "route" (list (omit . "weight")) -}}
{{- if include "canary.after" (dict "root" $ "version" $subset) | fromJsonArray -}}
{{- $_ := set $own "name" (printf "%s@%s" $base $subset) -}}
{{- end -}}
{{- $native = append $native (merge $own $rule) -}}
{{- end -}}
{{- $native = append $native $rule -}}
{{- end -}}
{{- $native | toJson -}}
{{- end -}}

{{/* The name of a rule that no other one has: its own, or with its number over all rules. */}}
{{- define "canary.ruleName" -}}
{{- $name := (index .rules .index).name | default "" -}}
{{- $same := 0 -}}
{{- range .rules -}}
{{- if or (eq (.name | default "") $name) (hasPrefix (printf "%s@" $name) (.name | default "")) -}}{{- $same = add1 $same -}}{{- end -}}
{{- end -}}
{{- if and $name (not (contains "#" $name)) (eq (int $same) 1) -}}{{- $name -}}{{- else -}}{{- printf "%s#%d" ($name | default "rule") .index -}}{{- end -}}
{{- end -}}

{{- define "canary.virtualService" -}}
{{- $hosts := .root.Values.hosts | default (list (include "canary.name" .root)) -}}
{{- dict "hosts" $hosts "gateways" (include "canary.gateways" .root | fromJsonArray) "http" .rules | toJson -}}
{{- end -}}

{{/* The subsets of the DestinationRule. */}}
{{- define "canary.subsets" -}}
{{- $subsets := list -}}
{{- range include "canary.versions" . | fromJsonArray -}}
{{- $subsets = append $subsets (dict "name" .name "labels" .labels) -}}
{{- end -}}
{{- $subsets | toJson -}}
{{- end -}}

{{/* The document of the filter. */}}
{{- define "canary.document" -}}
{{- $name := include "canary.name" . -}}
{{- $metadata := dict "name" $name "namespace" .Release.Namespace -}}
{{- $rules := include "canary.rules" . | fromJsonArray -}}
{{- $virtualService := include "canary.virtualService" (dict "root" . "rules" $rules) | fromJson -}}
{{- $destinationRule := dict "host" $name "subsets" (include "canary.subsets" . | fromJsonArray) -}}
{{- with (.Values.destinationRule).trafficPolicy }}{{- $_ := set $destinationRule "trafficPolicy" . -}}{{- end -}}
{{- $policy := dict "hosts" (list $name) "namespace" .Release.Namespace -}}
{{- $_ := set $policy "defaultSubset" (include "canary.defaultVersion" .) -}}
{{- $_ := set $policy "fallback" (include "canary.fallback" . | fromJsonArray) -}}
{{- with .Values.versionHeader }}{{- $_ := set $policy "versionHeader" . -}}{{- end -}}
{{- with .Values.sticky }}{{- $_ := set $policy "sticky" . -}}{{- end -}}
{{- $document := dict "mode" "version" "policies" (list (merge $policy (.Values.policy | default dict))) -}}
{{- $_ := set $document "virtualServices" (list (dict "metadata" $metadata "spec" $virtualService)) -}}
{{- $_ := set $document "destinationRules" (list (dict "metadata" $metadata "spec" $destinationRule)) -}}
{{- $service := dict "host" $name "namespace" .Release.Namespace "ports" (list (int .Values.service.port)) -}}
{{- $_ := set $document "services" (list $service) -}}
{{- if include "canary.failoverClusters" . | fromJson -}}{{- $_ := set $document "clusters" (dict "failover" true) -}}{{- end -}}
{{- $headers := dict "version" (include "canary.header" .) -}}
{{- $_ := set $document "headers" (merge $headers ((.Values.config).headers | default dict)) -}}
{{- $_ := set $document "proxy" (dict "gateways" (include "canary.gateways" . | fromJsonArray)) -}}
{{- merge $document (.Values.config | default dict) | toYaml -}}
{{- end -}}

{{/* The labels of the proxies' Pods. */}}
{{- define "canary.selector" -}}
{{- $gateway := eq .Values.workload "gateway" -}}
{{- .Values.plugin.selector | default ($gateway | ternary (dict "istio" "ingressgateway") dict) | toJson -}}
{{- end -}}

{{/* As Istio names the plugin's filter from 1.30 on. */}}
{{- define "canary.filterName" -}}
{{- $translated := eq .Values.plugin.kind "WasmPlugin" | ternary "~istio-translated-wasmplugin" "" -}}
extensions.istio.io/trafficextension/{{ include "canary.pluginNamespace" . }}.{{ include "canary.name" . }}-canary{{ $translated }}
{{- end -}}

{{/* The headers of which clients must not say anything, as removals: what steers, and the version's own where nobody is trusted. */}}
{{- define "canary.removals" -}}
{{- $headers := include "canary.headers" . | fromJson -}}
{{- $names := list $headers.cluster $headers.host -}}
{{- with $headers.mirror -}}{{- $names = concat $names (list . (printf "%s-2" .) (printf "%s-3" .)) -}}{{- end -}}
{{- $names = append (compact $names) "x-canary-decision" -}}
{{- if not ((.Values.config).overrides).from -}}
{{- $names = append $names (include "canary.header" .) -}}
{{- end -}}
{{- $removals := list -}}
{{- range $names -}}{{- $removals = append $removals (dict "remove" .) -}}{{- end -}}
{{- $removals | toJson -}}
{{- end -}}

{{/* The module, with the document: fields of a WasmPlugin, or of a TrafficExtension's `wasm`. */}}
{{- define "canary.module" -}}
url: {{ .Values.plugin.url | quote }}
{{- with .Values.plugin.sha256 }}
sha256: {{ . | quote }}
{{- end }}
pluginName: canary
imagePullPolicy: {{ .Values.plugin.pullPolicy }}
{{- with .Values.plugin.pullSecret }}
imagePullSecret: {{ . | quote }}
{{- end }}
failStrategy: {{ .Values.plugin.failStrategy }}
pluginConfig:
  {{- include "canary.document" . | nindent 2 }}
{{- end -}}
