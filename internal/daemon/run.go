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

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
)

// Run runs a proxy until a signal or a failure ends it. With Daemonize it
// returns in the process that the user started as soon as the one in the
// background serves, or with the reason why it does not. Why it does not start is in
// the log too.
//
// A program that takes over reports to the old one, and runs in the background
// if the old one does.
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

// takeOver is Run in a program that takes over from p, once it has p's sockets.
func takeOver(o Options, p *predecessor, err error) error {
	if err != nil {
		logOutside(o, notStarted, err)
		return err
	}
	if o.Daemonize {
		syscall.Umask(0)
	}
	p.watchEnd(func(err error) {
		logOutside(o, notStarted, err)
		os.Exit(1)
	})
	return serve(o, func(err error) {
		if err != nil {
			p.failed(err)
		}
	})
}

// Fail is for faults before Run. The log file, if there is one, and the program that
// hands its sockets over, if there is one, get the reason.
func Fail(o Options, err error) {
	logOutside(o, notStarted, err)
	if p := findPredecessor(); p != nil {
		p.failed(err)
	}
}

// notStarted is what the log says of a program that does not start.
const notStarted = "not started"

// logOutside writes to the log file while no Instance has it open. Without a file it
// writes nothing: the text is on standard error anyway.
func logOutside(o Options, text string, err error) {
	if o.LogFile == "" {
		return
	}
	log, failed := logging.New(logOptions(o))
	if failed != nil {
		return // there is nothing to write to
	}
	logFaults(log, text, err)
	// There is nowhere else to report a failure to write.
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
	if in.life.replaced.Load() {
		return err // the file is the other program's now
	}
	left := removePidFile(o.PidFile)
	if left != nil {
		logOutside(o, "ended, but the pid file is still there", left)
	}
	return errors.Join(err, left)
}

// start writes the pid file, so that it is there when the proxy listens, and
// starts the proxy. If that fails the old pid file is put back: a second start
// that finds the port taken must not remove the file of the first.
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

// putPidFile writes the file. An old file is replaced in one step, if the
// directory allows it, so that a reader always finds a pid.
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
