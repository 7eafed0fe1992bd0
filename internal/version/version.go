// Package version says which program this is.
package version

import (
	"cmp"
	"runtime/debug"
)

// Version is this program's release, in the form major.minor.patch. A packager
// overrides it with -ldflags "-X nuthatch/internal/version.Version=1.2.3".
var Version = "0.1.0"

// commit is the commit that a packager built from, who sets it with
// -ldflags "-X nuthatch/internal/version.commit=1a2b3c". The linker sets only variables that
// no function initializes, so this is not Revision.
var commit string

// Revision is the commit that the program was built from, with "-dirty" behind it if files
// had been changed since. It is empty if the build does not know.
var Revision = cmp.Or(commit, builtFrom())

// builtFrom is what the Go toolchain noted of the commit.
func builtFrom() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "-dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + changed
}

// Nutcracker is the release of nutcracker whose command line, configuration and
// key placement this program keeps, and the one it names when it is called
// nutcracker.
const Nutcracker = "0.5.0"
