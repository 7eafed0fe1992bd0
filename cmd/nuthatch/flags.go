package main

import (
	"errors"
	"fmt"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/daemon"
	"nuthatch/internal/version"
)

// The defaults of the flags: nutcracker's values. The three paths are variables
// because packages of nutcracker set their own, and a package that replaces one
// can do the same with -ldflags "-X
// main.defaultConfFile=/etc/nutcracker/nutcracker.yml".
var (
	defaultConfFile = "conf/nutcracker.yml"
	defaultLogFile  = "" // standard error
	defaultPidFile  = "" // none
)

const (
	defaultLogLevel      = 5
	maxLogLevel          = 11
	defaultStatsAddr     = "0.0.0.0"
	defaultStatsPort     = 22222
	maxPort              = 65535
	defaultStatsInterval = 30000 // milliseconds
	defaultMbufSize      = 16384 // bytes
	minMbufSize          = 512
	maxMbufSize          = 16777216
)

// flags is the command line as nutcracker defines it.
type flags struct {
	help, version, testConf, daemonize, describeStats bool

	logLevel      int // 0 or more; above 11 means 11
	logFile       string
	confFile      string
	statsPort     int // 1 to 65535
	statsAddr     string
	statsGiven    bool // either of the two was
	statsInterval int  // milliseconds
	pidFile       string
	against       string // what to compare with; only under our own name
	mbufSize      int    // bytes; checked and otherwise ignored: buffers grow in chunks of their own
}

// parseFlags reads the command line. nutcracker ignores operands, so they are
// ignored under its name; under our own they are refused, because the likeliest
// one is a file that was meant for -c.
func parseFlags(program string, args []string) (*flags, error) {
	f := &flags{
		logLevel:      defaultLogLevel,
		logFile:       defaultLogFile,
		confFile:      defaultConfFile,
		statsPort:     defaultStatsPort,
		statsAddr:     defaultStatsAddr,
		statsInterval: defaultStatsInterval,
		pidFile:       defaultPidFile,
		mbufSize:      defaultMbufSize,
	}
	operands, err := getopt(f.table(program), args)
	if err != nil {
		return nil, err
	}
	if f.against != "" && !f.testConf {
		return nil, errors.New("option --against goes with -t")
	}
	if program == nuthatch && len(operands) > 0 {
		return nil, fmt.Errorf("unexpected argument %q (a configuration file is given with -c)", operands[0])
	}
	return f, nil
}

// table is the only place that knows the options: parsing and the usage text
// both come from it. Those that nutcracker does not have are only there under our
// own name.
func (f *flags) table(program string) []option {
	options := f.nutcrackerTable()
	if program == nuthatch {
		options = append(options, option{
			0, "against", fileName, "with -t: show what changes compared with that file, and which keys move; " +
				"instead of a file: 'running' (the running proxy) or the URL of an admin listener",
			setText(&f.against),
		})
	}
	return options
}

func (f *flags) nutcrackerTable() []option {
	byDefault := func(help string, value any) string {
		return fmt.Sprintf("%s (default: %v)", help, value)
	}
	return []option{
		{'h', "help", noArgument, "this help", set(&f.help)},
		{'V', "version", noArgument, "show the version and exit", set(&f.version)},
		{'t', "test-conf", noArgument, "check the configuration file and exit", set(&f.testConf)},
		{'d', "daemonize", noArgument, "run in the background", set(&f.daemonize)},
		{'D', "describe-stats", noArgument, "describe the statistics and exit", set(&f.describeStats)},
		{'v', "verbose", number, fmt.Sprintf("log level (default: %d, min: 0, max: %d)",
			defaultLogLevel, maxLogLevel), natural(&f.logLevel)},
		{'o', "output", fileName, byDefault("log file", orElse(defaultLogFile, "stderr")), setText(&f.logFile)},
		{'c', "conf-file", fileName, byDefault("configuration file", defaultConfFile), setText(&f.confFile)},
		{'s', "stats-port", number, byDefault("statistics port", defaultStatsPort), f.setStatsPort},
		{'a', "stats-addr", text, byDefault("statistics address", defaultStatsAddr), f.setStatsAddr},
		{'i', "stats-interval", number, byDefault("milliseconds between statistics",
			defaultStatsInterval), natural(&f.statsInterval)},
		{'p', "pid-file", fileName, byDefault("pid file", orElse(defaultPidFile, "off")), setText(&f.pidFile)},
		{'m', "mbuf-size", number, fmt.Sprintf("buffer size in bytes, accepted and not needed (default: %d)",
			defaultMbufSize), f.setMbufSize},
	}
}

// options are the proxy's options for these flags.
func (f *flags) options(program string, cfg *config.Config) daemon.Options {
	return daemon.Options{
		Program:       program,
		Version:       version.Version,
		Config:        cfg,
		ConfigFile:    f.confFile,
		LogLevel:      min(f.logLevel, maxLogLevel),
		LogFile:       f.logFile,
		StatsAddr:     f.statsAddr,
		StatsPort:     f.statsPort,
		StatsInterval: time.Duration(f.statsInterval) * time.Millisecond,
		PidFile:       f.pidFile,
		Daemonize:     f.daemonize,
	}
}
