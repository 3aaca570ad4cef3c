set -e
file=$(mktemp)
trap 'rm "$file"' EXIT
cat >"$file" <<'INI'
top = level
# no = comment
   ; other = comment
[ db ]
url = postgres://h/d?a=1&b=2
  name =  spaced out
twice = 1
twice = 2
empty =
INI
[ "$(perl ini.pl "$file" top)" = level ]
[ "$(perl ini.pl "$file" db.url)" = "postgres://h/d?a=1&b=2" ]
[ "$(perl ini.pl "$file" db.name)" = "spaced out" ]
[ "$(perl ini.pl "$file" db.twice)" = 2 ]
[ "$(perl ini.pl "$file" db.empty)" = "" ]
for missing in db.nothing "# no" "db.; other" other; do
    code=0
    said=$(perl ini.pl "$file" "$missing" 2>&1) || code=$?
    [ "$code" -eq 1 ]
    [ -z "$said" ]
done
