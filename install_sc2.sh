#!/usr/bin/env bash
# Installs StarCraft II for Linux (Blizzard's package without graphics, 4 GB) and the SMAC maps: docs/starcraft2.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'TEXT'
Usage: ./install_sc2.sh [--version 4.10|4.6.2] [--accept-eula] [--maps-only] [--smacv2] [--game ZIP] [--maps ZIP]

Installs to $SC2PATH, or to ~/StarCraftII where it is not set.

  --version V     4.10 (the default) or 4.6.2, that of SMAC's published results; win rates of the two do not compare
  --accept-eula   accept Blizzard's AI and Machine Learning License without being asked
  --maps-only     only the maps, for a game that is installed (macOS and Windows: by Blizzard's Battle.net)
  --smacv2        the maps of SMACv2, beside those of SMAC
  --game ZIP      Blizzard's package, where it has been downloaded before
  --maps ZIP      SMAC_Maps.zip, likewise
TEXT
}

fail() {
    echo "error: $1" >&2
    exit 2
}

version=4.10 accepted=no maps_only=no task=sc2 game_zip="" maps_zip=""
while [ $# -gt 0 ]; do
    case "$1" in
        --accept-eula) accepted=yes ;;
        --maps-only) maps_only=yes ;;
        --smacv2) task=sc2v2 ;;
        --version | --game | --maps)
            [ $# -ge 2 ] || fail "$1 needs a value; see ./install_sc2.sh --help"
            case "$1" in
                --version) version="$2" ;;
                --game) game_zip="$2" ;;
                --maps) maps_zip="$2" ;;
            esac
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) fail "unknown option $1; see ./install_sc2.sh --help" ;;
    esac
    shift
done

case "$version" in
    4.10) package=SC2.4.10.zip ;;
    4.6.2) package=SC2.4.6.2.69232.zip ;;
    *) fail "--version $version: allowed are 4.10 and 4.6.2" ;;
esac
GAME_URL="https://blzdistsc2-a.akamaihd.net/Linux/$package"
case "$task" in
    sc2) MAPS_URL=https://github.com/oxwhirl/smac/releases/download/v0.1-beta1/SMAC_Maps.zip try=3m ;;
    sc2v2) MAPS_URL=https://github.com/oxwhirl/smacv2/releases/download/maps/SMAC_Maps.zip try=terran_5_vs_5 ;;
esac
LICENSE_URL=https://blzdistsc2-a.akamaihd.net/AI_AND_MACHINE_LEARNING_LICENSE.html
folder="${SC2PATH:-$HOME/StarCraftII}"

command -v unzip >/dev/null || fail "unzip is missing: install it with the system's packages (apt install unzip)"
for zip in "$game_zip" "$maps_zip"; do
    [ -z "$zip" ] || [ -f "$zip" ] || fail "there is no file $zip"
done

fetch() { # URL FILE: goes on where an earlier download broke off
    [ ! -f "$2" ] || return 0
    command -v curl >/dev/null || fail "curl is missing; or download $1 by hand, and give it with --game or --maps"
    mkdir -p "$(dirname "$2")"
    curl --fail --location --continue-at - --output "$2.part" "$1" || fail "could not download $1: try again, it goes on"
    mv "$2.part" "$2"
}

if [ "$maps_only" = no ] && [ -d "$folder/Versions" ]; then
    echo "StarCraft II is in $folder already."
elif [ "$maps_only" = no ]; then
    [ "$(uname -s)" = Linux ] || fail "Blizzard's package is for Linux; install the game by Battle.net, then --maps-only"
    if [ "$accepted" = no ]; then
        echo "The game comes under Blizzard's AI and Machine Learning License: $LICENSE_URL"
        [ -t 0 ] || fail "nobody is there to accept it: --accept-eula"
        read -r -p "Do you accept it? [y/N] " answer
        [[ "$answer" =~ ^[Yy] ]] || fail "not accepted; the same tasks without the game: env_args.backend=skirmish"
    fi
    if [ -z "$game_zip" ]; then
        game_zip="$(dirname "$folder")/$package"
        fetch "$GAME_URL" "$game_zip"
    fi
    unpacked="$folder.unpacked"
    rm -rf "$unpacked"
    unzip -q -P iagreetotheeula "$game_zip" -d "$unpacked" || fail "$game_zip is broken: delete it and try again"
    [ -d "$unpacked/StarCraftII/Versions" ] || fail "$game_zip holds no folder StarCraftII/Versions"
    mkdir -p "$folder/Maps"
    if [ -d "$unpacked/StarCraftII/Maps" ]; then
        cp -a "$unpacked/StarCraftII/Maps/." "$folder/Maps/"
        rm -rf "$unpacked/StarCraftII/Maps"
    fi
    mv "$unpacked/StarCraftII/Versions" "$unpacked/Versions"
    find "$unpacked/StarCraftII" -mindepth 1 -maxdepth 1 -exec mv -f {} "$folder/" \;
    mv "$unpacked/Versions" "$folder/" # last, for it tells that the game is there
    rm -rf "$unpacked"
fi

[ -d "$folder/Versions" ] || fail "there is no StarCraft II in $folder: set SC2PATH, or leave out --maps-only"
if [ -z "$maps_zip" ]; then
    maps_zip="$folder/$task-maps.zip"
    fetch "$MAPS_URL" "$maps_zip"
fi
mkdir -p "$folder/Maps/SMAC_Maps"
unzip -q -o -j "$maps_zip" '*.SC2Map' -d "$folder/Maps/SMAC_Maps" || fail "$maps_zip holds no maps *.SC2Map"
echo "StarCraft II: $folder"
[ "$folder" = "$HOME/StarCraftII" ] || echo "Its runs need: export SC2PATH=$folder"
[ "$task" = sc2v2 ] || backend="env_args.backend=sc2 " # SMACv2 has no other
echo "Try: python src/main.py --config=bn_mappo --env-config=$task with ${backend-}env_args.map_name=$try"
