package daemon

import (
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
)

// Options is what the command line, or a program that embeds the proxy, decides
// before the proxy starts. The zero value of a field means what its comment
// says; Config is the only field that must be set.
type Options struct {
	// Program is the name the program was called by, "nuthatch" or "nutcracker".
	// It stands in the log's first line.
	Program string

	// Version is the program's own release, for the log and the statistics.
	Version string

	// Config is the validated configuration. It is not changed.
	Config *config.Config

	// ConfigFile is where Config was read from, as the user wrote it; empty if
	// it was not read from a file.
	ConfigFile string

	// LogLevel is nutcracker's, 0 (emergency) to 11 (most verbose); values above
	// 11 mean 11.
	LogLevel int

	// LogFile is appended to, and reopened on SIGHUP; empty means standard error.
	LogFile string

	// StatsAddr is the address that the statistics port listens on.
	StatsAddr string

	// StatsPort is the statistics port, 1 to 65535. 0 turns the port off, which
	// only an embedding program can ask for.
	StatsPort int

	// StatsInterval is how old a statistics document may be.
	StatsInterval time.Duration

	// PidFile is written at the start and removed at the end; empty means none.
	PidFile string

	// inherited are the listening sockets that the process was started with; nil
	// if there are none.
	inherited *inherited

	// lookup resolves the names of servers; nil: as the system does.
	lookup lookup

	// failing is for tests: it is called after each prepared step of a reload, and
	// its error fails the reload.
	failing func(step string) error

	// probe finds out about io_uring for so many loops; nil: by asking the kernel.
	probe func(loops int) *eventloop.Finding

	// Daemonize makes Run continue in the background.
	Daemonize bool
}
