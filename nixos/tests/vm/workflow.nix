# Snapshot, backup into a folder, a failure and its alert, by the units.
# Not run where this was written (no nixpkgs, no KVM): nixos/tests/booted does it in a container, with a fake B2.
_: {
  name = "panther-workflow";
  nodes.machine = {
    networking.hostName = "machine";
    services.panther = {
      enable = true;
      backups.nightly = {
        repository = "/var/backup";
        sources = [ "/etc" ];
        snapshot = "never";
        passwordFile = "/run/password";
        objectiveMinutes = null;
      };
    };
  };
  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.succeed("printf secret > /run/password && mkdir -p /var/backup")
    machine.succeed("panther -r /var/backup --password-file /run/password init")
    machine.succeed("systemctl start panther-backup-nightly.service")
    assert "nightly" in machine.succeed("panther -r /var/backup --password-file /run/password snapshots")
    machine.succeed("rm /run/password")
    machine.fail("systemctl start panther-backup-nightly.service")
    assert "243" in machine.succeed("systemctl show -p ExecMainStatus panther-backup-nightly.service")
    machine.wait_until_succeeds("journalctl -u 'panther-alert@*' | grep -q 'panther-backup-nightly.service failed on machine'")
  '';
}
