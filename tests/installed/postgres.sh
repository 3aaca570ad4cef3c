#!/bin/sh
# What compose.yml counts on of the entry point of Postgres' own image: an empty data folder is laid with the superuser's password
# from a file, then /docker-entrypoint-initdb.d is run on a server that answers on its socket only.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --pgdata="$PGDATA" --locale=C.UTF-8 --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" \
        --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl --wait --silent --options="-c listen_addresses=" start
    for script in /docker-entrypoint-initdb.d/*.sh; do sh "$script"; done
    pg_ctl --wait --silent --mode=fast stop
fi
exec "$@"
