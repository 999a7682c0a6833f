#!/bin/sh
# What Vault needs for the shop: a PKI for the database's certificate, dynamic users for orders, and a role for each
# service account. Run once, with VAULT_ADDR and VAULT_TOKEN set; DATABASE_ADMIN_PASSWORD is the database's own.
set -eu

vault auth enable kubernetes
vault write auth/kubernetes/config kubernetes_host="https://kubernetes.default.svc"

vault secrets enable pki
vault secrets tune -max-lease-ttl=8760h pki
vault write pki/root/generate/internal common_name="shop database CA" ttl=8760h
vault write pki/roles/database allowed_domains=database.shop allow_bare_domains=true max_ttl=24h key_type=ec key_bits=256

vault secrets enable database
vault write database/config/shop plugin_name=postgresql-database-plugin allowed_roles=orders \
  connection_url="postgresql://{{username}}:{{password}}@database.shop:5432/orders?sslmode=verify-full" \
  username=vault password="$DATABASE_ADMIN_PASSWORD"
vault write database/roles/orders db_name=shop default_ttl=1h max_ttl=1h \
  creation_statements="CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT orders_app TO \"{{name}}\";"

for name in orders database; do
  vault policy write "$name" - <<POLICY
path "pki/cert/ca" { capabilities = ["read"] }
path "pki/issue/database" { capabilities = [$([ "$name" = database ] && echo '"update"' || echo '"deny"')] }
path "database/creds/orders" { capabilities = [$([ "$name" = orders ] && echo '"read"' || echo '"deny"')] }
POLICY
  vault write "auth/kubernetes/role/$name" bound_service_account_names="$name" bound_service_account_namespaces=shop \
    policies="$name" ttl=1h audience=vault
done
