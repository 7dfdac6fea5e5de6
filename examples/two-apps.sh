#!/usr/bin/env bash
# Two generated apps, each a backend and a frontend, running side by side on the ports of the book.
#
#   examples/two-apps.sh [portbook]
#
# Uses a book of its own in a temporary folder, and ends what it started.
set -euo pipefail
portbook=${1:-portbook}
command -v "$portbook" >/dev/null || { echo "two-apps.sh: $portbook is not there" >&2; exit 2; }
portbook=$(realpath "$(command -v "$portbook")")

folder=$(mktemp -d)
servers=()
finish() {
    for server in "${servers[@]}"; do kill "$server" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
export PORTBOOK_STORE="sqlite:$folder/portbook.db"

serve() { # DIRECTORY PORT
    python3 -m http.server --directory "$1" --bind 127.0.0.1 "$2" >/dev/null 2>&1 &
    servers+=($!)
}

fetch() { # URL
    for _ in $(seq 100); do
        python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode().strip())' "$1" \
            2>/dev/null && return
        sleep 0.1
    done
    echo "two-apps.sh: nothing answers at $1" >&2
    exit 1
}

for app in 1 2; do
    # BACKEND_PORT and FRONTEND_PORT, the same ones every time.
    eval "$("$portbook" allocate openai_gpt-4 "$app" --format env)"
    home="$folder/openai_gpt-4/app$app"
    mkdir -p "$home/backend" "$home/frontend"
    echo "backend of app $app" >"$home/backend/index.html"
    echo "frontend of app $app" >"$home/frontend/index.html"
    cd "$home"
    serve "$home/backend" "$BACKEND_PORT"
    serve "$home/frontend" "$FRONTEND_PORT"
    cd "$folder"
    echo "http://127.0.0.1:$BACKEND_PORT  says: $(fetch "http://127.0.0.1:$BACKEND_PORT/")"
    echo "http://127.0.0.1:$FRONTEND_PORT  says: $(fetch "http://127.0.0.1:$FRONTEND_PORT/")"
done

# The apps' own servers are no conflict: they run in the apps' directories.
"$portbook" check
