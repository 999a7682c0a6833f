package envoy.authz

result := {"allowed": false, "body": "no policy is installed yet"}
