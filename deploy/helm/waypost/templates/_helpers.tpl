{{- define "waypost.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pods of this release. */}}
{{- define "waypost.selector" -}}
app.kubernetes.io/name: waypost
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "waypost.labels" -}}
{{ include "waypost.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The listener of clients as `config` has it. Listeners may be written as a list, too, which is not looked into here. */}}
{{- define "waypost.listener" -}}
{{- $listeners := default dict .Values.config.listeners -}}
{{- if not (kindIs "map" $listeners) -}}
{{- fail "config.listeners: write it as a map here, such as {egress_traffic: {address: 0.0.0.0, port: 12000}}" -}}
{{- end -}}
{{- toYaml (default dict $listeners.egress_traffic) -}}
{{- end -}}

{{/* How a pod is asked how it is: over TLS where its listener speaks it, and where that wants certificates of clients, by
connecting alone. */}}
{{- define "waypost.probe" -}}
{{- $tls := (include "waypost.listener" .root | fromYaml).tls -}}
{{- if .root.Values.existingConfigMap -}}{{- $tls = dict -}}{{- end -}}
{{- $scheme := default (ternary "HTTPS" "HTTP" (not (empty $tls))) .root.Values.probeScheme -}}
{{- if and $tls $tls.client_ca -}}
tcpSocket: {port: http}
{{- else if eq $scheme "HTTPS" -}}
httpGet: {path: {{ .path }}, port: http, scheme: HTTPS}
{{- else -}}
httpGet: {path: {{ .path }}, port: http}
{{- end -}}
{{- end -}}
