# The units and timers of a configuration as systemd's files, as NixOS writes them.
{ lib }:
let
  inherit (lib)
    concatMap
    concatStrings
    isBool
    isList
    mapAttrsToList
    optional
    ;
  value = v: if isBool v then (if v then "true" else "false") else toString v;
  # An empty list says nothing, as in NixOS.
  lines =
    attrs:
    concatStrings (
      concatMap (l: l) (
        mapAttrsToList (
          k: v:
          if isList v then
            (if v == [ ] then [ ] else map (w: "${k}=${value w}\n") v)
          else
            [ "${k}=${value v}\n" ]
        ) attrs
      )
    );
  words = k: l: concatStrings (optional (l != [ ]) "${k}=${lib.concatStringsSep " " l}\n");
  head =
    u:
    "[Unit]\n"
    + concatStrings (optional (u.description != "") "Description=${u.description}\n")
    + words "After" u.after
    + words "Wants" u.wants
    + words "Requires" u.requires
    + words "OnFailure" u.onFailure
    + lines u.unitConfig;
  install =
    u: concatStrings (optional (u.wantedBy != [ ]) "\n[Install]\n${words "WantedBy" u.wantedBy}");
  # systemd unquotes: a line feed is \n, a quote \", a per cent sign twice.
  quote = builtins.replaceStrings [ "\\" "\"" "\n" "%" ] [ "\\\\" "\\\"" "\\n" "%%" ];
  environment =
    u: concatStrings (mapAttrsToList (k: v: "Environment=\"${k}=${quote v}\"\n") u.environment);
  path =
    u:
    let
      folders = lib.unique (
        concatMap (p: [
          "${p}/bin"
          "${p}/sbin"
        ]) u.path
      );
    in
    concatStrings (
      optional (folders != [ ]) "Environment=\"PATH=${lib.concatStringsSep ":" folders}\"\n"
    );
in
config:
lib.mapAttrs' (
  name: u:
  lib.nameValuePair "${name}.service" (
    head u + "\n[Service]\n" + path u + environment u + lines u.serviceConfig + install u
  )
) (lib.filterAttrs (n: _: lib.hasPrefix "panther-" n) config.systemd.services)
# What is added to systemd's own units.
// lib.mapAttrs' (
  name: u: lib.nameValuePair "${name}.service.d/panther.conf" ("[Service]\n" + environment u)
) (lib.filterAttrs (n: _: lib.hasPrefix "systemd-" n) config.systemd.services)
// lib.mapAttrs' (
  name: u:
  lib.nameValuePair "${name}.timer" (head u + "\n[Timer]\n" + lines u.timerConfig + install u)
) config.systemd.timers
