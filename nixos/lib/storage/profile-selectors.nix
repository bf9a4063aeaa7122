# Which profile a machine gets, from the facts of its facter.json.
{ lib, hardware }:
let
  profiles = {
    dev-laptop = "laptop";
    light-laptop = "laptop";
    production-vps = "server";
    staging-vps = "server";
    utility-vps = "server";
  };

  # { profile; } or { error; }. A report cannot tell production from staging: of servers it gives the most careful of
  # those that are safe to assume, unless the host says which it is.
  choose =
    {
      report,
      serverProfile ? null,
    }:
    let
      facts = hardware.facts report;
      seen = hardware.describe facts;
    in
    if report == { } then
      {
        error = "there is no facter.json to select a storage profile from: set panther.storage.profile, or facter.reportPath";
      }
    else if facts.virtual then
      if serverProfile != null then
        { profile = serverProfile; }
      else
        {
          error = "this is a virtual server, and nothing in its facter.json tells production from staging: set panther.storage.profile to production-vps, staging-vps or utility-vps (seen: ${seen})";
        }
    else if facts.portable && facts.nvmeCount >= 2 then
      { profile = "dev-laptop"; }
    else if facts.portable && facts.nvmeCount == 1 then
      { profile = "light-laptop"; }
    else
      { error = "no storage profile fits this machine: set panther.storage.profile (seen: ${seen})"; };
in
{
  inherit profiles choose;
  names = lib.attrNames profiles;
  classOf =
    profile:
    profiles.${profile}
      or (throw "“${profile}” is no storage profile; there are ${lib.concatStringsSep ", " (lib.attrNames profiles)}");

  # The profile's name, or an error that says what was seen.
  select =
    args:
    let
      result = choose args;
    in
    result.profile or (throw result.error);
}
