package daemon

import (
	"os"
	"os/signal"
	"syscall"

	"nuthatch/internal/logging"
)

// obey does what signals ask for. In nutcracker's meaning TTIN and TTOU turn the
// log up and down, HUP reopens it, and INT ends the proxy at once. TERM drains it
// first, USR1 reloads the configuration. A second INT or TERM ends what the first
// began, and a third does not wait for anything. USR2 upgrades the program. SEGV,
// sent from outside, ends it with a trace of all goroutines.
func (in *Instance) obey(signals <-chan os.Signal) {
	ends := 0
	for {
		select {
		case <-in.life.ended:
			return
		case s := <-signals:
			switch s {
			case syscall.SIGTTIN:
				in.journal.signal(syscall.SIGTTIN, ", up logging level")
				in.log.LevelUp()
			case syscall.SIGTTOU:
				in.journal.signal(syscall.SIGTTOU, ", down logging level")
				in.log.LevelDown()
			case syscall.SIGHUP:
				in.journal.reopen()
			case syscall.SIGSEGV:
				in.journal.signal(syscall.SIGSEGV, ", core dumping")
				crash(in.log)
			case syscall.SIGINT, syscall.SIGTERM:
				ends++
				in.journal.signal(s.(syscall.Signal), ", exiting")
				switch {
				case ends > 2:
					os.Exit(1)
				case ends == 1 && s == syscall.SIGTERM:
					in.Drain("signal")
				default:
					go in.Stop()
				}
			case syscall.SIGUSR1:
				in.journal.signal(syscall.SIGUSR1, ", reloading")
				// What went wrong is in the log.
				go func() { _, _ = in.Reload("signal") }()
			case syscall.SIGUSR2:
				in.journal.signal(syscall.SIGUSR2, ", upgrading")
				go func() { _ = in.Upgrade("signal") }()
			}
		}
	}
}

// crash ends the process as if the signal had not been caught, with a trace of all
// goroutines.
func crash(log *logging.Logger) {
	// A log that cannot be written has nowhere to report.
	_ = log.Flush()
	signal.Reset(syscall.SIGSEGV)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSEGV); err != nil {
		os.Exit(1)
	}
}
