#!/bin/sh
# Makes what docker/compose.yml needs and nobody else may know:  docker/init.sh DOMAIN [FOLDER]
# Passwords, keys, settings and, until you have a real one, a certificate that no browser trusts. What is there stays as it is.
# FOLDER is where compose.yml is, this script's own if not said.
set -eu
if [ $# -lt 1 ]; then
    echo "Say under which name the installation is reached:  docker/init.sh aicd.example.com" >&2
    exit 2
fi
domain=$1
cd "${2:-$(dirname "$0")}"
umask 022

command -v openssl >/dev/null 2>&1 || { echo "openssl is needed:  apt-get install openssl" >&2; exit 1; }

# Files in here are read by whoever their container runs as, and the folder above them by nobody but you.
mkdir -p secrets acme
chmod 0700 secrets
for service in api worker migrate backup postgres redis qdrant grafana alertmanager prometheus tls; do mkdir -p "secrets/$service"; done

# keep PLACE VALUE: writes a secret that is not there yet.
keep() {
    if [ ! -e "secrets/$1" ]; then
        printf '%s' "$2" >"secrets/$1"
        chmod 0444 "secrets/$1"
    fi
}
random() { openssl rand -hex 32; }
key() { printf 'k1:%s' "$(openssl rand -base64 32)"; }

keep postgres/postgres_password "$(random)"
for role in app system backup; do keep "postgres/${role}_password" "$(random)"; done
url() { printf 'postgresql://%s:%s@postgres:5432/aicd' "$1" "$(cat "secrets/postgres/$2_password")"; }
keep redis/password.conf "requirepass $(random)
"
keep api/aicd_secret_keys "$(key)"
keep api/aicd_signing_keys "$(key)"
keep_redis() { keep "$1/aicd_redis_url" "redis://:$(sed -n 's/^requirepass //p' secrets/redis/password.conf)@redis:6379/0"; }
for service in api worker; do
    keep $service/aicd_database_url "$(url aicd_app app)"
    keep $service/aicd_system_database_url "$(url aicd_system system)"
    keep_redis $service
    keep $service/aicd_secret_keys "$(cat secrets/api/aicd_secret_keys)"
    keep $service/aicd_signing_keys "$(cat secrets/api/aicd_signing_keys)"
done
keep migrate/aicd_migration_database_url "$(url postgres postgres)"
keep backup/aicd_backup_database_url "$(url aicd_backup backup)"
keep backup/aicd_backup_password "$(random)"
keep backup/aicd_backup_repository /var/lib/aicd/repository
keep_redis backup
keep worker/aicd_qdrant_api_key "$(random)"
keep backup/aicd_qdrant_api_key "$(cat secrets/worker/aicd_qdrant_api_key)"
keep qdrant/local.yaml "service: {api_key: $(cat secrets/worker/aicd_qdrant_api_key)}
"
keep grafana/admin_password "$(random)"

if [ ! -e secrets/tls/fullchain.pem ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$domain" \
        -addext "subjectAltName=DNS:$domain" -keyout secrets/tls/privkey.pem -out secrets/tls/fullchain.pem 2>/dev/null
    chmod 0444 secrets/tls/*.pem
    echo "secrets/tls has a certificate that no browser trusts; put a real one there (docs/deploy.md)." >&2
fi
if grep -qx /var/lib/aicd/repository secrets/backup/aicd_backup_repository; then
    echo "Backups stay on this machine until secrets/backup/aicd_backup_repository names another place (docs/deploy.md)." >&2
fi
if [ ! -e secrets/alertmanager/alert_chat_url ]; then
    echo "Nobody is told of alerts until secrets/alertmanager/alert_chat_url is there (docs/deploy.md)." >&2
fi
if [ ! -e .env ]; then sed "s/^DOMAIN=.*/DOMAIN=$domain/" .env.example >.env; fi
echo "All that is secret is in $(pwd)/secrets. Keep a copy of secrets/api, secrets/worker and secrets/backup where this machine is not:"
# Where `make deploy` will bring Compose's files, they are not there yet.
if [ -e compose.yml ]; then next="docker compose -f $(pwd)/compose.yml up -d --build"; else next="make deploy HOST=…, where you have the source"; fi
echo "without them backups cannot be read. Now:  $next"
