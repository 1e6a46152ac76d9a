#!/bin/sh
# Ends one process of this host: number and start (milliseconds since 1970) must both be its.
# Prints `ended`, `gone` (there is no such process) or `another` (the number is another process's by now).
# For the live-response library of Defender for Endpoint on Linux, and whoever else can run a script there.

case "$1" in '' | *[!0-9]*) exit 2 ;; esac
case "$2" in '' | *[!0-9]*) exit 2 ;; esac

started() { # the start of process $1, in seconds since 1970
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    rest=${stat##*) } # what follows the name, which may hold anything
    state=${rest%% *}
    [ "$state" = Z ] && return 1
    # shellcheck disable=SC2086
    set -- $rest
    shift 19
    echo $((boot + $1 / hertz))
}

hertz=$(getconf CLK_TCK) || exit 3
boot=$(sed -n 's/^btime //p' /proc/stat)
wanted=$(($2 / 1000))

found=$(started "$1") || { echo gone; exit 0; }
away=$((found - wanted))
[ "${away#-}" -le 3 ] || { echo another; exit 0; }
kill -9 "$1" || exit 4
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    started "$1" >/dev/null || { echo ended; exit 0; }
    sleep 0.5
done
echo "it does not end" >&2
exit 5
