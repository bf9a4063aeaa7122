# A host's file systems at /mnt as Disko's script made them, with as much of an operating system as systemd needs: this machine's /usr and a copy
# of its /etc. Sourced after kit.sh, shims.sh and world.sh, in a mount namespace of its own.
# shellcheck shell=bash

# made HOST: disks by the scripts, mounted at /mnt
made() {
    local part
    prepared=$(json "let c = h.hostWith \"$1\" [ $overrides ]; s = h.scripts c; in { inherit (s) create mount; }")
    for part in create mount; do
        printf '%s' "$prepared" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' $part >"$work/$part.sh"
        if ! DISKO_SKIP_SWAP=1 IN_DISKO_TEST=1 PATH="$work/bin:$PATH" bash -e "$work/$part.sh" >"$work/$part.log" 2>&1; then
            fail "$1: $part" "$(tail -n 25 "$work/$part.log")"
            return 1
        fi
    done
}

# furnish HOST MODULE: units, configuration, secrets, program
furnish() {
    local root=/mnt rendered
    mkdir -p $root/{usr,etc,proc,sys,dev,run,tmp,root,var/lib/opnix,opt/panther/bin,etc/panther}
    local link
    for link in bin sbin lib lib64; do [ ! -L /$link ] || ln -sfn "$(readlink /$link)" $root/$link; done
    cp -a /etc/. $root/etc/
    # nspawn looks for it before it mounts /usr.
    rm -f $root/etc/os-release
    cp -L /etc/os-release $root/etc/os-release
    rm -rf $root/etc/{machine-id,fstab,hostname,resolv.conf,systemd/system,systemd/network,cron*,rc*.d,init.d}
    mkdir -p $root/etc/systemd/system
    : >$root/etc/machine-id
    echo "$1" >$root/etc/hostname
    cp "$programs/panther" $root/opt/panther/bin/panther
    cp -a "$world/secrets" $root/var/lib/opnix/secrets
    rm -f $root/var/lib/opnix/secrets/admin*
    chown -R root:root $root/var/lib/opnix

    json "let c = h.hostWith \"$1\" [ $overrides $2 ]; in { failures = h.failures c; units = import $tests/render.nix { inherit lib; } c; config = c.services.panther.configText; tmpfiles = c.systemd.tmpfiles.rules; }" >"$work/rendered.json"
    python3 - "$work/rendered.json" $root "$tests/../scripts" <<'PY'
import json, pathlib, re, shutil, sys
rendered = json.load(open(sys.argv[1]))
root = pathlib.Path(sys.argv[2])
assert not rendered["failures"], rendered["failures"]
units = root / "etc/systemd/system"
for name, text in rendered["units"].items():
    (units / name).parent.mkdir(exist_ok=True)
    (units / name).write_text(text)
    for line in re.findall(r"^WantedBy=(.*)$", text, re.M):
        for target in line.split():
            wants = units / (target + ".wants")
            wants.mkdir(exist_ok=True)
            (wants / name).symlink_to("../" + name)
    # Scripts are in the store, as on NixOS; an evaluation names the place without filling it.
    for path in set(re.findall(r"/[^ ]*/store/[^/ ]+-scripts", text)):
        if not (root / path[1:]).exists():
            shutil.copytree(sys.argv[3], root / path[1:])
(root / "etc/panther/config.toml").write_text(rendered["config"])
# Lines for users that this machine does not have are left out: postgres, redis.
known = {line.split(":")[0] for line in open("/etc/passwd")}
rules = [r for r in rendered["tmpfiles"] if len(r.split()) < 5 or r.split()[3] in known | {"-"}]
(root / "etc/tmpfiles.d").mkdir(exist_ok=True)
(root / "etc/tmpfiles.d/panther.conf").write_text("\n".join(rules) + "\n")
# What a network would do; there is none to wait for.
(units / "network-online.target").write_text("[Unit]\nDescription=Network\n")
(units / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
for name in ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "man-db.timer",
             "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service", "getty.target", "console-getty.service"):
    (units / name).symlink_to("/dev/null")
PY
}

# boot [FOLDER]: systemd in a container on FOLDER, or on /mnt with this machine's /usr; sets $leader
boot() {
    local root=(--directory=/mnt --bind-ro=/usr)
    [ $# = 0 ] || root=("--directory=$1")
    umount -R /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 none /sys/fs/cgroup
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --boot "${root[@]}" --register=no --keep-unit --machine=panther-test \
        --link-journal=no --console=pipe --resolv-conf=off --timezone=off --notify-ready=no >"$work/console" 2>&1 </dev/null &
    nspawn=$!
    local _
    for _ in $(seq 150); do
        leader=$(pgrep -P "$nspawn" | head -n 1 || true)
        if [ -n "$leader" ] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then return 0; fi
        kill -0 "$nspawn" 2>/dev/null || break
        sleep 0.2
    done
    fail "systemd boots" "$(tail -n 20 "$work/console")"
    return 1
}
# inside COMMAND…
inside() { nsenter -t "$leader" -m -u -i -p -C -- "$@"; }
# wait_for SECONDS COMMAND…
wait_for() {
    local left=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.2
    done
}
halt_machine() {
    [ -n "${nspawn:-}" ] || return 0
    kill -s RTMIN+4 "$leader" 2>/dev/null || true
    local _
    for _ in $(seq 50); do kill -0 "$nspawn" 2>/dev/null || break; sleep 0.2; done
    kill -9 "$nspawn" 2>/dev/null || true
    wait "$nspawn" 2>/dev/null || true
    nspawn=
}
