# Calendar expressions: what they mean, how far apart they fire, what they meet.
{ panther, ... }:
let
  c = panther.calendar;
  fails = v: !(builtins.tryEval (builtins.deepSeq v v)).success;
in
{
  testHourly = {
    expr = c.maxGapMinutes "hourly";
    expected = 60;
  };
  testQuarters = {
    expr =
      c.minutesOfDay "*:0/15" == map (n: n * 15) (builtins.genList (i: i) 96)
      && c.maxGapMinutes "*:0/15" == 15;
    expected = true;
  };
  testDaily = {
    expr = map c.maxGapMinutes [
      "daily"
      "03:30"
      "*-*-* 03:30"
      "*-*-* 03:30:00"
    ];
    expected = [
      1440
      1440
      1440
      1440
    ];
  };
  testEveryOtherHour = {
    expr = map c.maxGapMinutes [
      "*-*-* 0/2:00"
      "0/4:00"
      "8..18:00"
      "06,12,18:30"
    ];
    expected = [
      120
      240
      840
      720
    ];
  };
  testWeekdays = {
    expr = map c.maxGapMinutes [
      "Sun 04:00"
      "Mon..Fri 04:00"
      "Sat,Sun 12:00"
      "weekly"
    ];
    expected = [
      10080
      4320
      8640
      10080
    ];
  };
  testMonths = {
    expr = map c.maxGapMinutes [
      "monthly"
      "*-*-1,15 05:00"
      "quarterly"
    ];
    expected = [
      44640
      24480
      133920
    ];
  };
  testWorkingHours = {
    expr =
      map
        (c.meetsWindow {
          from = "08:00";
          to = "20:00";
        })
        [
          "03:30"
          "12:00"
          "08:00"
          "20:00"
          "07:59"
          "Sat 12:00"
          "Fri 12:00"
          "hourly"
        ];
    expected = [
      false
      true
      true
      false
      false
      false
      true
      true
    ];
  };
  testDelayReachesIntoWork = {
    expr =
      map
        (
          delayMinutes:
          c.meetsWindow {
            from = "08:00";
            to = "20:00";
            inherit delayMinutes;
          } "07:30"
        )
        [
          29
          30
        ];
    expected = [
      false
      true
    ];
  };
  testDelayOverMidnight = {
    expr =
      map
        (
          at:
          c.meetsWindow {
            from = "00:30";
            to = "05:00";
            delayMinutes = 60;
          } at
        )
        [
          "23:45"
          "23:20"
          "Fri 23:45"
          "Sun 23:45"
        ];
    expected = [
      true
      false
      false
      true
    ];
  };
  testClockChange = {
    expr = map c.meetsClockChange [
      "02:30"
      "03:00"
      "01:59"
    ];
    expected = [
      true
      false
      false
    ];
  };
  testLengths = {
    expr = map c.seconds [
      "90s"
      "5min"
      "1h 30min"
      "40d"
    ];
    expected = [
      90
      300
      5400
      3456000
    ];
  };
  testRefused = {
    expr = map c.isCalendar [
      ""
      "noon"
      "25:00"
      "03:60"
      "Foo 03:00"
      "2026-*-* 03:00"
      "03:30:15"
      "*:0/0"
      "Mon Tue 03:00"
    ];
    expected = builtins.genList (_: false) 9;
  };
  testRefusedLengths = {
    expr = map (v: fails (c.seconds v)) [
      ""
      "5"
      "5 weeks"
      "-5min"
    ];
    expected = builtins.genList (_: true) 4;
  };
  testSaid = {
    expr = map c.sayMinutes [
      0
      15
      90
      1440
      1541
    ];
    expected = [
      "0 min"
      "15 min"
      "1 h 30 min"
      "1 d"
      "1 d 1 h 41 min"
    ];
  };
}
