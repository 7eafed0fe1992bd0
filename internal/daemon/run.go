package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
)

// Run runs a proxy until a signal or a failure ends it. With Daemonize it
// returns in the process that the user started as soon as the one in the
// background serves, or with the reason why it does not. Why it does not start is in
// the log too.
//
// A program that takes over from a running one reports to that one, and is in
// the background if that one is.
func Run(o Options) error {
	var err error
	o.inherited, err = inherit()
	if p := o.inherited.from; p != nil {
		return takeOver(o, p, err)
	}
	if !o.Daemonize {
		return serve(o, func(error) {})
	}
	report, err := Daemonize()
	if err != nil {
		if _, told := errors.AsType[reportedError](err); !told {
			logOutside(o, notStarted, err)
		}
		return err
	}
	if report == nil {
		return nil
	}
	return serve(o, report)
}

// takeOver is Run in a program that takes over from p, if its sockets have come.
func takeOver(o Options, p *predecessor, err error) error {
	if err != nil {
		logOutside(o, notStarted, err)
		return err
	}
	if o.Daemonize {
		syscall.Umask(0)
	}
	p.follow(func(err error) {
		logOutside(o, notStarted, err)
		os.Exit(1)
	})
	return serve(o, func(err error) {
		if err != nil {
			p.failed(err)
		}
	})
}

// Fail is for what goes wrong before Run: why the program does not start is written
// to its log file, if it is to have one, and told to the program that hands its sockets
// over, if there is one.
func Fail(o Options, err error) {
	logOutside(o, notStarted, err)
	if p := findPredecessor(); p != nil {
		p.failed(err)
	}
}

// notStarted is what the log says of a program that does not start.
const notStarted = "not started"

// logOutside writes to the log file while no Instance has it open. Without a file it
// writes nothing: what it has to say comes on standard error too.
func logOutside(o Options, text string, err error) {
	if o.LogFile == "" {
		return
	}
	log, failed := logging.New(logOptions(o))
	if failed != nil {
		return // there is nothing to write to
	}
	logFaults(log, text, err)
	// What could not be written can be told nowhere else.
	_ = log.Close()
}

// logFaults writes a line for each line of err, whatever the log's level is.
func logFaults(log *logging.Logger, text string, err error) {
	for line := range strings.Lines(err.Error()) {
		log.Log(logging.Emerg, text, slog.String("error", strings.TrimSuffix(line, "\n")))
	}
}

// logOptions are how o wants the log.
func logOptions(o Options) logging.Options {
	return logging.Options{
		Path: o.LogFile, Level: logging.Level(o.LogLevel),
		JSON: o.Config != nil && o.Config.Process.LogFormat == config.LogJSON,
	}
}

// serve runs the proxy in this process and reports how its start went.
func serve(o Options, report func(error)) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP,
		syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGSEGV)
	defer signal.Stop(signals)
	in, err := start(o)
	report(err)
	if err != nil {
		return err
	}
	go in.obey(signals)
	go in.tend()
	err = in.Wait()
	if in.replaced.Load() {
		return err // the file is the other program's now
	}
	left := removePidFile(o.PidFile)
	if left != nil {
		logOutside(o, "ended, but left something behind", left)
	}
	return errors.Join(err, left)
}

// start writes the pid file, so that it is there when the proxy listens, and
// starts the proxy. If that fails the file is what it was: a second start that
// finds the port taken does not cost the first one its file.
func start(o Options) (*Instance, error) {
	restore, err := writePidFile(o.PidFile)
	if err != nil {
		logOutside(o, notStarted, err)
		return nil, err
	}
	in, err := Start(o)
	if err == nil {
		return in, nil
	}
	left := restore()
	if left != nil {
		logOutside(o, notStarted, left)
	}
	return nil, errors.Join(err, left)
}

// obey does what signals ask for. In nutcracker's meaning TTIN and TTOU turn the
// log up and down, HUP reopens it, and INT ends the proxy at once. TERM drains it
// first, USR1 reloads the configuration. A second INT or TERM ends what the first
// began, and a third does not wait for anything. USR2 upgrades the program. SEGV,
// sent from outside, ends it with a trace of all goroutines.
func (in *Instance) obey(signals <-chan os.Signal) {
	ends := 0
	for {
		select {
		case <-in.ended:
			return
		case s := <-signals:
			switch s {
			case syscall.SIGTTIN:
				in.logSignal(syscall.SIGTTIN, ", up logging level")
				in.log.LevelUp()
			case syscall.SIGTTOU:
				in.logSignal(syscall.SIGTTOU, ", down logging level")
				in.log.LevelDown()
			case syscall.SIGHUP:
				in.reopenLog()
			case syscall.SIGSEGV:
				in.logSignal(syscall.SIGSEGV, ", core dumping")
				in.crash()
			case syscall.SIGINT, syscall.SIGTERM:
				ends++
				in.logSignal(s.(syscall.Signal), ", exiting")
				switch {
				case ends > 2:
					os.Exit(1)
				case ends == 1 && s == syscall.SIGTERM:
					in.Drain("signal")
				default:
					go in.Stop()
				}
			case syscall.SIGUSR1:
				in.logSignal(syscall.SIGUSR1, ", reloading")
				// What went wrong is in the log.
				go func() { _, _ = in.Reload("signal") }()
			case syscall.SIGUSR2:
				in.logSignal(syscall.SIGUSR2, ", upgrading")
				go func() { _ = in.Upgrade("signal") }()
			}
		}
	}
}

// logSignal tells of a signal in nutcracker's words, and what it brings.
func (in *Instance) logSignal(s syscall.Signal, brings string) {
	name := unix.SignalName(s)
	in.log.Always(fmt.Sprintf("signal %d (%s) received%s", int(s), name, brings), slog.String("signal", name))
}

// crash ends the process as if nobody had caught the signal: somebody wants to see
// where its goroutines are.
func (in *Instance) crash() {
	// A log that cannot be written has nothing to say.
	_ = in.log.Flush()
	signal.Reset(syscall.SIGSEGV)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSEGV); err != nil {
		os.Exit(1)
	}
}

func (in *Instance) reopenLog() {
	in.logSignal(syscall.SIGHUP, ", reopening log file")
	if err := in.log.Reopen(); err != nil {
		in.log.Error("cannot reopen the log", errAttr(err))
	}
}

func errAttr(err error) slog.Attr { return slog.String("error", err.Error()) }

func pathAttr(path string) slog.Attr { return slog.String("path", path) }

// writePidFile writes the file, if there is to be one. What it returns undoes it.
func writePidFile(path string) (restore func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	before, missing := os.ReadFile(path)
	restore = func() error {
		if missing != nil {
			return removePidFile(path)
		}
		return putPidFile(path, before)
	}
	if err := putPidFile(path, strconv.AppendInt(nil, int64(os.Getpid()), 10)); err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	return restore, nil
}

// putPidFile writes the file. One that is there is replaced in one step, if the
// folder allows it, so that whoever reads it during an upgrade finds a pid.
func putPidFile(path string, text []byte) error {
	if fi, err := os.Lstat(path); err == nil && fi.Mode().IsRegular() {
		next := path + "." + strconv.Itoa(os.Getpid())
		if os.WriteFile(next, text, 0o644) == nil {
			if os.Rename(next, path) == nil {
				return nil
			}
			os.Remove(next)
		}
	}
	return os.WriteFile(path, text, 0o644)
}

func removePidFile(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("pid file: %w", err)
	}
	return nil
}
