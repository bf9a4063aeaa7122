# Mount options, attributes, what is above what.
{ panther, lib, ... }:
let
  s = panther.subvolumes;
  subvolume =
    mountpoint: more:
    {
      inherit mountpoint;
      subvolume = "@x";
      pool = "main";
      nodatacow = false;
      compression = "zstd";
      mountOptions = [ ];
      mode = null;
      snapshots = false;
      backup = null;
    }
    // more;
  table = {
    root = subvolume "/" {
      subvolume = "@root";
      backup = true;
    };
    home = subvolume "/home" {
      subvolume = "@home";
      backup = true;
      snapshots = true;
    };
    dev = subvolume "/home/dev" { subvolume = "@dev"; };
    postgresql = subvolume "/var/lib/postgresql" {
      subvolume = "@postgresql";
      nodatacow = true;
      compression = null;
      mode = "755";
      backup = false;
    };
    data = subvolume "/data" {
      pool = "data";
      backup = false;
    };
  };
in
{
  testMountOptions = {
    expr = map s.mountOptions [
      { }
      { discard = false; }
      { extra = [ "nosuid" ]; }
    ];
    expected = [
      [
        "noatime"
        "space_cache=v2"
        "discard=async"
      ]
      [
        "noatime"
        "space_cache=v2"
      ]
      [
        "noatime"
        "space_cache=v2"
        "discard=async"
        "nosuid"
      ]
    ];
  };
  # No mount says what would hold for its neighbours, whatever the subvolume wants.
  testNothingForAll = {
    expr = lib.any (o: lib.elem o s.wholeFileSystemOptions) (s.mountOptions { });
    expected = false;
  };
  testAttributesBeforeFiles = {
    expr =
      let
        hook = s.attributesHook [
          table.postgresql
          table.home
        ];
      in
      map (t: lib.hasInfix t hook) [
        "chattr +C \"$attributes_root\"/@postgresql\n"
        "btrfs property set \"$attributes_root\"/@home compression zstd\n"
        "chmod 755 \"$attributes_root\"/@postgresql\n"
        "compression zstd\nbtrfs property set \"$attributes_root\"/@postgresql"
        "chattr +C \"$attributes_root\"/@home"
      ];
    expected = [
      true
      true
      true
      false
      false
    ];
  };
  testSecondNet = {
    expr = s.tmpfilesRules table;
    expected = [ "h /var/lib/postgresql - - - - +C" ];
  };
  testAttributeTable = {
    expr = s.attributeTable { inherit (table) home postgresql; };
    expected = "/home - zstd\n/var/lib/postgresql C -\n";
  };
  testHolding = {
    expr = map (p: (s.holding table p).mountpoint) [
      "/etc"
      "/home"
      "/home/dev/x"
      "/home/developer"
      "/var/lib/postgresql/16"
    ];
    expected = [
      "/"
      "/home"
      "/home/dev"
      "/home"
      "/var/lib/postgresql"
    ];
  };
  testPools = {
    expr = map (p: map (x: x.mountpoint) (s.onPool p table)) [
      "main"
      "data"
    ];
    expected = [
      [
        "/"
        "/home"
        "/home/dev"
        "/var/lib/postgresql"
      ]
      [ "/data" ]
    ];
  };
  # Only of /home/dev nobody has said anything, and /home is backed up.
  testLeftOut = {
    expr = map (x: x.mountpoint) (
      s.leftOut table [
        "/"
        "/home"
      ]
    );
    expected = [ "/home/dev" ];
  };
  testNamedIsNotLeftOut = {
    expr = s.leftOut table [
      "/home"
      "/home/dev"
    ];
    expected = [ ];
  };
  testBackedUp = {
    expr = s.backedUp table;
    expected = [
      "/"
      "/home"
    ];
  };
  testProblems = {
    expr = map (t: builtins.length (s.problems t)) [
      table
      { a = subvolume "/a" { nodatacow = true; }; }
      { a = subvolume "/a" { mountOptions = [ "compress=zstd:1" ]; }; }
      {
        a = subvolume "/a" {
          mountOptions = [
            "nodatacow"
            "nosuid"
          ];
        };
      }
    ];
    expected = [
      0
      1
      1
      1
    ];
  };
  testDotPanther = {
    expr = map (f: s.inFolder f ".panther") [
      "/"
      "/home"
    ];
    expected = [
      "/.panther"
      "/home/.panther"
    ];
  };
  testUnwanted = {
    expr = [
      (s.unwanted table [
        "/"
        "/home"
      ])
      (s.unwanted table [ "/home" ])
      (s.unwanted table [
        "/"
        "/data/keep"
        "/home/dev"
        "/var/lib/postgresql"
      ])
    ];
    expected =
      let
        system = [
          "/.swap"
          "/boot"
          "/dev"
          "/media"
          "/mnt"
          "/proc"
          "/run"
          "/sys"
          "/tmp"
        ];
      in
      [
        (
          [
            "/data"
            "/home/dev"
            "/var/lib/postgresql"
          ]
          ++ system
        )
        [ "/home/dev" ]
        system
      ];
  };
}
