# Compression, by property and never by mount option: see lib/storage/subvolumes.nix.
{ lib, ... }:
{
  options.panther.storage.compression = lib.mkOption {
    type = lib.types.nullOr (
      lib.types.enum [
        "zstd"
        "lzo"
        "zlib"
      ]
    );
    default = "zstd";
    description = "Compression of each subvolume that says nothing else and is copied on write.";
  };
}
