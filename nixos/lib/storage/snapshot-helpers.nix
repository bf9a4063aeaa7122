# Snapshots on the machine: how often, how many, and the arguments for `panther snapshot`.
{ lib, calendar }:
let
  inherit (lib)
    attrNames
    concatMap
    concatMapStringsSep
    elem
    filter
    filterAttrs
    foldl'
    isInt
    optionals
    ;

  # The requirements' numbers by class of host: daily, weekly, monthly.
  presets = {
    laptop = {
      daily = 7;
      weekly = 4;
      monthly = 12;
    };
    server = {
      daily = 30;
      weekly = 12;
      monthly = 12;
    };
  };

  # Rules of `panther snapshot prune` in the order in which they are given; each an option of its own.
  rules = [
    "last"
    "hourly"
    "daily"
    "weekly"
    "monthly"
    "yearly"
    "within"
    "within-hourly"
    "within-daily"
    "within-weekly"
    "within-monthly"
    "within-yearly"
  ];
  present = filterAttrs (_: v: v != null);

  pruneArguments =
    retention:
    concatMap (
      rule:
      optionals ((present retention) ? ${rule}) [
        "--keep-${rule}"
        (toString retention.${rule})
      ]
    ) rules;

  # Every number is to keep something: 0 days are a mistake, not a policy.
  problems =
    what: retention:
    let
      set = present retention;
      zero = filter (n: isInt set.${n} && set.${n} < 1) (attrNames set);
      unknown = filter (n: !(elem n rules)) (attrNames set);
    in
    lib.optional (set == { })
      "${what}: no rule keeps anything, so nothing would ever be removed or everything would: set at least one of ${lib.concatStringsSep ", " rules}."
    ++ map (
      n:
      "${what}.${n} is ${toString set.${n}}: a retention of 0 keeps nothing. Leave the rule out, or set it to 1 or more."
    ) zero
    ++ map (n: "${what}.${n} is no rule; there are ${lib.concatStringsSep ", " rules}.") unknown;

  # How many snapshots of one subvolume there are once all periods are full, at the most: rules add up.
  countAtMost =
    retention:
    let
      set = present retention;
      number = n: if isInt (set.${n} or null) then set.${n} else 0;
    in
    foldl' (sum: n: sum + number n) 0 [
      "last"
      "hourly"
      "daily"
      "weekly"
      "monthly"
      "yearly"
    ];
in
{
  inherit
    presets
    rules
    pruneArguments
    problems
    countAtMost
    ;

  # The name that `panther snapshot create` gives: the time in UTC, and a label.
  isName = name: builtins.match "[0-9]{8}T[0-9]{6}Z(-[A-Za-z0-9._-]+)?(\\.[0-9]+)?" name != null;

  # How long ago the newest snapshot may be, in the worst case, right before the next one: the gap, and the delay.
  worstAgeMinutes =
    {
      onCalendar,
      delayMinutes ? 0,
    }:
    calendar.maxGapMinutes onCalendar + delayMinutes;

  describe =
    retention:
    let
      set = present retention;
    in
    concatMapStringsSep ", " (n: "${toString set.${n}} ${n}") (filter (n: set ? ${n}) rules);
}
