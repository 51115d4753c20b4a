{{/* Names and labels. Nothing here decides anything else. */}}
{{- define "landfall.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "landfall.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "landfall.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "landfall.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "landfall.selector" -}}
app.kubernetes.io/name: {{ include "landfall.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "landfall.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "landfall.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "landfall.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "landfall.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "landfall.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- define "landfall.tokenSecret" -}}
{{- default (printf "%s-token" (include "landfall.fullname" .)) .Values.http.token.existingSecret -}}
{{- end }}

{{- define "landfall.tokenKey" -}}
{{- if .Values.http.token.existingSecret -}}{{ .Values.http.token.key }}{{- else -}}token{{- end -}}
{{- end }}

{{- define "landfall.tlsSecret" -}}
{{- default (printf "%s-tls" (include "landfall.fullname" .)) .Values.http.tls.existingSecret -}}
{{- end }}

{{/* landfall.yaml: what the user wrote, with the state directory and the HTTP side of this pod. */}}
{{- define "landfall.config" -}}
{{- $listen := printf "0.0.0.0:%d" (int .Values.http.port) -}}
{{- $tls := dict "cert" "/run/secrets/landfall-tls/tls.crt" "key" "/run/secrets/landfall-tls/tls.key" -}}
{{- $http := dict "listen" $listen "token" "file:/run/secrets/landfall-token/token" "tls" $tls -}}
{{- $state := dict "dir" "/var/lib/landfall/state" -}}
{{- toYaml (merge (dict "state" $state "http" $http) .Values.config) -}}
{{- end }}
