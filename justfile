# The daily commands. `just` lists them.

default:
    @just --list

# What CI runs.
ci:
    bash .ci/run

# Formatting, lints and tests.
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo test --locked

# Make the format's vectors anew; --check compares them with what is on disk.
vectors *args:
    cargo run --locked --example vectors -- {{args}}

# Micro-benchmarks.
bench:
    cargo bench --locked

# The decoders under LLVM's fuzzer.
fuzz *args:
    fuzz/run {{args}}

# panther beside its peers.
compare *args:
    benches/compare {{args}}

# A whole round on a folder: back up, again, restore, compare.
try path:
    cargo run --release --locked -- try {{path}}

# Licences, advisories, sources.
deny:
    cargo deny check

# The NixOS modules: functions, hosts, layouts on loop devices, units in a container, the disaster drill.
nix *args:
    nixos/tests/run {{args}}
