{{/* The configuration that ztag reads: the operator's, and where to listen. */}}
{{- define "ztag.config" -}}
{{- $listen := dict "grpc" (printf "0.0.0.0:%v" .Values.service.port) "admin" (printf "0.0.0.0:%v" .Values.service.adminPort) -}}
{{- if eq .Values.tls.mode "mesh" -}}
{{- $_ := set $listen "insecure_plaintext" true -}}
{{- else -}}
{{- $names := ternary (list "svid.pem" "svid.key" "bundle.pem") (list "tls.crt" "tls.key" "ca.crt") (eq .Values.tls.mode "spiffe") -}}
{{- $tls := dict "certificate" (printf "/etc/ztag/tls/%s" (index $names 0)) "key" (printf "/etc/ztag/tls/%s" (index $names 1)) "client_ca" (printf "/etc/ztag/tls/%s" (index $names 2)) "allowed_clients" .Values.tls.allowedClients -}}
{{- $_ := set $listen "tls" $tls -}}
{{- if .Values.service.revocationPort -}}
{{- $_ := set $listen "revocation_tls" (pick $tls "certificate" "key") -}}
{{- end -}}
{{- end -}}
{{- with .Values.service.revocationPort -}}
{{- $_ := set $listen "revocation" (printf "0.0.0.0:%v" .) -}}
{{- end -}}
{{- toYaml (merge (dict "listen" $listen) (deepCopy .Values.config)) -}}
{{- end -}}
