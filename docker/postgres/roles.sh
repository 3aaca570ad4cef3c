#!/bin/sh
# Run once by Postgres' image, on an empty data folder: the roles that log in, with their passwords. What they may do is
# laid by `aicd migrate` (docs/tenancy.md); the one for backups reads every row, receives the log, and can do nothing else.
set -eu
psql --username postgres --dbname postgres --set ON_ERROR_STOP=1 \
    --set app="$(cat /run/secrets/app_password)" \
    --set system="$(cat /run/secrets/system_password)" \
    --set backup="$(cat /run/secrets/backup_password)" <<'SQL'
CREATE DATABASE aicd;
CREATE ROLE aicd_app LOGIN PASSWORD :'app';
CREATE ROLE aicd_system LOGIN PASSWORD :'system';
CREATE ROLE aicd_backup LOGIN REPLICATION BYPASSRLS PASSWORD :'backup' IN ROLE pg_read_all_data;
SQL
# The image's own line is for databases, and the log is none. Who reaches this port at all, the network says.
echo "host replication aicd_backup all scram-sha-256" >>"$PGDATA/pg_hba.conf"
