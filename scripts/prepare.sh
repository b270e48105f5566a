# Sourced by demo, test and .ci/run: makes sure that what they need is there. Nothing is run here.
#
# Debian packages are asked for by what they provide (a library, a command), so that a box which
# has them from elsewhere is left alone. Only root installs; anybody else is told the command.

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Prints the first Python >= 3.11 that can make a virtual environment; fails where there is none.
find_python() {
    local python
    for python in python3 python3.13 python3.12 python3.11; do
        if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    return 1
}

# The Debian packages of the libraries that opencv-python's wheel expects and this system lacks.
packages_of_missing_libraries() {
    local present library package
    # ldconfig lives in /sbin, which is not in everybody's PATH.
    present=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p)
    while read -r library package; do
        case $library in '' | '#'*) continue ;; esac
        grep -qF "$library " <<<"$present" || printf '%s\n' "$package"
    done <daemon/stillsift/system_libraries.txt
}

# The Debian packages that only the tests need: the RTSP server that plays the camera, ffmpeg to
# compare decoded pictures with, systemd-analyze, faketime to set the clock of a process, strace to
# see sockets and files, openssl to make certificates, xvfb and xdotool as a desktop with somebody at
# its keys.
packages_of_missing_test_parts() {
    if ! /usr/bin/python3 -c 'import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
parts = "appsrc", "h264parse", "rtph264pay", "rtpbin", "udpsink"
raise SystemExit(not all(map(Gst.ElementFactory.find, parts)))' >/dev/null 2>&1; then
        printf '%s\n' python3-gi gir1.2-gst-rtsp-server-1.0 \
            gstreamer1.0-plugins-{base,good,bad}
    fi
    command -v ffmpeg >/dev/null || echo ffmpeg
    command -v systemd-analyze >/dev/null || echo systemd
    compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || echo faketime
    command -v strace >/dev/null || echo strace
    command -v openssl >/dev/null || echo openssl
    command -v Xvfb >/dev/null || echo xvfb
    command -v xdotool >/dev/null || echo xdotool
}

# install_packages PACKAGE...: as root installs them, otherwise says how and ends.
install_packages() {
    [ $# -gt 0 ] || return 0
    local command="apt-get install -y --no-install-recommends $*"
    if ! command -v apt-get >/dev/null; then
        fail "this system lacks what these Debian packages contain; install its own: $*"
    elif [ "$(id -u)" -ne 0 ]; then
        fail "some system packages are missing. Install them, then run this again: sudo $command"
    fi
    say "installing $# Debian packages: $*"
    # Lists that are missing or too old name versions that the mirror no longer has.
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $command -qq >/dev/null
}

# prepare_system [test]: what comes from the system.
prepare_system() {
    local packages
    packages=$({
        find_python >/dev/null || printf '%s\n' python3 python3-venv
        packages_of_missing_libraries
        if [ "${1:-}" = test ]; then packages_of_missing_test_parts; fi
    } | sort -u)
    # One word per line, none with a blank in it.
    # shellcheck disable=SC2086
    install_packages $packages
    find_python >/dev/null || fail "no Python >= 3.11 with venv here, and this system's is older"
}

# prepare_venv [EXTRA]: .venv with the project in it, editable; at once when nothing has changed.
prepare_venv() {
    local extra=${1:-} state stamp
    stamp=.venv/installed${extra:+-$extra}
    state=$(sha256sum <pyproject.toml)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ] && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    [ -w . ] || fail "$PWD cannot be written to by $(id -un), and .venv has to be made there"
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        say "making a virtual environment in .venv with $(find_python)"
        "$(find_python)" -m venv --clear .venv
    fi
    say "installing stillsift${extra:+ and what its tests need} into .venv" \
        "(the first time some 400 MB are fetched: onnxruntime-gpu and OpenCV are large)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
        --editable ".${extra:+[$extra]}"
    # What the tests need includes what the demo needs.
    printf '%s\n' "$state" | tee "$stamp" >.venv/installed
}

# prepare_prometheus: prometheus and promtool in .cache/bin, which the tests of the metrics, the alerts and
# the dashboard ask.
prepare_prometheus() {
    local name missing=()
    for name in prometheus promtool; do
        command -v "$name" >/dev/null || [ -x ".cache/bin/$name" ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || { say "no Prometheus here: the tests that ask it are skipped"; return; }
    say "unpacking Debian's package prometheus into .cache/bin"
    # Unpacked, not installed: installing it would start a Prometheus server on this machine.
    mkdir -p .cache/bin
    (
        cd .cache
        [ "$(id -u)" -ne 0 ] || apt-get update -qq
        apt-get download -qq -o APT::Sandbox::User=root prometheus
        for name in "${missing[@]}"; do
            dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO "./usr/bin/$name" >"bin/$name.part"
            chmod +x "bin/$name.part"
            mv "bin/$name.part" "bin/$name"
        done
        rm prometheus_*.deb
    )
}
