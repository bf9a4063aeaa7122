# Attribute sets -> TOML 1.0. nixpkgs does this in a derivation; as a function it can be looked at during evaluation.
{ lib }:
let
  inherit (lib)
    attrNames
    concatMapStringsSep
    concatStrings
    filterAttrs
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isString
    ;
  present = filterAttrs (_: v: v != null);

  # JSON's strings are TOML's basic strings, but for DEL, which no option of ours can hold.
  string = s: builtins.toJSON s;
  key = k: if builtins.match "[A-Za-z0-9_-]+" k != null then k else string k;

  # A float always with its point; builtins.toJSON drops trailing zeros: 4.0 -> 4.0, 6.5 -> 6.5.
  float =
    f:
    let
      s = builtins.toJSON f;
    in
    if builtins.match "-?[0-9]+" s != null then "${s}.0" else s;

  value =
    v:
    if isString v then
      string v
    else if isBool v then
      (if v then "true" else "false")
    else if isInt v then
      toString v
    else if isFloat v then
      float v
    else if isList v then
      "[${concatMapStringsSep ", " value v}]"
    else if isAttrs v then
      "{ ${concatMapStringsSep ", " (k: "${key k} = ${value v.${k}}") (attrNames (present v))} }"
    else
      throw "a value of type ${builtins.typeOf v} has no form in TOML";

  # Tables below `path`; what is empty is left out, for an empty table would say something that nobody said.
  table =
    path: attrs:
    let
      set = present attrs;
      isTable = v: isAttrs v;
      plain = filterAttrs (_: v: !(isTable v)) set;
      tables = filterAttrs (_: isTable) set;
      header = "[${concatMapStringsSep "." key path}]\n";
      lines = concatStrings (map (k: "${key k} = ${value plain.${k}}\n") (attrNames plain));
      body = concatStrings (map (k: table (path ++ [ k ]) tables.${k}) (attrNames tables));
    in
    (if path != [ ] && plain != { } then "\n${header}" else "") + lines + body;
in
{
  toTOML = table [ ];
}
