{{/* Fails where all shares are 0. */}}
{{- define "canary.checkShares" -}}
{{- $sum := 0 -}}
{{- range $version, $weight := .weights -}}{{- $sum = add $sum $weight -}}{{- end -}}
{{- if and .weights (not $sum) -}}
{{- fail (printf "%s: their sum is 0" .at) -}}
{{- end -}}
{{- end -}}

{{/* Fails where the service's name is none that a Service may have; the release's may be one of many more. */}}
{{- define "canary.checkName" -}}
{{- $name := include "canary.name" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "service.name: the release's name makes it %q, which is no name of a Service: lower-case letters, digits and -, a letter first; say another" $name) -}}
{{- end -}}
{{- end -}}

{{/* Fails where a value repeats a field that the chart sets itself. */}}
{{- define "canary.checkOwn" -}}
{{- range $field, $why := .own -}}
{{- if hasKey $.value $field -}}
{{- fail (printf "%s.%s: the chart sets this field: %s" $.at $field $why) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails where labels of a version repeat those of all. */}}
{{- define "canary.checkOwnLabels" -}}
{{- $own := include "canary.labels" . | fromYaml -}}
{{- range $index, $version := .Values.versions -}}
{{- range $label, $_ := $version.labels -}}
{{- if hasKey $own $label -}}
{{- fail (printf "versions[%d].labels: the chart sets the label %s itself" $index $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails where a subset would choose the Pods of two versions: all labels of one are among those of the other. */}}
{{- define "canary.checkLabels" -}}
{{- $versions := include "canary.versions" . | fromJsonArray -}}
{{- range $one, $chosen := $versions -}}
{{- range $other, $version := $versions -}}
{{- if ne $one $other -}}
{{- $differs := false -}}
{{- range $label, $value := $chosen.labels -}}
{{- if or (not (hasKey $version.labels $label)) (ne (get $version.labels $label) $value) -}}{{- $differs = true -}}{{- end -}}
{{- end -}}
{{- if not $differs -}}
{{- fail (printf "versions[%d].labels: they choose the Pods of %s as well as those of %s (%s): give each version a label of its own" $one $version.name $chosen.name ($chosen.labels | toJson)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails where a value is null that has to say something: Helm takes it away together with the chart's default, before the schema is asked. */}}
{{- define "canary.checkNulls" -}}
{{- $needed := list "deploy" "workload" "failover" "service" "service.create" "service.port" "service.portName" -}}
{{- $needed = concat $needed (list "plugin.kind" "plugin.pullPolicy" "plugin.failStrategy") -}}
{{- if .Values.deploy -}}{{- $needed = concat $needed (list "image" "image.repository" "image.pullPolicy") -}}{{- end -}}
{{- range $at := $needed -}}
{{- $value := $.Values -}}
{{- range splitList "." $at -}}{{- $value = index $value . -}}{{- end -}}
{{- if kindIs "invalid" $value -}}
{{- fail (printf "%s: null takes the chart's default away; leave it out, or say what it is" $at) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails where the version header is none, or where clients or rules use it: only the filter tells the native routes by it. */}}
{{- define "canary.checkHeader" -}}
{{- $header := include "canary.header" . -}}
{{- if not $header -}}
{{- fail "config.headers.version: the native routes match this header; it cannot be turned off" -}}
{{- end -}}
{{- if eq (lower ((.Values.versionHeader).name | default "")) $header -}}
{{- fail (printf "versionHeader.name: %s is the filter's own: clients' copies of it are removed" $header) -}}
{{- end -}}
{{- range $rule, $_ := .Values.rules -}}
{{- range $entry, $match := .match -}}
{{- range $name := concat (.headers | default dict | keys) (.withoutHeaders | default dict | keys) (.without_headers | default dict | keys) -}}
{{- if eq (lower $name) $header -}}
{{- fail (printf "rules[%d].match[%d]: %s is the filter's own word to the native routes; a rule cannot match it itself" $rule $entry $header) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the schema cannot say: versions that are named have to be there, and somebody gets a share. */}}
{{- define "canary.check" -}}
{{- include "canary.checkNulls" . -}}
{{- include "canary.checkShares" (dict "at" "weights" "weights" .Values.weights) -}}
{{- range $index, $rule := .Values.rules -}}
{{- include "canary.checkShares" (dict "at" (printf "rules[%d].weights" $index) "weights" $rule.weights) -}}
{{- if regexMatch "#[0-9]+@" ($rule.name | default "") -}}
{{- fail (printf "rules[%d].name: %q: a route that the chart makes could have this name; take another one" $index $rule.name) -}}
{{- end -}}
{{- end -}}
{{- include "canary.checkName" . -}}
{{- include "canary.checkHeader" . -}}
{{- include "canary.checkOwn" (dict "at" "pod" "value" (.Values.pod | default dict) "own" (dict
  "containers" "fields of the service's container go into `container`; others run as pod.initContainers with restartPolicy: Always"
  "imagePullSecrets" "it is a value of its own, `imagePullSecrets`")) -}}
{{- include "canary.checkOwn" (dict "at" "container" "value" (.Values.container | default dict) "own" (dict
  "name" "it is that of the service"
  "image" "it is made of image.repository and the version's tag"
  "imagePullPolicy" "it is image.pullPolicy"
  "ports" "it is made of service.targetPort and service.portName; the container may listen on others without")) -}}
{{- if .Values.deploy -}}{{- include "canary.checkOwnLabels" . -}}{{- end -}}
{{- $names := include "canary.versionNames" . | fromJsonArray -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- fail (printf "versions: two of them have one name: %s" (join ", " $names)) -}}
{{- end -}}
{{- include "canary.checkLabels" . -}}
{{- $named := list (dict "at" "defaultVersion" "version" (include "canary.defaultVersion" .)) -}}
{{- range .Values.fallback -}}{{- $named = append $named (dict "at" "fallback" "version" .) -}}{{- end -}}
{{- range $version, $_ := .Values.weights -}}{{- $named = append $named (dict "at" "weights" "version" $version) -}}{{- end -}}
{{- range (.Values.versionHeader).versions -}}{{- $named = append $named (dict "at" "versionHeader.versions" "version" .) -}}{{- end -}}
{{- with (.Values.policy).ramp -}}{{- $named = append $named (dict "at" "policy.ramp" "version" .subset) -}}{{- end -}}
{{- range (.Values.policy).faults -}}{{- $named = append $named (dict "at" "policy.faults" "version" .subset) -}}{{- end -}}
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
