{{/* The name of the service, which everything else is called by. */}}
{{- define "canary.name" -}}
{{- .Values.service.name | default .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "canary.labels" -}}
app.kubernetes.io/name: {{ include "canary.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* What all Pods of the service have in common. */}}
{{- define "canary.selectorLabels" -}}
app.kubernetes.io/name: {{ include "canary.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The versions with their names and labels filled in, as a JSON list. */}}
{{- define "canary.versions" -}}
{{- $versions := list -}}
{{- range $index, $version := .Values.versions -}}
{{- $name := $version.name | default (printf "v%d" (add1 $index)) -}}
{{- $labels := $version.labels | default (dict "version" $name) -}}
{{- $versions = append $versions (merge (dict "name" $name "labels" $labels) $version) -}}
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
{{- append (without .Values.fallback $default) $default | toJson -}}
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
{{- range append .Values.rules (dict "name" "everybody" "weights" $everybody) -}}
{{- $weights := .weights | default (dict (.version | default "") 100) -}}
{{- $route := include "canary.route" (dict "root" $ "weights" $weights) | fromJsonArray -}}
{{- $rules = append $rules (merge (dict "route" $route) (omit . "version" "weights") $.Values.http) -}}
{{- end -}}
{{- $rules | toJson -}}
{{- end -}}

{{/* The header by which the filter names the version to the native routes. Of each release another one: a filter takes its own header from
     every request, so of two in one proxy the second would undo what the first has picked. */}}
{{- define "canary.header" -}}
{{- dig "headers" "version" (printf "x-canary-version-%s" (include "canary.name" .)) .Values.config -}}
{{- end -}}

{{/* The native rules of mode version: each rule once for each version, with a match of the header that the filter sets, then as it
     is. This is what `canaryctl render virtualservice` prints of the document. */}}
{{- define "canary.nativeRules" -}}
{{- $header := include "canary.header" . -}}
{{- $native := list -}}
{{- range $rule := include "canary.rules" . | fromJsonArray -}}
{{- range $rule.route -}}
{{- $version := dict $header (dict "exact" .destination.subset) -}}
{{- $matches := list -}}
{{- range $rule.match | default (list dict) -}}
{{- $matches = append $matches (merge (dict "headers" (merge (deepCopy $version) (.headers | default dict))) .) -}}
{{- end -}}
{{- $native = append $native (merge (dict "match" $matches "route" (list (omit . "weight"))) $rule) -}}
{{- end -}}
{{- $native = append $native $rule -}}
{{- end -}}
{{- $native | toJson -}}
{{- end -}}

{{/* The spec of the VirtualService with these rules. */}}
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
{{- $policy := dict "hosts" (list $name) "namespace" .Release.Namespace -}}
{{- $_ := set $policy "defaultSubset" (include "canary.defaultVersion" .) -}}
{{- $_ := set $policy "fallback" (include "canary.fallback" . | fromJsonArray) -}}
{{- with .Values.versionHeader }}{{- $_ := set $policy "versionHeader" . -}}{{- end -}}
{{- with .Values.sticky }}{{- $_ := set $policy "sticky" . -}}{{- end -}}
{{- $document := dict "mode" "version" "policies" (list (merge $policy .Values.policy)) -}}
{{- $_ := set $document "virtualServices" (list (dict "metadata" $metadata "spec" $virtualService)) -}}
{{- $_ := set $document "destinationRules" (list (dict "metadata" $metadata "spec" $destinationRule)) -}}
{{- $service := dict "host" $name "namespace" .Release.Namespace "ports" (list (int .Values.service.port)) -}}
{{- $_ := set $document "services" (list $service) -}}
{{- $headers := dict "version" (include "canary.header" .) -}}
{{- $_ := set $document "headers" (merge $headers (dig "headers" dict .Values.config)) -}}
{{- $_ := set $document "proxy" (dict "gateways" (include "canary.gateways" . | fromJsonArray)) -}}
{{- merge $document .Values.config | toYaml -}}
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
{{- $headers := dig "headers" dict .Values.config -}}
{{- $mirror := get $headers "mirror" | default "x-canary-mirror" -}}
{{- $names := list (get $headers "cluster" | default "x-canary-cluster") (get $headers "host" | default "x-canary-host") -}}
{{- $names = concat $names (list $mirror (printf "%s-2" $mirror) (printf "%s-3" $mirror) "x-canary-reason") -}}
{{- if not (dig "overrides" "from" list .Values.config) -}}
{{- $names = append $names (include "canary.header" .) -}}
{{- end -}}
{{- $removals := list -}}
{{- range $names -}}{{- $removals = append $removals (dict "remove" .) -}}{{- end -}}
{{- $removals | toJson -}}
{{- end -}}

{{/* The module, with the document: fields of a WasmPlugin, or of a TrafficExtension's `wasm`. */}}
{{- define "canary.module" -}}
url: {{ .Values.plugin.url }}
{{- with .Values.plugin.sha256 }}
sha256: {{ . | quote }}
{{- end }}
pluginName: canary
imagePullPolicy: {{ .Values.plugin.pullPolicy }}
{{- with .Values.plugin.pullSecret }}
imagePullSecret: {{ . }}
{{- end }}
failStrategy: {{ .Values.plugin.failStrategy }}
pluginConfig:
  {{- include "canary.document" . | nindent 2 }}
{{- end -}}

{{/* Fails where all shares are 0. */}}
{{- define "canary.checkShares" -}}
{{- $sum := 0 -}}
{{- range $version, $weight := .weights -}}{{- $sum = add $sum $weight -}}{{- end -}}
{{- if and .weights (not $sum) -}}
{{- fail (printf "%s: their sum is 0" .at) -}}
{{- end -}}
{{- end -}}

{{/* What the schema cannot say: versions that are named have to be there, and somebody gets a share. */}}
{{- define "canary.check" -}}
{{- include "canary.checkShares" (dict "at" "weights" "weights" .Values.weights) -}}
{{- range $index, $rule := .Values.rules -}}
{{- include "canary.checkShares" (dict "at" (printf "rules[%d].weights" $index) "weights" $rule.weights) -}}
{{- end -}}
{{- $names := include "canary.versionNames" . | fromJsonArray -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- fail (printf "versions: two of them have one name: %s" (join ", " $names)) -}}
{{- end -}}
{{- $named := list (dict "at" "defaultVersion" "version" (include "canary.defaultVersion" .)) -}}
{{- range .Values.fallback -}}{{- $named = append $named (dict "at" "fallback" "version" .) -}}{{- end -}}
{{- range $version, $_ := .Values.weights -}}{{- $named = append $named (dict "at" "weights" "version" $version) -}}{{- end -}}
{{- range $index, $rule := .Values.rules -}}
{{- $at := printf "rules[%d]" $index -}}
{{- with $rule.version }}{{- $named = append $named (dict "at" $at "version" .) -}}{{- end -}}
{{- range $version, $_ := $rule.weights -}}{{- $named = append $named (dict "at" $at "version" $version) -}}{{- end -}}
{{- end -}}
{{- range $named -}}
{{- if not (has .version $names) -}}
{{- fail (printf "%s: there is no version %s; versions: %s" .at .version (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
