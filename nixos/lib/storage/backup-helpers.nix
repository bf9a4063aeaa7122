# Backups: schedules against objectives, arguments, money.
{ lib, calendar }:
let
  inherit (lib)
    attrNames
    attrValues
    concatStringsSep
    filter
    foldl'
    optional
    unique
    ;

  # A B2 repository's parts: "b2://BUCKET/PREFIX" -> { bucket, prefix }; null for a folder.
  parseRepository =
    repository:
    let
      m = builtins.match "b2://([a-zA-Z0-9-]+)(/(.*))?" repository;
    in
    if m == null then
      null
    else
      {
        bucket = lib.head m;
        prefix = if lib.elemAt m 2 == null then "" else lib.elemAt m 2;
      };

  storeDirs = unique [
    builtins.storeDir
    "/nix/store"
  ];
in
{
  inherit parseRepository;

  # A secret that the evaluation can see is in the store, and the store is readable by everybody.
  isInStore = path: path != null && lib.any (d: lib.hasPrefix "${d}/" (toString path)) storeDirs;

  # Messages about a backup inside the hours in which somebody works.
  workingHoursProblems =
    {
      name,
      onCalendar,
      delayMinutes,
      workingHours,
    }:
    optional (calendar.meetsWindow (workingHours // { inherit delayMinutes; }) onCalendar)
      "services.panther.backups.${name}: “${onCalendar}”, up to ${calendar.sayMinutes delayMinutes} later, can begin between ${workingHours.from} and ${workingHours.to} on a working day. Choose a time outside, or set offPeak = false for this job.";

  clockChangeProblems =
    { name, onCalendar }:
    optional
      (builtins.length (calendar.minutesOfDay onCalendar) == 1 && calendar.meetsClockChange onCalendar)
      "services.panther.backups.${name}: “${onCalendar}” lies between 02:00 and 03:00, which does not exist or comes twice on the night when the clocks change. Choose another time.";

  # Messages where what is lost in the worst case is more than the objective allows.
  objectiveProblems =
    {
      what,
      onCalendar,
      delayMinutes ? 0,
      objectiveMinutes,
      option,
    }:
    let
      worst = calendar.maxGapMinutes onCalendar + delayMinutes;
    in
    optional (worst > objectiveMinutes)
      "${what}: “${onCalendar}”, up to ${calendar.sayMinutes delayMinutes} later, can lose ${calendar.sayMinutes worst} of work; the objective (${option}) is ${calendar.sayMinutes objectiveMinutes}. Make it more frequent, or allow more.";

  # Messages about a fleet: { host = { writer, budgetDollars, role }; }.
  fleetProblems =
    { hosts, limitDollars }:
    let
      names = attrNames hosts;
      writers = map (h: hosts.${h}.writer) names;
      sharing = w: filter (h: hosts.${h}.writer == w) names;
      doubled = filter (w: builtins.length (sharing w) > 1) (unique writers);
      total = foldl' (sum: h: sum + h.budgetDollars) 0 (attrValues hosts);
      admins = filter (h: hosts.${h}.role == "admin") names;
    in
    map (
      w:
      "panther.fleet: ${concatStringsSep " and " (sharing w)} share the writer name “${w}”. Each machine writes below its own name, and its key reaches no other: give each its own."
    ) doubled
    ++
      optional (total > limitDollars)
        "panther.fleet: the budgets of all hosts come to ${builtins.toJSON total} dollars a month, over the limit of ${builtins.toJSON limitDollars} (panther.budget.limitDollars)."
    ++
      optional (builtins.length admins > 1)
        "panther.fleet: ${concatStringsSep " and " admins} are both admin. One machine prunes and checks; the others are writers.";

  # Arguments of `panther backup` beyond the profile: paths come from there.
  backupArguments =
    {
      snapshot,
      extra ? [ ],
    }:
    [
      "backup"
      "--snapshot"
      snapshot
    ]
    ++ extra;
}
