# Names of the packages that the modules take from nixpkgs; where there is none, something stands for each.
[
  "bash"
  "btrfs-progs"
  "coreutils"
  "curl"
  "diffutils"
  "e2fsprogs"
  "findutils"
  "gawk"
  "gnugrep"
  "gnused"
  "postgresql_16"
  "systemd"
  "util-linux"
]
