{{/* One alert: name, severity, how long, expression, summary. */}}
{{- define "ztag.alert" }}
        - alert: Ztag{{ index . 0 }}
          expr: {{ index . 3 | quote }}
          for: {{ index . 2 }}
          labels: {severity: {{ index . 1 }}}
          annotations:
            summary: {{ index . 4 | quote }}
            runbook_url: https://github.com/ztag/ztag-extauthz/blob/main/docs/platform-runbooks.md#ztag{{ index . 0 | lower }}
{{- end -}}
