# The stand-in's module system: imports, options, priorities, mkIf and mkMerge, and the types that are used. What it does not know it refuses.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    filter
    foldl'
    hasAttr
    head
    isAttrs
    isFunction
    length
    mapAttrs
    ;
  inherit (builtins) concatStringsSep;
  inherit (lib) genAttrs unique;

  isType = t: v: isAttrs v && (v._type or null) == t;
  mkOption = attrs: attrs // { _type = "option"; };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  defaultPriority = 100;

  # A definition of a set of options -> sets whose attributes carry the conditions.
  pushDown =
    v:
    if isType "if" v then
      map (mapAttrs (_: mkIf v.condition)) (pushDown v.content)
    else if isType "merge" v then
      concatMap pushDown v.contents
    else if isType "override" v then
      map (mapAttrs (_: mkOverride v.priority)) (pushDown v.content)
    else
      [ v ];

  # A definition of one option -> { priority, value } for each that holds.
  discharge =
    priority: v:
    if isType "if" v then
      (if v.condition then discharge priority v.content else [ ])
    else if isType "merge" v then
      concatMap (discharge priority) v.contents
    else if isType "override" v then
      discharge v.priority v.content
    else
      [
        {
          inherit priority;
          value = v;
        }
      ];

  effective =
    defs:
    let
      found = concatMap (discharge defaultPriority) defs;
      best = foldl' (p: d: if d.priority < p then d.priority else p) 100000 found;
    in
    map (d: d.value) (filter (d: d.priority == best) found);

  show = concatStringsSep ".";

  evalOption =
    loc: opt: defs:
    let
      given = effective defs;
      withDefault = if given == [ ] then (if opt ? default then [ opt.default ] else [ ]) else given;
      type = opt.type or types.unspecified;
      # A default of submodules and the like goes through the type as well.
      merged =
        if withDefault == [ ] then
          (
            if type ? emptyValue then
              type.merge loc [ ]
            else
              throw "The option `${show loc}' was accessed but has no value defined. Try setting the option."
          )
        else
          type.merge loc withDefault;
      applied = if opt ? apply then opt.apply merged else merged;
    in
    if (opt.readOnly or false) && length given > (if opt ? default then 0 else 1) then
      throw "The option `${show loc}' is read-only, but it is set multiple times."
    else
      applied;

  # Tree of options and definitions of sets -> config.
  evalTree =
    loc: tree: freeform: defs:
    let
      sets = concatMap pushDown defs;
      defsOf = n: concatMap (s: if hasAttr n s then [ s.${n} ] else [ ]) sets;
      unknown = filter (n: !(hasAttr n tree)) (unique (concatMap attrNames sets));
      known = mapAttrs (
        n: sub:
        if isType "option" sub then
          evalOption (loc ++ [ n ]) sub (defsOf n)
        else
          evalTree (loc ++ [ n ]) sub null (defsOf n)
      ) tree;
    in
    if unknown == [ ] then
      known
    else if freeform != null then
      known // filterAttrsNull (genAttrs unknown (n: freeformValue freeform (loc ++ [ n ]) (defsOf n)))
    else
      throw "The option `${show (loc ++ [ (head unknown) ])}' does not exist.";
  freeformValue =
    freeform: loc: defs:
    let
      given = effective defs;
    in
    if given == [ ] then { _absent = true; } else freeform.nestedTypes.elemType.merge loc given;
  filterAttrsNull = lib.filterAttrs (_: v: !(isAttrs v && v ? _absent));

  mergeTrees =
    x: y:
    x
    // mapAttrs (
      n: v:
      if !(hasAttr n x) then
        v
      else if isType "option" v || isType "option" x.${n} then
        throw "The option `${n}' is declared twice."
      else
        mergeTrees x.${n} v
    ) y;

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      args = specialArgs // {
        inherit config options;
        lib = specialArgs.lib or (throw "the stand-in wants lib in specialArgs");
      };
      load =
        m:
        let
          raw = if builtins.isPath m || builtins.isString m then import m else m;
          called = if isFunction raw then raw args else raw;
          structured = called ? config || called ? options || called ? imports;
          self = {
            options = called.options or { };
            config =
              if called ? config then
                called.config
              else if structured then
                removeAttrs called [
                  "imports"
                  "options"
                  "_file"
                  "key"
                  "freeformType"
                  "_module"
                ]
              else
                removeAttrs called [
                  "_file"
                  "key"
                  "_module"
                ];
            freeform = called.freeformType or null;
            key = if builtins.isPath m then toString m else null;
          };
        in
        [ self ] ++ concatMap load (called.imports or [ ]);
      removeAttrs = builtins.removeAttrs;
      # A file that is imported twice counts once.
      all = foldl' (
        acc: m: if m.key != null && builtins.any (o: o.key == m.key) acc then acc else acc ++ [ m ]
      ) [ ] (concatMap load modules);
      options = foldl' (acc: m: mergeTrees acc m.options) { } all;
      freeform = foldl' (acc: m: if m.freeform == null then acc else m.freeform) null all;
      config = evalTree prefix options freeform (map (m: m.config) all);
    in
    {
      inherit config options;
    };

  mismatch = loc: type: throw "A definition for option `${show loc}' is not of type `${type}'.";
  mergeEqual =
    loc: values:
    if builtins.all (v: v == head values) values then
      head values
    else
      throw "The option `${show loc}' has conflicting definition values.";

  plain = name: check: {
    inherit name check;
    description = name;
    merge = loc: values: if builtins.all check values then mergeEqual loc values else mismatch loc name;
  };

  types = rec {
    bool = plain "boolean" builtins.isBool // {
      name = "bool";
    };
    int = plain "signed integer" builtins.isInt // {
      name = "int";
    };
    float = plain "floating point number" builtins.isFloat;
    number = plain "signed integer or floating point number" (
      v: builtins.isInt v || builtins.isFloat v
    );
    str = plain "string" builtins.isString // {
      name = "str";
    };
    path = plain "absolute path" (
      v: builtins.isPath v || (builtins.isString v && builtins.substring 0 1 v == "/")
    );
    package = plain "package" (v: isAttrs v || builtins.isString v);
    raw = {
      name = "raw";
      description = "raw value";
      check = _: true;
      merge = _: head;
    };
    unspecified = raw // {
      name = "unspecified";
    };
    lines = plain "strings concatenated with \"\\n\"" builtins.isString // {
      merge =
        loc: values:
        if builtins.all builtins.isString values then
          concatStringsSep "\n" values
        else
          mismatch loc "lines";
    };
    ints = {
      positive = plain "positive integer, meaning >0" (v: builtins.isInt v && v > 0);
      unsigned = plain "unsigned integer, meaning >=0" (v: builtins.isInt v && v >= 0);
    };
    enum =
      values:
      plain "one of ${concatStringsSep ", " (map builtins.toJSON values)}" (v: builtins.elem v values);
    strMatching =
      pattern:
      plain "string matching the pattern ${pattern}" (
        v: builtins.isString v && builtins.match pattern v != null
      );
    attrs = plain "attribute set" isAttrs // {
      merge =
        loc: values:
        if builtins.all isAttrs values then
          foldl' (a: v: a // v) { } values
        else
          mismatch loc "attribute set";
      emptyValue = { };
    };
    nullOr = t: {
      name = "nullOr";
      description = "null or ${t.description}";
      check = v: v == null || t.check v;
      nestedTypes.elemType = t;
      merge = loc: values: if builtins.all (v: v == null) values then null else t.merge loc values;
    };
    either = x: y: {
      name = "either";
      description = "${x.description} or ${y.description}";
      check = v: x.check v || y.check v;
      merge =
        loc: values:
        if builtins.all x.check values then
          x.merge loc values
        else if builtins.all y.check values then
          y.merge loc values
        else
          mismatch loc "${x.description} or ${y.description}";
    };
    listOf = t: {
      name = "listOf";
      description = "list of ${t.description}";
      check = builtins.isList;
      emptyValue = [ ];
      nestedTypes.elemType = t;
      merge =
        loc: values:
        if builtins.all builtins.isList values then
          concatLists (map (l: concatMap (v: map (w: t.merge loc [ w ]) (effective [ v ])) l) values)
        else
          mismatch loc "list of ${t.description}";
    };
    attrsOf = t: {
      name = "attrsOf";
      description = "attribute set of ${t.description}";
      check = isAttrs;
      emptyValue = { };
      nestedTypes.elemType = t;
      merge =
        loc: values:
        let
          sets = concatMap pushDown values;
          names = unique (concatMap attrNames sets);
          defsOf = n: concatMap (s: if hasAttr n s then [ s.${n} ] else [ ]) sets;
          one =
            n:
            let
              given = effective (defsOf n);
            in
            if given == [ ] then { _absent = true; } else t.merge (loc ++ [ n ]) given;
        in
        if builtins.all isAttrs values then
          filterAttrsNull (genAttrs names one)
        else
          mismatch loc "attribute set";
    };
    lazyAttrsOf = attrsOf;
    anything = {
      name = "anything";
      description = "anything";
      check = _: true;
      merge =
        loc: values:
        if builtins.all isAttrs values then (attrsOf anything).merge loc values else mergeEqual loc values;
    };
    submodule = module: {
      name = "submodule";
      description = "submodule";
      check = v: isAttrs v || isFunction v;
      emptyValue = { };
      inherit module;
      getSubOptions =
        prefix:
        (evalModules {
          modules = [ module ];
          specialArgs = {
            name = "<name>";
            lib = self;
          };
          inherit prefix;
        }).options;
      merge =
        loc: values:
        (evalModules {
          modules = [ module ] ++ map (v: if isFunction v then v else { config = v; }) values;
          specialArgs = {
            name = if loc == [ ] then "" else builtins.elemAt loc (length loc - 1);
            lib = self;
          };
          prefix = loc;
        }).config;
    };
  };

  # What the real lib is told beside; here it is enough to have it for submodules.
  self = import ./lib.nix;
in
{
  inherit
    mkOption
    mkIf
    mkMerge
    mkOverride
    evalModules
    types
    ;
  isOption = isType "option";
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
    };
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  literalMD = text: {
    _type = "literalMD";
    inherit text;
  };
}
