package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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
// is applied as a whole or not at all; the error has every reason why not. This is the
// process's part; that of each loop is in proxy/reload.go.
//
//	prepare: what can fail, each step with its undo        commit: what cannot
//	read, check ─► tokens, ─► listeners ─► names looked up ─► every loop, between two ─► what is no longer
//	      │     certificates,     │             │             of its events, adopts      wanted finishes
//	      │        users          │             │
//	      └───────────┴───────────┴─────────────┘             it
//	                 any fault: abort, all as it was
//
// Clients of pools that stay notice nothing. by says who asked for it.
func (in *Instance) Reload(by string) (*preview.Change, error) {
	defer in.lockGeneration()()
	old := in.current.Load()
	change, err := in.reload()
	if err != nil {
		in.journal.refused(err, by)
		return nil, err
	}
	now := in.current.Load()
	change.Users, change.Refused = changedUsers(old, now), now.refused()
	for _, w := range now.conf.Warnings {
		change.Warnings = append(change.Warnings, w.Error())
	}
	change.Warnings = append(change.Warnings, openSockets(&now.conf.Process)...)
	in.journal.reloaded(change, in.opts.ConfigFile, by)
	in.journal.users(change.Users)
	in.journal.warnings(now.conf)
	in.journal.warnOfUsers(now)
	in.certificates.tellRefused(change.Refused)
	return change, nil
}

func (in *Instance) reload() (*preview.Change, error) {
	if in.life.ending() {
		return nil, admin.ErrEnding
	}
	r := &reloading{in: in, old: in.current.Load()}
	err := r.prepare()
	if err == nil {
		err = r.commit()
	}
	if err != nil {
		r.abort()
		return nil, err
	}
	return r.change, nil
}

// A reloading is a reload that is under way. Until commit it changes nothing of
// what is in force: it opens, reads and looks up what the next generation needs.
type reloading struct {
	in        *Instance
	old, next *generation
	change    *preview.Change
	// admins take the places of the admin listeners that move, nil if there is to be
	// none.
	admins     [numAdmins]*admin.HTTPPort
	adminMoves [numAdmins]bool
	// sum is that of the files before the users were read.
	sum [sha256.Size]byte
	// undo takes back what was prepared, the last first.
	undo []func()
}

// A reloadStep is a step of a reload that can fail.
type reloadStep struct {
	name string
	// The others make no sense without a first step. A last step is left out after a
	// fault.
	first, last bool
	// reads: it reads files, and an end does not wait for that.
	reads bool
	do    func(*reloading) error
}

// reloadSteps are in order. A fault does not stop the later ones, so that all
// faults are reported.
var reloadSteps = []reloadStep{
	{name: "file", first: true, reads: true, do: (*reloading).read},
	{name: "tokens", reads: true, do: (*reloading).readTokens},
	{name: "certificates", reads: true, do: (*reloading).readCertificates},
	{name: "users", reads: true, do: (*reloading).readUsers},
	{name: "admin listener", do: (*reloading).openAdmin},
	{name: "modes", do: (*reloading).checkModes},
	{name: "listeners", do: (*reloading).openListeners},
	{name: "sentinels", do: (*reloading).openSentinels},
	{name: "names", last: true, do: (*reloading).lookUp},
}

func (r *reloading) prepare() error {
	var faults []error
	for _, s := range reloadSteps {
		if s.last && len(faults) > 0 {
			break
		}
		err := r.take(&s)
		if errors.Is(err, admin.ErrEnding) {
			return err // the step may go on reading
		}
		if err == nil {
			continue
		}
		faults = append(faults, err)
		if s.first {
			break
		}
	}
	return errors.Join(faults...)
}

// take takes the step. A step that reads is left alone if the proxy is to end: a file may be on a
// server that does not answer.
func (r *reloading) take(s *reloadStep) error {
	do := func() error {
		err := s.do(r)
		if fail := r.in.opts.failing; err == nil && fail != nil {
			err = fail(s.name)
		}
		return err
	}
	if !s.reads {
		return do()
	}
	err, done := unlessEnded(r.in.life.asked, do)
	if !done {
		return admin.ErrEnding
	}
	return err
}

// unlessEnded returns what read returns, unless ctx ends before.
func unlessEnded[T any](ctx context.Context, read func() T) (is T, done bool) {
	result := make(chan T, 1)
	go func() { result <- read() }()
	select {
	case is = <-result:
		return is, true
	case <-ctx.Done():
		return is, false
	}
}

// abort takes back what was prepared.
func (r *reloading) abort() {
	for _, undo := range slices.Backward(r.undo) {
		undo()
	}
}

func (r *reloading) onAbort(undo func()) { r.undo = append(r.undo, undo) }

func (r *reloading) read() error {
	conf, err := r.in.loadConfig()
	if err != nil {
		return err
	}
	r.change = &preview.Change{Report: preview.Compare(r.old.conf, conf)}
	conf, r.change.NotApplied = keepStatic(r.old.conf, conf)
	r.change.Drop()
	r.next = newGeneration(conf)
	return nil
}

func (r *reloading) readTokens() (err error) {
	r.next.tokens, err = readTokens(&r.next.conf.Process)
	return err
}

func (r *reloading) readCertificates() (err error) {
	r.next.tls, err = r.in.certificates.load(r.next.conf, r.old)
	return err
}

func (r *reloading) readUsers() (err error) {
	r.sum = r.in.watcher.sumOf(r.next.conf)
	r.next.users, err = readUsers(r.next.conf, r.old)
	return err
}

func (r *reloading) openAdmin() (err error) {
	for i, place := range r.in.ports.places(&r.next.conf.Process) {
		if !r.in.ports.isToMove(i, place) {
			continue
		}
		r.adminMoves[i] = true
		if r.admins[i], err = r.in.ports.open(r.next.conf, place); err != nil {
			return err
		}
		r.onAbort(func() { discardAdmin(r.admins[i]) })
	}
	return nil
}

// checkModes finds unix sockets whose mode is to change and cannot.
func (r *reloading) checkModes() error {
	var faults []error
	for _, c := range r.modeChanges() {
		if err := mayChmod(c.path); err != nil {
			faults = append(faults, fmt.Errorf("%s: change the mode of '%s': %w", c.of, c.path, err))
		}
	}
	return errors.Join(faults...)
}

func (r *reloading) openListeners() error {
	err := r.in.listeners.openAll(r.next, r.old)
	r.onAbort(func() { r.in.listeners.close(r.next.listenersWithout(r.old)) })
	return err
}

// openSentinels opens the listeners where pools answer as Sentinels.
func (r *reloading) openSentinels() error {
	err := r.in.sentinels.openAll(r.next, r.old)
	r.onAbort(func() { r.next.closeSentinelsWithout(r.old) })
	return err
}

func (r *reloading) lookUp() error {
	in, g := r.in, r.next
	g.makeTopologies(r.old, in.Now())
	g.resolver = in.resolver(g)
	g.resolver.follow(r.old.resolver)
	g.resolver.lookUp(in.life.asked)
	r.onAbort(g.stopWatching)
	membership{in.core}.prepare(g, r.old)
	if in.life.ending() {
		return admin.ErrEnding
	}
	return nil
}

// commit puts the next generation in force. It fails only if a loop has ended,
// which ends the proxy.
func (r *reloading) commit() error {
	in, old, g := r.in, r.old, r.next
	for _, t := range g.topo {
		t.Settle(in.Now())
	}
	r.onAbort(g.resolver.stop)
	g.resolver.start()
	g.startWatching()
	if err := in.adopt(g); err != nil {
		return err
	}
	old.resolver.stop()
	old.stopWatching()
	old.checks.Stop()
	in.current.Store(g)
	in.pauses.endWithout(g)
	in.applyMemory(g)
	in.certificates.apply(g)
	in.applyCoreDumps(&g.conf.Process)
	in.traces.apply(in, g)
	for i, moves := range r.adminMoves {
		if moves {
			in.ports.serve(i, r.admins[i])
		}
	}
	for _, t := range g.topo {
		t.Refresh(in.Now())
	}
	in.startChecks(g)
	in.listeners.close(old.listenersWithout(g))
	in.sentinels.serve(g, in.resources.descriptorLimit())
	old.closeSentinelsWithout(g)
	r.applyModes()
	in.listeners.applyBacklogs(old, g)
	in.watcher.watch(g.conf.Process.Watch, r.sum)
	in.reporter.surveyAgain(g)
	return nil
}

// Preview is what conf would change or, if conf is nil, what the file would
// change now. Without reveals the secrets of conf are not compared.
func (in *Instance) Preview(conf *config.Config, reveals bool, take func(n int64) error) (*preview.Change, error) {
	old := in.current.Load()
	if conf == nil {
		var err error
		if conf, err = in.loadConfig(); err != nil {
			return nil, err
		}
	} else {
		conf = conf.WithSecretsOf(old.conf)
		if !reveals {
			conf = conf.WithoutGuesses(old.conf)
		}
	}
	if err := take(preview.Memory(old.conf, conf)); err != nil {
		return nil, err
	}
	change := &preview.Change{Report: preview.Compare(old.conf, conf)}
	_, change.NotApplied = keepStatic(old.conf, conf)
	change.Drop()
	return change, nil
}

func (in *Instance) loadConfig() (*config.Config, error) {
	if in.opts.ConfigFile == "" {
		return nil, admin.ErrNoFile
	}
	conf, err := config.Load(in.opts.ConfigFile)
	if err != nil {
		return nil, err
	}
	return conf.WithSecrets()
}

// adopt makes every loop use g. The accepting loop comes last, so that it deals
// clients to new pools when all others know them.
func (in *Instance) adopt(g *generation) error {
	by := in.leaveBy(g)
	options := make(map[*proxy.Context][]proxy.PoolOptions, len(in.loops.contexts))
	for _, ctx := range in.loops.contexts {
		options[ctx] = in.poolOptions(g)
	}
	measures := in.measures(g)
	return in.loops.onAll(func(ctx *proxy.Context) {
		ctx.Adopt(options[ctx], by)
		ctx.SetMeasures(measures)
		if ctx != in.loops.contexts[0] {
			return
		}
		g.serve()
	})
}

// live are the settings of the process that a reload applies: all but a few.
func live(p *config.Process, from *config.Process) {
	old := *p
	*p = *from
	p.Threads, p.Engine, p.LogFormat = old.Threads, old.Engine, old.LogFormat
}

// keepStatic returns the configuration with the old values of settings that a
// running proxy cannot change, and lists those that differ in the file.
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
				Why:    "it is set when a listener opens, and this one stays open",
			})
			p.ReusePort = was.ReusePort
			break
		}
	}
	return &kept, not
}

// A modeChange is a unix socket that stays and gets another mode.
type modeChange struct {
	of, path string
	mode     os.FileMode
}

// modeChanges are the changes of modes that the next generation asks for.
func (r *reloading) modeChanges() []modeChange {
	var all []modeChange
	before := make(map[string]os.FileMode)
	for _, at := range r.old.conf.Listeners() {
		if at.Network == config.NetworkUnix {
			before[at.Path] = at.Mode
		}
	}
	for _, at := range r.next.conf.Listeners() {
		if was, stays := before[at.Path]; stays && at.Mode != was && at.Mode != 0 {
			all = append(all, modeChange{"pool '" + r.next.conf.Pools[at.Pool].Name + "'", at.Path, at.Mode})
		}
	}
	was := r.in.ports.places(&r.old.conf.Process)
	for i, is := range r.in.ports.places(&r.next.conf.Process) {
		there := r.in.ports.admins[i].Load() != nil && !r.adminMoves[i] && is.addr.Network == config.NetworkUnix
		if there && adminModeOf(was[i].addr) != adminModeOf(is.addr) {
			all = append(all, modeChange{"admin listener", is.addr.Path, adminModeOf(is.addr)})
		}
	}
	return all
}

// mayChmod returns why the mode of a unix socket cannot be changed, or nil. It
// does not change the socket.
func mayChmod(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errNoSocket
	}
	if uid := os.Geteuid(); uid != 0 && uint32(uid) != st.Uid {
		return unix.EPERM
	}
	return nil
}

// applyModes changes the modes of unix sockets that stay.
func (r *reloading) applyModes() {
	for _, c := range r.modeChanges() {
		if err := os.Chmod(c.path, c.mode); err != nil {
			r.in.log.Error("cannot change the listening socket's mode", pathAttr(c.path), errAttr(err))
		}
	}
}

func changeAttrs(pool string, c config.Change) []slog.Attr {
	attrs := []slog.Attr{slog.String("key", c.Key), slog.String("old", c.Old), slog.String("new", c.New)}
	if pool != "" {
		attrs = append(attrs, slog.String("pool", pool))
	}
	return attrs
}
