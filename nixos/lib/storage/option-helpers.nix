# Shapes of options that the modules have many of.
{ lib }:
let
  inherit (lib) mkOption types;
in
rec {
  # option TYPE DEFAULT DESCRIPTION, and the common types by name.
  option =
    type: default: description:
    mkOption { inherit type default description; };
  flag = option types.bool;
  text = option types.str;
  maybeText = option (types.nullOr types.str);
  texts = option (types.listOf types.str);
  # Arguments of several runs of a program, each a list.
  runs = option (types.listOf (types.listOf types.str));
  oneOf = names: option (types.enum names);
  # Such an option without a default: it must be set.
  wanted = type: description: mkOption { inherit type description; };
  # A value that the modules make for one another.
  made =
    type: description:
    mkOption {
      inherit type description;
      internal = true;
      readOnly = true;
    };

  # withExample EXAMPLE OPTION; saying TEXT OPTION: what stands in the documentation in the place of the default.
  withExample = example: option: option // { inherit example; };
  saying = text: option: option // { defaultText = lib.literalMD text; };

  # When something is done; null is never.
  schedule = default: what: maybeText default "When ${what}; `null`: never.";

  # The form of what NixOS refuses to build with.
  refuse = message: {
    assertion = false;
    inherit message;
  };
}
