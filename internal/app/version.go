package app

import "runtime/debug"

// version is the version of the module that the toolchain recorded, "dev" where
// it recorded none, as when there was no repository beside the sources.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
