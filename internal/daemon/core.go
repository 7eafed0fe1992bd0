package daemon

import (
	"path/filepath"
	"sync/atomic"
	"time"

	"nuthatch/internal/logging"
	"nuthatch/internal/proxy"
)

// A core is what the parts of an Instance share: the options of the start, the loops,
// and the generation in force. Its methods may be called from any goroutine.
type core struct {
	// static after the start
	opts     Options
	log      *logging.Logger
	journal  journal
	epoch    time.Time
	identity *proxy.Identity
	// configFile is the absolute path of the configuration file; empty if there is none.
	configFile string
	engine     chosenEngine

	life  lifetime
	loops loops
	// current is the generation in force.
	current atomic.Pointer[generation]
}

func newCore(o Options) (*core, error) {
	log, err := logging.New(logOptions(o))
	if err != nil {
		return nil, err
	}
	c := &core{opts: o, log: log, epoch: time.Now(), identity: new(proxy.Identity)}
	c.journal = journal{log: log, events: c.identity.Events()}
	if o.ConfigFile != "" {
		if c.configFile, err = filepath.Abs(o.ConfigFile); err != nil {
			c.configFile = o.ConfigFile // the working directory is gone
		}
	}
	c.life.begin()
	return c, nil
}

// Now implements admin.Instance: it is the loops' time.
func (c *core) Now() int64 { return int64(time.Since(c.epoch)) }

// Wall implements admin.Instance.
func (c *core) Wall(at int64) time.Time { return c.epoch.Add(time.Duration(at)) }

// leaveBy is the latest end, in the loops' time, of clients and connections
// that are to end.
func (c *core) leaveBy(g *generation) int64 {
	return c.Now() + int64(g.conf.Process.DrainTimeout)
}

// name is the program and its release, and what it was called if that differs.
func (c *core) name() string {
	name := "nuthatch-" + c.opts.Version
	if c.opts.Program != "nuthatch" {
		name += " (called " + c.opts.Program + ")"
	}
	return name
}

// leavesPaths: the paths of unix sockets belong to another program: the one
// that takes over or, while this one starts to take over, the old one.
func (c *core) leavesPaths() bool {
	return c.life.replaced.Load() || c.opts.inherited.handedOver() && !c.life.serving.Load()
}
