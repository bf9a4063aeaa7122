# The part of systemd's calendar expressions that panther reads itself (docs/retention.md, "Calendars"):
# hourly, daily, …, or [WEEKDAYS] [*-*-DAY] HOUR:MINUTE. Seconds are left out or 00.
{ lib }:
let
  inherit (lib)
    all
    any
    concatMap
    elemAt
    filter
    foldl'
    head
    last
    length
    mod
    optionalString
    range
    sort
    splitString
    toInt
    unique
    ;

  words = {
    hourly = "*-*-* *:00";
    daily = "*-*-* 00:00";
    weekly = "Mon *-*-* 00:00";
    monthly = "*-*-1 00:00";
    quarterly = "*-1,4,7,10-1 00:00";
    semiannually = "*-1,7-1 00:00";
    yearly = "*-1-1 00:00";
    annually = "*-1-1 00:00";
  };
  dayNames = [
    "mon"
    "tue"
    "wed"
    "thu"
    "fri"
    "sat"
    "sun"
  ];

  refuse = text: why: throw "the calendar expression “${text}” ${why}";
  sorted = sort (a: b: a < b);

  # Leading zeros: "08" is 8.
  number =
    text: s:
    if builtins.match "[0-9]+" s == null then
      refuse text "has “${s}” where a number belongs"
    else
      let
        stripped = head (builtins.match "0*([0-9]+)" s);
      in
      toInt stripped;

  # "*", "5", "1,3", "8..18", "0/15": the numbers from `low` to `high` that are meant.
  field =
    text: low: high: s:
    let
      within =
        n:
        if n < low || n > high then
          refuse text "has ${toString n}, which is not from ${toString low} to ${toString high}"
        else
          n;
      part =
        p:
        let
          step = splitString "/" p;
          ends = builtins.match "([0-9]+)\\.\\.([0-9]+)" p;
        in
        if p == "*" then
          range low high
        else if length step == 2 then
          let
            every = number text (elemAt step 1);
            first = if head step == "*" then low else within (number text (head step));
          in
          if every < 1 then
            refuse text "has a step of 0"
          else
            filter (n: mod (n - first) every == 0) (range first high)
        else if ends != null then
          range (within (number text (head ends))) (within (number text (last ends)))
        else
          [ (within (number text p)) ];
    in
    sorted (unique (concatMap part (splitString "," s)));

  dayIndex =
    text: s:
    let
      short = lib.toLower (builtins.substring 0 3 s);
      found = filter (i: elemAt dayNames i == short) (range 0 6);
    in
    if found == [ ] then refuse text "has “${s}” where a weekday belongs" else head found;

  weekdays =
    text: s:
    sorted (
      unique (
        concatMap (
          p:
          let
            ends = builtins.match "([A-Za-z]+)\\.\\.([A-Za-z]+)" p;
          in
          if ends == null then
            [ (dayIndex text p) ]
          else
            range (dayIndex text (head ends)) (dayIndex text (last ends))
        ) (splitString "," s)
      )
    );

  # { weekdays, months, days, hours, minutes }: lists of numbers; weekdays from 0, Monday. Throws what is wrong otherwise.
  parse =
    text:
    let
      full = words.${lib.toLower text} or text;
      parts = filter (p: p != "") (splitString " " full);
      isTime = p: lib.hasInfix ":" p;
      isDate = p: lib.hasInfix "-" p && !(isTime p);
      isDays = p: !(isTime p) && !(isDate p);
      one =
        what: default: found:
        if found == [ ] then
          default
        else if length found == 1 then
          head found
        else
          refuse text "has more than one ${what}";
      date = splitString "-" (one "date" "*-*-*" (filter isDate parts));
      time = splitString ":" (one "time" "00:00" (filter isTime parts));
      days = one "list of weekdays" "" (filter isDays parts);
    in
    if parts == [ ] then
      refuse text "is empty"
    else if length date != 3 || head date != "*" then
      refuse text "has a date that is not *-MONTH-DAY"
    else if !(length time == 2 || (length time == 3 && last time == "00")) then
      refuse text "has a time that is not HOUR:MINUTE"
    else
      {
        weekdays = if days == "" then range 0 6 else weekdays text days;
        months = field text 1 12 (elemAt date 1);
        days = field text 1 31 (elemAt date 2);
        hours = field text 0 23 (head time);
        minutes = field text 0 59 (elemAt time 1);
      };

  # The minutes of a day at which it fires, ascending.
  minutesOfDay = c: concatMap (h: map (m: h * 60 + m) c.minutes) c.hours;

  # The longest way round from one of the numbers to the next, on a circle of `size`.
  widest =
    size: numbers:
    let
      shifted = lib.drop 1 numbers ++ [ (head numbers + size) ];
      gaps = lib.zipListsWith (a: b: b - a) numbers shifted;
    in
    foldl' lib.max 0 gaps;

  # How many days may lie from one day on which it fires to the next; months count as 31 days.
  widestDays =
    c:
    let
      byMonth = widest 12 c.months;
      byDay = widest 31 c.days;
      byWeekday = widest 7 c.weekdays;
    in
    if byMonth > 1 then
      byMonth * 31
    else if byDay > 1 then
      (if byWeekday > 1 then byDay * 7 else byDay)
    else
      byWeekday;

  # Minutes from one firing to the next, at the longest.
  maxGapMinutes =
    text:
    let
      c = parse text;
      minutes = minutesOfDay c;
      overnight = (widestDays c - 1) * 1440 + (1440 - last minutes) + head minutes;
    in
    lib.max overnight (if length minutes > 1 then widestInDay minutes else 0);
  widestInDay =
    minutes: foldl' lib.max 0 (lib.zipListsWith (a: b: b - a) minutes (lib.drop 1 minutes));

  # "08:30" -> 510
  clock =
    text:
    let
      c = parse text;
    in
    if length c.hours == 1 && length c.minutes == 1 then
      head c.hours * 60 + head c.minutes
    else
      refuse text "is not one time of day";

  # Whether it can run between `from` and `to` (clock times) on one of `weekdays`, starting up to `delayMinutes` late.
  meetsWindow =
    {
      from,
      to,
      weekdays ? [
        0
        1
        2
        3
        4
      ],
      delayMinutes ? 0,
    }:
    text:
    let
      c = parse text;
      start = clock from;
      end = clock to;
      onDay = offset: any (d: lib.elem (mod (d + offset) 7) weekdays) c.weekdays;
      # [t, t + delay] against [start, end) of the same day, and of the next when the delay goes past midnight.
      hits =
        t:
        (onDay 0 && t < end && t + delayMinutes >= start) || (onDay 1 && t + delayMinutes >= start + 1440);
    in
    any hits (minutesOfDay c);

  # Whether it can begin between 02:00 and 03:00, the hour that a change of the clocks leaves out or repeats.
  meetsClockChange = text: any (t: t >= 120 && t < 180) (minutesOfDay (parse text));

  # "90s", "5min", "1h 30min", "40d" -> seconds. systemd and panther both read this form.
  seconds =
    text:
    let
      units = {
        s = 1;
        sec = 1;
        m = 60;
        min = 60;
        h = 3600;
        d = 86400;
      };
      parts = filter (p: p != "") (splitString " " text);
      one =
        p:
        let
          m = builtins.match "([0-9]+)(s|sec|m|min|h|d)" p;
        in
        if m == null then
          throw "“${text}” is no length of time: write 90s, 5min, 1h 30min or 40d"
        else
          toInt (head m) * units.${last m};
    in
    if parts == [ ] then throw "a length of time is empty" else foldl' (sum: p: sum + one p) 0 parts;
  minutes = text: (seconds text + 59) / 60;

  # For messages: 90 -> "1 h 30 min".
  sayMinutes =
    n:
    let
      d = n / 1440;
      h = mod n 1440 / 60;
      m = mod n 60;
      parts = filter (p: p != "") [
        (optionalString (d > 0) "${toString d} d")
        (optionalString (h > 0) "${toString h} h")
        (optionalString (m > 0) "${toString m} min")
      ];
    in
    if parts == [ ] then "0 min" else lib.concatStringsSep " " parts;
in
{
  inherit
    parse
    maxGapMinutes
    meetsWindow
    meetsClockChange
    clock
    seconds
    minutes
    sayMinutes
    ;
  # Whether `text` can be read at all; never throws.
  isCalendar = text: (builtins.tryEval (builtins.deepSeq (parse text) true)).success;
  # For tests and for calendars that name several moments.
  minutesOfDay = text: minutesOfDay (parse text);
  firesDaily =
    text: all (d: lib.elem d (parse text).weekdays) (range 0 6) && widestDays (parse text) == 1;
}
