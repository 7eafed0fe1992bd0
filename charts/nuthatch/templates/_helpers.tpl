{{- define "nuthatch.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "nuthatch.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nuthatch.labels" -}}
{{ include "nuthatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "nuthatch.adminSecret" -}}
{{- .Values.admin.existingSecret | default (printf "%s-admin" (include "nuthatch.name" .)) }}
{{- end }}

{{- /* The ports of the pools: a JSON list of names and numbers. */ -}}
{{- define "nuthatch.ports" -}}
{{- $ports := list }}
{{- range $name, $pool := .Values.pools }}
{{- $listen := $pool.listen | default "" | toString }}
{{- if not (regexMatch "^(0\\.0\\.0\\.0|\\[::\\]|::):[0-9]+$" $listen) }}
{{- fail (printf "pools.%s.listen: %q is not a port of all addresses, such as 0.0.0.0:6379: nobody outside the pod would reach it" $name $listen) }}
{{- end }}
{{- $ports = append $ports (dict "name" (printf "p-%s" (regexFind "[0-9]+$" $listen)) "port" (regexFind "[0-9]+$" $listen | int)) }}
{{- with $pool.tls }}{{ with .listen }}
{{- $ports = append $ports (dict "name" (printf "p-%s" (regexFind "[0-9]+$" .)) "port" (regexFind "[0-9]+$" . | int)) }}
{{- end }}{{ end }}
{{- end }}
{{- $ports | toJson }}
{{- end }}

{{- /* nuthatch.yml. */ -}}
{{- define "nuthatch.file" -}}
{{- if not .Values.pools }}
{{- fail "pools: set at least one pool; values.yaml of the chart has an example" }}
{{- end }}
{{- $own := dict "admin" "0.0.0.0:22223" "admin_token_file" "/run/secrets/nuthatch/token" "admin_read_token_file" "/run/secrets/nuthatch/read-token" }}
{{- toYaml .Values.pools }}
nuthatch:
{{ toYaml (mergeOverwrite (deepCopy (.Values.process | default dict)) $own) | indent 2 }}
{{- end }}
