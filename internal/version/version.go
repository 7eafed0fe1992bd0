// Package version says which program this is.
package version

// Version is this program's release, in the form major.minor.patch. A packager
// overrides it with -ldflags "-X nuthatch/internal/version.Version=1.2.3".
var Version = "0.1.0"

// Nutcracker is the release of nutcracker whose command line, configuration and
// key placement this program keeps, and the one it names when it is called
// nutcracker.
const Nutcracker = "0.5.0"
