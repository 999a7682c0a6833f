{{- define "ztag.podAnnotations" -}}
checksum/config: {{ include "ztag.config" . | sha256sum }}
{{- if not .Values.policy.existingConfigMap }}
checksum/policy: {{ toYaml .Values.policy | sha256sum }}
{{- end }}
{{- if .Values.istio.enabled }}
# The sidecar is there before the first check and outlives the last one.
proxy.istio.io/config: |-
  holdApplicationUntilProxyStarts: true
  terminationDrainDuration: {{ include "ztag.grace" . }}s
{{- end }}
{{- if .Values.secrets.vault.role }}
vault.hashicorp.com/agent-inject: "true"
vault.hashicorp.com/role: {{ .Values.secrets.vault.role | quote }}
vault.hashicorp.com/agent-inject-containers: ztag
vault.hashicorp.com/agent-run-as-user: "65532"
vault.hashicorp.com/secret-volume-path: /etc/ztag/secrets/vault
{{- range .Values.secrets.vault.files }}
vault.hashicorp.com/agent-inject-secret-{{ .name }}: {{ .path | quote }}
{{- end }}
{{- end }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}
