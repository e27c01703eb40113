{{- define "loopserve.name" -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{- end }}
{{- define "loopserve.selector" -}}
app.kubernetes.io/name: loopserve
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "loopserve.labels" -}}
{{ include "loopserve.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- define "loopserve.image" -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end }}
{{- define "loopserve.secret" -}}{{ .Values.existingSecret | default (printf "%s-keys" (include "loopserve.name" .)) }}{{- end }}
{{- define "loopserve.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "loopserve.mounts" -}}
- {name: settings, mountPath: /etc/loopserve, readOnly: true}
- {name: keys, mountPath: /etc/loopserve-keys, readOnly: true}
- {name: cache, mountPath: /models}
- {name: tmp, mountPath: /tmp}
{{- if .Values.bundles.claim }}
- {name: bundles, mountPath: /bundles, readOnly: true}
{{- end }}
{{- end }}
