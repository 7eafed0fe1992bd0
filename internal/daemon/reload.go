package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/preview"
	"nuthatch/internal/proxy"
)

// Reload reads the configuration file again and makes it the one in force. It
// is applied as a whole or not at all; the error tells every reason why not.
//
//	read, check ─► listeners ─► names ─► every loop, between two ─► what is no longer
//	               opened       looked   of its events, adopts      wanted finishes
//	    any fault: all as it was up      it
//
// Clients of pools that stay notice nothing. by says who asked for it.
func (in *Instance) Reload(by string) (*preview.Change, error) {
	in.changing.Lock()
	defer in.changing.Unlock()
	change, err := in.reload()
	if err != nil {
		in.log.Error("configuration not reloaded, all stays as it was", slog.String("by", by), errAttr(err))
		return nil, err
	}
	in.logChange(change, by)
	return change, nil
}

func (in *Instance) reload() (*preview.Change, error) {
	if in.draining.Load() {
		return nil, admin.ErrEnding
	}
	conf, err := in.loadConfig()
	if err != nil {
		return nil, err
	}
	old := in.current.Load()
	change := &preview.Change{Report: preview.Compare(old.conf, conf)}
	conf, change.NotApplied = keepStatic(old.conf, conf)
	change.Drop()
	g := newGeneration(conf)
	if g.tokens, err = readTokens(&conf.Process); err != nil {
		return nil, err
	}
	h, moved, err := in.changeAdmin(&old.conf.Process, &conf.Process)
	if err := errors.Join(err, in.openListeners(g, old)); err != nil {
		closeAdmin(h)
		return nil, err
	}
	g.follow(old, in.Now())
	g.resolver = newResolver(g.conf, g.topo, in.log, in.opts.lookup)
	g.resolver.start()
	if err := in.adopt(g); err != nil {
		g.resolver.stop()
		closeAdmin(h)
		return nil, err
	}
	old.resolver.stop()
	old.checks.Stop()
	in.current.Store(g)
	in.shareDescriptors(g)
	in.limitMemory(g)
	if moved {
		in.serveAdmin(h)
	}
	for _, t := range g.topo {
		t.Refresh(in.Now())
	}
	in.startChecks(g)
	in.closeListeners(slices.DeleteFunc(slices.Clone(old.listeners), func(l *listener) bool {
		return slices.Contains(g.listeners, l)
	}))
	in.tuneListeners(old, g)
	in.watch(conf.Process.Watch)
	return change, nil
}

// Preview is what it would change to run with conf, or, if that is nil, with what
// is in the file now, as far as that can be known without doing it.
func (in *Instance) Preview(conf *config.Config) (*preview.Change, error) {
	if conf == nil {
		var err error
		if conf, err = in.loadConfig(); err != nil {
			return nil, err
		}
	}
	old := in.current.Load()
	change := &preview.Change{Report: preview.Compare(old.conf, conf)}
	_, change.NotApplied = keepStatic(old.conf, conf)
	change.Drop()
	return change, nil
}

func (in *Instance) loadConfig() (*config.Config, error) {
	if in.opts.ConfigFile == "" {
		return nil, admin.ErrNoFile
	}
	return config.Load(in.opts.ConfigFile)
}

// adopt has every loop use g. The accepting loop comes last, and begins to deal
// clients to the new pools when all others know them.
func (in *Instance) adopt(g *generation) error {
	by := in.leaveBy(g)
	options := make(map[*proxy.Context][]proxy.PoolOptions, len(in.contexts))
	for _, ctx := range in.contexts {
		options[ctx] = in.poolOptions(g)
	}
	measures := in.measures(g)
	return in.onLoops(func(ctx *proxy.Context) {
		ctx.Adopt(g.layout, options[ctx], by)
		ctx.SetMeasures(measures)
		if ctx != in.contexts[0] {
			return
		}
		for i, l := range g.listeners {
			l.accept.Serve(g.topo[i])
		}
	})
}

// live are the settings of the process that a reload applies: all but a few.
func live(p *config.Process, from *config.Process) {
	old := *p
	*p = *from
	p.Threads, p.LogFormat = old.Threads, old.LogFormat
}

// keepStatic returns the configuration with those settings that a running proxy
// cannot change as they were in old, and tells which of them the file has
// otherwise.
func keepStatic(old, conf *config.Config) (*config.Config, []preview.NotApplied) {
	kept := *conf
	kept.Process = old.Process
	live(&kept.Process, &conf.Process)
	var not []preview.NotApplied
	for _, c := range config.ProcessChanges(&kept.Process, &conf.Process) {
		not = append(not, preview.NotApplied{Change: c, Why: "it is set when the program starts; restart or upgrade it"})
	}
	kept.Pools = slices.Clone(conf.Pools)
	for i := range kept.Pools {
		p := &kept.Pools[i]
		for j := range old.Pools {
			was := &old.Pools[j]
			if was.Listen.String() != p.Listen.String() || was.ReusePort == p.ReusePort {
				continue
			}
			not = append(not, preview.NotApplied{
				Pool:   p.Name,
				Change: config.Change{Key: "reuseport", Old: fmt.Sprint(was.ReusePort), New: fmt.Sprint(p.ReusePort)},
				Why:    "it is set when a socket begins to listen, and this one goes on listening",
			})
			p.ReusePort = was.ReusePort
			break
		}
	}
	return &kept, not
}

// tuneListeners applies what can be changed of listeners that stay.
func (in *Instance) tuneListeners(old, g *generation) {
	for i, l := range g.listeners {
		j := slices.Index(old.listeners, l)
		if j < 0 {
			continue
		}
		was, p := &old.conf.Pools[j], &g.conf.Pools[i]
		if was.Backlog != p.Backlog {
			if err := unix.Listen(l.fd, p.Backlog); err != nil {
				in.log.Warn("cannot change the backlog", slog.String("pool", p.Name), errAttr(err))
			}
		}
		if mode := p.Listen.Mode; mode != was.Listen.Mode && mode != 0 {
			if err := os.Chmod(p.Listen.Path, mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
				in.log.Warn("cannot change the listening socket's mode", pathAttr(p.Listen.Path), errAttr(err))
			}
		}
	}
}

// logChange tells what a reload did, in one line for each thing.
func (in *Instance) logChange(c *preview.Change, by string) {
	in.log.Always("configuration reloaded", slog.String("by", by), slog.String("file", in.opts.ConfigFile))
	if c.Empty() {
		in.log.Notice("reload: nothing changed")
	}
	for _, s := range c.Process {
		in.log.Notice("reload: setting changed", changeAttrs("", s)...)
	}
	for _, name := range c.Added {
		in.log.Notice("reload: pool added", slog.String("pool", name))
	}
	for _, name := range c.Removed {
		in.log.Notice("reload: pool removed", slog.String("pool", name))
	}
	for i := range c.Pools {
		in.logPool(&c.Pools[i])
	}
	for _, n := range c.NotApplied {
		in.log.Warn("reload: setting not applied", append(changeAttrs(n.Pool, n.Change), slog.String("why", n.Why))...)
	}
}

func (in *Instance) logPool(p *preview.Pool) {
	pool := slog.String("pool", p.Name)
	for _, s := range p.Settings {
		in.log.Notice("reload: setting changed", changeAttrs(p.Name, s)...)
	}
	for _, s := range p.Servers {
		in.log.Notice("reload: server changed", pool, slog.String("server", s.Name),
			slog.String("old", s.Old), slog.String("new", s.New))
	}
	for _, k := range p.Keys {
		in.log.Notice("reload: keys moved", pool, slog.String("which", k.Which), slog.String("share", preview.Percent(k.Moved)))
	}
	for _, w := range p.Warnings {
		in.log.Warn("reload: keys moved that need not have", pool, slog.String("what", w.What), slog.String("instead", w.Instead))
	}
}

func changeAttrs(pool string, c config.Change) []slog.Attr {
	attrs := []slog.Attr{slog.String("key", c.Key), slog.String("old", c.Old), slog.String("new", c.New)}
	if pool != "" {
		attrs = append(attrs, slog.String("pool", pool))
	}
	return attrs
}
