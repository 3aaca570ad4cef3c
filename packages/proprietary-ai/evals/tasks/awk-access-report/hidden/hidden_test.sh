set -e
found=$(awk -f report.awk <<'LOG'
10.0.0.1 GET /b?x=1 200
10.0.0.1 GET /b?y=2 302
10.0.0.2 GET /a 200
10.0.0.2 GET /z 200
10.0.0.2 GET /z 404
broken line
10.0.0.3 POST /c?d=1 500
10.0.0.3 GET /a x00
LOG
)
wanted="/b 2 0
/z 1 1
/a 1 0
/c 0 1"
[ "$found" = "$wanted" ]
[ -z "$(awk -f report.awk </dev/null)" ]
