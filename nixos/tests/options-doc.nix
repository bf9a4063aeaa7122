# docs/nixos/options.md, from the declarations of the modules. Internal options are left out.
{ lib, options }:
let
  inherit (lib) concatMap concatStrings mapAttrsToList;
  isOption = o: (o._type or null) == "option";
  text = v: if builtins.isAttrs v then v.text else v;
  # As a reader would write it in Nix.
  nix =
    v:
    if v == null then
      "null"
    else if builtins.isBool v then
      (if v then "true" else "false")
    else if builtins.isList v then
      (if v == [ ] then "[ ]" else "[ ${lib.concatMapStringsSep " " nix v} ]")
    else if builtins.isAttrs v then
      (if v == { } then "{ }" else "{ ${concatStrings (mapAttrsToList (k: w: "${k} = ${nix w}; ") v)}}")
    else
      builtins.toJSON v;
  value =
    v:
    if builtins.isAttrs v && v ? _type then
      (if v._type == "literalMD" then v.text else "`${v.text}`")
    else
      "`${nix v}`";
  # Where the default is an expression, its text stands for it; evaluating it would need a host.
  defaultOf =
    o:
    if o ? defaultText then
      value o.defaultText
    else if o ? default then
      value o.default
    else
      "none: it must be set";

  # The options of a submodule, whatever is around it, under `<name>`.
  inner =
    type:
    if type.name == "submodule" then
      type.getSubOptions [ ]
    else if (type.nestedTypes or { }) ? elemType then
      inner type.nestedTypes.elemType
    else
      { };

  walk =
    path: tree:
    concatMap (
      name:
      let
        o = tree.${name};
        here = path ++ [ name ];
      in
      if lib.hasPrefix "_" name then
        [ ]
      else if isOption o then
        (if o.internal or false then [ ] else [ (entry here o) ] ++ below here o)
      else
        walk here o
    ) (lib.attrNames tree);
  below =
    here: o:
    let
      sub = if o ? type then inner o.type else { };
    in
    if sub == { } then [ ] else walk (here ++ [ "<name>" ]) sub;
  entry =
    path: o:
    "### `${lib.concatStringsSep "." path}`\n\n"
    + "${text (o.description or "")}\n\n"
    + "Type: ${kind o.type}. Default: ${defaultOf o}.${
      if o ? example && !(builtins.isBool o.example) then " Example: ${value o.example}." else ""
    }\n\n";
  # Names of types that are the same with every lib.
  kind =
    type:
    if type.name == "nullOr" then
      "null or ${kind type.nestedTypes.elemType}"
    else if type.name == "listOf" then
      "list of ${kind type.nestedTypes.elemType}"
    else if type.name == "attrsOf" then
      "set of ${kind type.nestedTypes.elemType}"
    else if type.name == "submodule" then
      "the options below"
    else
      {
        str = "text";
        string = "text";
        bool = "true or false";
        boolean = "true or false";
        int = "whole number";
        "signed integer" = "whole number";
      }
      .${type.name} or type.description;
  only = {
    panther = options.panther;
    services.panther = options.services.panther;
  };
in
"# Options\n\nMade from the modules by `nixos/tests/run --write`; the tests compare it with them.\n\n"
+ lib.removeSuffix "\n" (concatStrings (walk [ ] only))
