set -e
[ "$(printf '10.0.0.1 GET /a 200\n' | awk -f report.awk | cut -d' ' -f1)" = /a ]
