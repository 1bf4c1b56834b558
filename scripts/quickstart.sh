#!/usr/bin/env bash
# A tour of SuperTable on 3 million flights: every command is shown and run.
# It leaves the SuperTable in .cache/quickstart, which it makes anew each time.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
dir=$root/.cache/quickstart
rm -rf "$dir"
mkdir -p "$dir"

bold= dim= plain=
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# run shows a command as one would type it, runs it, and says how long it took.
run() {
	local start=${EPOCHREALTIME/[.,]/} end
	printf '%s$ %s%s\n' "$dim" "$1" "$plain"
	eval "$1"
	end=${EPOCHREALTIME/[.,]/}
	printf '%s%22s.%02d s%s\n' "$dim" "$(((end - start) / 1000000))" "$(((end - start) / 10000 % 100))" "$plain"
}

# generate makes 3 million flights of the same shape as the real ones.
generate() {
	supertable --quiet query "
		SELECT TIMESTAMP '2001-01-01 00:01:00' + INTERVAL 1 MINUTE * (i * 52 // 600) AS date,
			CASE WHEN i % 1000003 = 7 THEN -600 ELSE i * 7919 % 61 - 20 + CASE WHEN i % 17 = 0 THEN i % 211 ELSE 0 END END AS delay,
			100 + i * 104729 % 2600 AS distance,
			substr('ORDDFWATLLAXPHXSTLDTWMSPLASDENBOSIAH', 1 + 3 * (i * 31 % 12), 3) AS origin,
			substr('SFOEWRPHLCLTPITMIASEAMCOLGASLCSANBWI', 1 + 3 * (i // 12 % 12), 3) AS destination
		FROM range(3000000) AS r(i)" --format parquet -o "$1"
}

# snapshot is the number of the newest snapshot of a table.
snapshot() { supertable history "$1" --format csv | sed -n '2s/,.*//p'; }

began=$SECONDS
export PATH=$root/bin:$PATH SUPERTABLE_HOME=$dir/home SUPERTABLE_SUPER=travel
cd "$dir"
echo "The SuperTable of this tour lies in $dir/home."

heading "A SuperTable is a folder with many tables in it"
run "supertable create"

if "$root/scripts/deps.sh" flights; then
	ln -s "$root/.cache/data/flights-3m.parquet" flights.parquet
else
	echo "Making 3 million flights of the same shape instead."
	generate flights.parquet
fi

heading "Three million flights go in; the table appears by itself"
run "supertable write flights flights.parquet --message 'the first half of 2001'"
loaded=$(snapshot flights)
run "supertable tables"

heading "Ask"
run "supertable query \"SELECT origin, count(*) AS flights, round(avg(delay), 1) AS delay
    FROM flights GROUP BY origin ORDER BY flights DESC LIMIT 5\""

heading "The clock at O'Hare was a quarter of an hour fast on 1 March: correct that day"
run "supertable query \"SELECT * REPLACE (delay - 15 AS delay) FROM flights
    WHERE origin = 'ORD' AND date >= '2001-03-01' AND date < '2001-03-02'\" --format parquet -o ord.parquet"
run "supertable write flights ord.parquet --key date,origin,destination --message 'ORD: clock was fast'"

heading "Nobody lands two hours early: delete such rows"
run "supertable query \"SELECT * FROM flights WHERE delay < -120\" --format parquet -o wrong.parquet"
run "supertable write flights wrong.parquet --delete --key date,origin,destination,delay --message 'impossible delays'"

heading "A new column"
run "supertable alter flights add reviewed BOOLEAN default false"
run "supertable schema flights"

heading "A second table, from standard input"
cat >airports.csv <<'CSV'
iata,city,state
ATL,Atlanta,GA
DEN,Denver,CO
DFW,Dallas-Fort Worth,TX
DTW,Detroit,MI
LAS,Las Vegas,NV
LAX,Los Angeles,CA
MSP,Minneapolis,MN
ORD,Chicago,IL
PHX,Phoenix,AZ
STL,St. Louis,MO
CSV
run "cat airports.csv | supertable write airports - --input-format csv --key iata"

heading "Join them"
run "supertable query \"SELECT a.city, a.state, count(*) AS flights, round(avg(f.delay), 1) AS delay
    FROM flights f JOIN airports a ON a.iata = f.origin GROUP BY ALL ORDER BY delay DESC LIMIT 5\""

heading "The SuperTable's own name is the union of its tables"
run "supertable query \"SELECT count(*) AS rows, count(date) AS flights, count(iata) AS airports FROM travel\""

heading "Every write is a snapshot, and stays readable"
run "supertable history"
day="SELECT count(*) AS flights, round(avg(delay), 2) AS delay FROM flights
    WHERE origin = 'ORD' AND date >= '2001-03-01' AND date < '2001-03-02'"
run "supertable query \"$day\""
run "supertable query \"$day\" --at-version $loaded"
run "supertable query \"SELECT (SELECT count(*) FROM flights) AS now,
    (SELECT count(*) FROM flights AT (VERSION => $loaded)) AS loaded\""

heading "What a query read: files that cannot match are not opened"
run "supertable query \"SELECT count(*) AS flights, max(delay) AS delay FROM flights WHERE date >= '2001-06-30'\" --stats"

heading "Is everything in its place?"
run "supertable check"

heading "That was $((SECONDS - began)) seconds. Go on with the same SuperTable:"
cat <<END
  export SUPERTABLE_HOME=$SUPERTABLE_HOME SUPERTABLE_SUPER=travel
  $root/bin/supertable shell
  $root/bin/supertable query "DESCRIBE flights"
  $root/bin/supertable query "SELECT * FROM flights WHERE origin = \\\$o ORDER BY delay DESC LIMIT 3" --param o=DEN
  $root/bin/supertable query "SELECT * FROM airports" --format json
  $root/bin/supertable help write
Any DuckLake client reads it too, DuckDB for one:
  ATTACH 'ducklake:sqlite:$SUPERTABLE_HOME/default/travel/catalog.db' AS travel;
END
