package daemon

import (
	"fmt"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
)

// A chosenEngine is what the event loops run on, and why.
type chosenEngine struct {
	eventloop.Engine
	why string
}

// chooseEngine follows the key engine. An error means that a proxy cannot start so.
func chooseEngine(want config.Engine, loops int, probe func(loops int) *eventloop.Finding) (chosenEngine, error) {
	if want == config.EngineEpoll {
		return chosenEngine{eventloop.Epoll, "the configuration asks for it"}, nil
	}
	if probe == nil {
		probe = eventloop.Probe
	}
	found := probe(loops)
	switch {
	case found.Usable() && want == config.EngineIOUring:
		return chosenEngine{eventloop.IOUring, "the configuration asks for it"}, nil
	case found.Usable():
		// What it saves is little, and it has run for less long.
		return chosenEngine{eventloop.Epoll, "io_uring can be used here, and is taken only if the configuration asks for it"}, nil
	case want == config.EngineIOUring:
		return chosenEngine{}, refused(found.Why)
	}
	return chosenEngine{eventloop.Epoll, "io_uring cannot be used: " + found.Why.Error()}, nil
}

// refused is why a proxy does not start, of why io_uring cannot be used.
func refused(why error) error {
	return fmt.Errorf("nuthatch.engine: io_uring cannot be used: %w; with 'auto' the proxy would run on epoll", why)
}

// checkEngine finds out whether the engine can be used here. The proxy may start elsewhere,
// with other rights.
func checkEngine(o checkedStart) []Finding {
	p := &o.Config.Process
	chosen, err := chooseEngine(p.Engine, p.Threads, o.probe)
	if err != nil {
		return []Finding{{Err: err, Doubt: true, NotNow: true}}
	}
	if err := manyRings(chosen.Engine, p.Threads, maxMemory(p)); err != nil {
		return []Finding{{Err: err, Doubt: true}}
	}
	return nil
}

// loopMaker makes the event loop id, of so many.
func (e chosenEngine) loopMaker(id, loops int) func(time.Time, eventloop.Hook) (*eventloop.Loop, error) {
	return func(epoch time.Time, hook eventloop.Hook) (*eventloop.Loop, error) {
		l, err := eventloop.NewOn(e.Engine, epoch, hook)
		if err != nil && e.Engine == eventloop.IOUring {
			return nil, refused(eventloop.WhyNoRing(err, id, loops))
		}
		return l, err
	}
}
