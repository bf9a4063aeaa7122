# A stand-in for the part of nixpkgs' lib that panther's Nix files use, so that they can be evaluated and tested where nixpkgs cannot
# be had. It is no part of the modules. Where NIXPKGS_LIB is given, every test is run with both, and the results must be equal.
let
  b = builtins;
  inherit (b)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    hasAttr
    head
    isAttrs
    isFunction
    isList
    isString
    length
    listToAttrs
    mapAttrs
    match
    removeAttrs
    replaceStrings
    stringLength
    substring
    ;

  strings = rec {
    optionalString = c: s: if c then s else "";
    hasPrefix = p: s: substring 0 (stringLength p) s == p;
    hasSuffix =
      p: s:
      let
        n = stringLength s;
        m = stringLength p;
      in
      n >= m && substring (n - m) m s == p;
    hasInfix = i: s: length (b.split (escapeRegex i) s) > 1;
    escapeRegex = s: replaceStrings (map (c: c) regexCharacters) (map (c: "\\${c}") regexCharacters) s;
    regexCharacters = [
      "\\"
      "["
      "]"
      "{"
      "}"
      "("
      ")"
      "^"
      "$"
      "?"
      "*"
      "+"
      "|"
      "."
    ];
    removePrefix = p: s: if hasPrefix p s then substring (stringLength p) (-1) s else s;
    removeSuffix = p: s: if hasSuffix p s then substring 0 (stringLength s - stringLength p) s else s;
    splitString = sep: s: filter isString (b.split (escapeRegex sep) s);
    concatMapStringsSep =
      sep: f: l:
      concatStringsSep sep (map f l);
    concatMapStrings = concatMapStringsSep "";
    concatStrings = concatStringsSep "";
    upper = characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    lower = characters "abcdefghijklmnopqrstuvwxyz";
    characters = s: genList (i: substring i 1 s) (stringLength s);
    toLower = replaceStrings upper lower;
    toUpper = replaceStrings lower upper;
    toInt = s: b.fromJSON s;
    escapeShellArg =
      arg:
      let
        s = toString arg;
      in
      if match "[[:alnum:],._+:@%/-]+" s == null then "'${replaceStrings [ "'" ] [ "'\\''" ] s}'" else s;
    escapeShellArgs = concatMapStringsSep " " escapeShellArg;
    boolToString = v: if v then "true" else "false";
  };

  lists = rec {
    optional = c: v: if c then [ v ] else [ ];
    optionals = c: l: if c then l else [ ];
    last = l: elemAt l (length l - 1);
    range = a: z: if a > z then [ ] else genList (i: a + i) (z - a + 1);
    drop = n: l: genList (i: elemAt l (i + n)) (if length l > n then length l - n else 0);
    imap0 = f: l: genList (i: f i (elemAt l i)) (length l);
    zipListsWith =
      f: x: y:
      genList (i: f (elemAt x i) (elemAt y i)) (min (length x) (length y));
    unique = foldl' (acc: v: if elem v acc then acc else acc ++ [ v ]) [ ];
    sort = b.sort;
    flatten = v: if isList v then concatMap flatten v else [ v ];
    toList = v: if isList v then v else [ v ];
    min = x: y: if x < y then x else y;
    max = x: y: if x > y then x else y;
    mod = base: n: base - n * (base / n);
  };

  sets = rec {
    nameValuePair = name: value: { inherit name value; };
    filterAttrs = f: s: removeAttrs s (filter (n: !(f n s.${n})) (attrNames s));
    mapAttrs' = f: s: listToAttrs (map (n: f n s.${n}) (attrNames s));
    mapAttrsToList = f: s: map (n: f n s.${n}) (attrNames s);
    concatMapAttrs = f: s: foldl' (acc: n: acc // f n s.${n}) { } (attrNames s);
    optionalAttrs = c: s: if c then s else { };
    genAttrs = names: f: listToAttrs (map (n: nameValuePair n (f n)) names);
    recursiveUpdate =
      x: y:
      x
      // mapAttrs (
        n: v: if hasAttr n x && isAttrs x.${n} && isAttrs v then recursiveUpdate x.${n} v else v
      ) y;
    attrByPath =
      path: default: s:
      if path == [ ] then
        s
      else if isAttrs s && hasAttr (head path) s then
        attrByPath (b.tail path) default s.${head path}
      else
        default;
    setAttrByPath =
      path: v: if path == [ ] then v else { ${head path} = setAttrByPath (b.tail path) v; };
  };

  modules = import ./modules.nix { lib = strings // lists // sets; };
in
strings
// lists
// sets
// modules
// {
  inherit
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    head
    isAttrs
    isFunction
    isList
    isString
    length
    listToAttrs
    mapAttrs
    replaceStrings
    stringLength
    ;
  inherit (b) isBool isFloat isInt;
}
