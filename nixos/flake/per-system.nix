# Packages, checks, programs and the shell, for each system.
{ inputs, lib, ... }:
{
  perSystem =
    {
      pkgs,
      system,
      self',
      ...
    }:
    let
      source = lib.fileset.toSource {
        root = ../..;
        fileset = lib.fileset.unions [
          ../../Cargo.toml
          ../../Cargo.lock
          ../../src
          ../../examples
          ../../benches
          ../../tests
          ../../docs
          ../../format-spec
        ];
      };
      panther = pkgs.rustPlatform.buildRustPackage {
        pname = "panther";
        version = (builtins.fromTOML (builtins.readFile ../../Cargo.toml)).package.version;
        src = source;
        cargoLock.lockFile = ../../Cargo.lock;
        # The suite wants root, loop devices and other programs: .ci/run runs it.
        doCheck = false;
        meta = {
          description = "Content-addressed, deduplicating, encrypted backup";
          mainProgram = "panther";
          license = with lib.licenses; [
            mit
            asl20
          ];
          platforms = lib.platforms.linux;
        };
      };
      program = name: inputs': text: {
        type = "app";
        program = "${
          pkgs.writeShellApplication {
            inherit name text;
            runtimeInputs = inputs';
          }
        }/bin/${name}";
      };
      # The same for all hosts: thresholds are by class, and what is a host's own is in its configuration.
      monitorArguments = lib.head (
        lib.unique (
          map (h: h.config.panther.monitoring.monitorArguments) (
            lib.attrValues inputs.self.nixosConfigurations
          )
        )
      );
      vm =
        file:
        pkgs.testers.runNixOSTest {
          imports = [ file ];
          defaults.imports = [ inputs.self.nixosModules.storage ];
        };
      results = (import ../tests { libPath = "${inputs.nixpkgs}"; }).results;
      bad = lib.concatLists (
        lib.mapAttrsToList (
          file: tests: map (t: "${file}.${t}") (lib.attrNames (lib.filterAttrs (_: t: !t.ok) tests))
        ) results
      );
    in
    {
      packages = {
        inherit panther;
        default = panther;
      };

      checks = {
        inherit panther;
        unit =
          if bad == [ ] then
            pkgs.runCommand "panther-unit-tests" { } "touch $out"
          else
            throw "unit tests of nixos/ fail: ${lib.concatStringsSep ", " bad}";
      }
      // lib.optionalAttrs (system == "x86_64-linux") {
        vm-laptop = vm ../tests/vm/laptop.nix;
        vm-server = vm ../tests/vm/server.nix;
        vm-workflow = vm ../tests/vm/workflow.nix;
      };

      apps = {
        # The monitors as JSON, or into Datadog with DD_API_KEY and DD_APP_KEY in the environment.
        datadog-monitors = program "datadog-monitors" [ self'.packages.panther pkgs.jq pkgs.curl ] ''
          all=$(panther ${lib.escapeShellArgs monitorArguments})
          if [ "''${1:-}" != --push ]; then
            printf '%s\n' "$all"
            exit
          fi
          bash ${../scripts}/datadog-monitors.sh <<<"$all"
        '';
        restore-system = program "restore-system" [
          self'.packages.panther
          pkgs.python3
          pkgs.util-linux
          pkgs.btrfs-progs
          pkgs.e2fsprogs
        ] ''bash ${../scripts}/restore-system.sh "$@"'';
      };

      devShells.default = pkgs.mkShell {
        packages = [
          pkgs.cargo
          pkgs.rustc
          pkgs.clippy
          pkgs.rustfmt
          pkgs.just
          pkgs.btrfs-progs
          pkgs.nix-unit
          pkgs.nixfmt
          pkgs.deadnix
          pkgs.shellcheck
          pkgs.actionlint
        ];
      };

      formatter = pkgs.nixfmt;
    };
}
