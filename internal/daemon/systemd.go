package daemon

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"nuthatch/internal/logging"
)

// notify tells the service manager, if there is one, the state of the process.
func notify(log *logging.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("cannot notify the service manager", errAttr(err))
	}
}

// tend keeps the service manager informed: that the proxy is ready, and from then
// on, if it has a watchdog, that every event loop turns.
func (in *Instance) tend() {
	notify(in.log, daemon.SdNotifyReady)
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		in.log.Warn("cannot read the settings of the service manager's watchdog", errAttr(err))
	}
	if every == 0 {
		return
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-in.life.ended:
			return
		}
		// While a loop hangs the watchdog is not fed.
		if in.loops.turn() == nil {
			notify(in.log, daemon.SdNotifyWatchdog)
		}
	}
}
