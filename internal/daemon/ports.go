package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/socket"
)

const (
	// adminBacklog is how many clients of the admin listener may wait.
	adminBacklog = 128
	// adminMode is the mode of its unix socket if the file says nothing.
	adminMode = 0o600
)

var (
	// errNoToken means that the file for it holds none.
	errNoToken = errors.New("the file holds no token")
	// errNoSocket means that something else is at a socket's path.
	errNoSocket = errors.New("it is not a socket")
	// errNoDir means that the directory of a socket is not there.
	errNoDir = errors.New("the socket's directory is not there")
	// errSharedDir means that others could put a socket of theirs in its place.
	errSharedDir = errors.New("other users can use it")
)

// adminTokens are the tokens that the admin listener accepts: all are for everything, and
// reading for reading alone.
type adminTokens struct{ all, reading []config.Secret }

// readTokens reads the tokens that conf names.
func readTokens(conf *config.Process) (adminTokens, error) {
	all, err := readTokensOf("admin_token", conf.AdminToken, conf.AdminTokenFile, conf.AdminTokenEnv)
	reading, readErr := readTokensOf("admin_read_token", conf.AdminReadToken, conf.AdminReadTokenFile, conf.AdminReadTokenEnv)
	return adminTokens{all, reading}, errors.Join(err, readErr)
}

// readTokensOf reads the tokens of one key and of its twins.
func readTokensOf(key string, written config.Secret, file, variable string) ([]config.Secret, error) {
	var tokens []config.Secret
	if written != "" {
		tokens = append(tokens, written)
	}
	for suffix, from := range map[string]config.SecretSource{"_file": {File: file}, "_env": {Env: variable}} {
		token, err := from.Read()
		if errors.Is(err, config.ErrNoSecret) {
			err = fmt.Errorf("%s: %w", from.File, errNoToken)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key+suffix, err)
		}
		if token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens, nil
}

// The admin listeners: the one of `admin:`, and a unix socket for actions.
const (
	adminPort = iota
	adminSocket
	numAdmins
)

// ports are the listening sockets beside the pools': the admin listeners and the
// statistics port. Addresses may be asked for from any goroutine; the rest is the
// start's, and then of whoever holds what lockGeneration locks.
type ports struct {
	*core
	// options are those of every admin listener.
	options admin.HTTPOptions
	// admins are the admin listeners; nil where there is none.
	admins [numAdmins]atomic.Pointer[admin.HTTPPort]
	// stats is nil if there is no statistics port.
	stats *admin.StatsPort
}

// An adminPlace is where an admin listener is to be.
type adminPlace struct {
	addr config.Address // the zero Address: there is to be none
	name string         // what the log calls it
	// needed: the configuration names it, so the proxy does not run without it.
	needed bool
}

// places are the admin listeners' addresses in conf.
func (p *ports) places(conf *config.Process) [numAdmins]adminPlace {
	places := [numAdmins]adminPlace{
		adminPort:   {addr: conf.Admin, name: "admin listener", needed: conf.AdminWritten},
		adminSocket: {addr: conf.AdminSocket, name: "socket for actions", needed: true},
	}
	if conf.AdminSocket.Network != config.NetworkAuto {
		return places
	}
	places[adminSocket] = adminPlace{name: places[adminSocket].name}
	if p.opts.ConfigFile == "" || conf.Admin.Network != config.NetworkTCP || conf.HasAdminToken() {
		return places
	}
	if dir, err := adminSocketDir(); err == nil {
		path := filepath.Join(dir, config.AdminSocketName(p.configFile))
		places[adminSocket].addr = config.Address{Network: config.NetworkUnix, Path: path}
	} else {
		p.log.Notice("no socket for actions: no directory for it can be used", errAttr(err))
	}
	return places
}

// adminSocketDir is the first directory for sockets that can be used, made if it is
// not there: it must belong to this user or root, and nobody else may write to it.
func adminSocketDir() (string, error) {
	var faults []error
	for _, dir := range config.AdminSocketDirs() {
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			err = mayHoldSockets(dir)
		}
		if err == nil {
			return dir, nil
		}
		faults = append(faults, err)
	}
	return "", errors.Join(faults...)
}

// makeSocketDir makes the directory of a socket if it is one that a proxy has for its sockets,
// such as /run/nuthatch: a service manager makes it for a service, and nobody for a program that
// is started by hand. A path that is empty is none.
func makeSocketDir(path string) error {
	dir := filepath.Dir(path)
	if path == "" {
		return nil
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return nil // whether it can be used is found out by who uses it
	}
	if !slices.Contains(config.AdminSocketDirs(), dir) {
		return fmt.Errorf("%w: make %s first", errNoDir, dir)
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w, and cannot be made by this user (%w): make it first, or start nuthatch by a unit with RuntimeDirectory=", errNoDir, err)
	}
	return nil
}

// makesSocketDir reports whether makeSocketDir can make the directory of a socket.
func makesSocketDir(path string) bool {
	dir := filepath.Dir(path)
	return slices.Contains(config.AdminSocketDirs(), dir) && unix.Access(filepath.Dir(dir), unix.W_OK|unix.X_OK) == nil
}

// mayHoldSockets returns why no socket may be put into a directory, or nil.
func mayHoldSockets(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return &os.PathError{Op: "use", Path: dir, Err: unix.ENOTDIR}
	case int(st.Uid) != os.Geteuid() && st.Uid != 0, st.Mode&0o022 != 0:
		return &os.PathError{Op: "use", Path: dir, Err: errSharedDir}
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &os.PathError{Op: "use", Path: dir, Err: err}
	}
	return nil
}

// openSockets are the warnings of admin listeners on unix sockets that the configuration names,
// in directories in which every user can put a socket in their place. Where the directory's
// sticky bit is set, as in /tmp, only the owner of a file can.
func openSockets(conf *config.Process) (warnings []string) {
	for key, addr := range map[string]config.Address{"admin": conf.Admin, "admin_socket": conf.AdminSocket} {
		if addr.Network != config.NetworkUnix {
			continue
		}
		dir := filepath.Dir(addr.Path)
		if at, err := os.Stat(dir); err == nil && at.Mode().Perm()&0o002 != 0 && at.Mode()&os.ModeSticky == 0 {
			warnings = append(warnings, fmt.Sprintf("nuthatch: %s: every user of the host can put a socket in the place of %s, since every user can write to %s", key, addr.Path, dir))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// open opens an admin listener. It returns nil if there is to be none, or if a
// default address is taken, also by a pool or the statistics port.
func (p *ports) open(c *config.Config, place adminPlace) (*admin.HTTPPort, error) {
	if place.addr.Network == "" {
		return nil, nil
	}
	var listener net.Listener
	err := error(unix.EADDRINUSE)
	if place.needed || !takenByOthers(place.addr, c, p.opts) {
		listener, err = p.listen(place.addr)
	}
	switch {
	case err == nil:
		o := p.options
		o.Name = place.name
		return admin.NewHTTP(listener, place.addr, o), nil
	case !place.needed && errors.Is(err, unix.EADDRINUSE) && place.addr.Network == config.NetworkUnix:
		p.journal.addEvent(events.Event{
			Kind: events.AdminMissing,
			Text: "no socket for actions: another proxy with this configuration file has " + place.addr.Path,
		})
		p.log.Warn("no socket for actions: another proxy with this configuration file has it", slog.String("path", place.addr.Path))
		return nil, nil
	case !place.needed && errors.Is(err, unix.EADDRINUSE):
		p.journal.addEvent(events.Event{
			Kind: events.AdminMissing,
			Text: "no admin listener: its default address, " + place.addr.String() + ", is taken, and the configuration names no other",
		})
		p.log.Warn("no admin listener, so no page, no metrics and no health checks: "+
			"its default address is taken, and the configuration names no other. Set 'nuthatch: admin:'",
			slog.String("addr", place.addr.String()))
		return nil, nil
	}
	return nil, fmt.Errorf("%s: listen on '%s': %w", place.name, place.addr, p.takenBy(err, place.addr))
}

func (p *ports) listen(addr config.Address) (net.Listener, error) {
	spec := socket.ListenSpec{Path: addr.Path, Mode: adminModeOf(addr), Host: addr.Host, Port: addr.Port, Backlog: adminBacklog}
	s, err := p.opts.inherited.listenOn(context.Background(), spec)
	if err != nil {
		return nil, err
	}
	return netListener(s)
}

// serve makes h the admin listener at a place; nil is none.
func (p *ports) serve(which int, h *admin.HTTPPort) {
	if h != nil {
		h.OwnPath(true)
		h.Serve()
	}
	if old := p.admins[which].Swap(h); old != nil {
		old.Leave()
	}
}

// addr is the address of an admin listener, or nil.
func (p *ports) addr(which int) net.Addr {
	if h := p.admins[which].Load(); h != nil {
		return h.Addr()
	}
	return nil
}

// isToMove reports whether an admin listener is not at the place that is asked
// for.
func (p *ports) isToMove(which int, is adminPlace) bool {
	h := p.admins[which].Load()
	if h == nil {
		return is.addr.Network != ""
	}
	return h.Place().String() != is.addr.String()
}

// adminModeOf is the mode of the admin listener's socket.
func adminModeOf(a config.Address) os.FileMode {
	if a.Mode == 0 {
		return adminMode
	}
	return a.Mode
}

// discardAdmin closes an admin listener that never served, if there is one, and
// removes its path.
func discardAdmin(h *admin.HTTPPort) {
	if h != nil {
		h.OwnPath(true)
		h.Close()
	}
}

func (p *ports) openStats() error {
	if p.opts.StatsPort == 0 {
		return nil
	}
	memory := admin.StatsMemory{Budget: p.options.Budget, Servers: p.servers}
	sp, err := admin.ListenStats(p.opts.inherited.listen, p.opts.StatsAddr, p.opts.StatsPort, p.snapshot, memory, p.log)
	if err != nil {
		return err
	}
	p.stats = sp
	return nil
}

// servers is how many servers the pools have together.
func (p *ports) servers() (n int) {
	if g := p.current.Load(); g != nil {
		for i := range g.conf.Pools {
			n += g.conf.Pools[i].NumServers()
		}
	}
	return n
}

// statsAddr is the address of the statistics port, or nil.
func (p *ports) statsAddr() net.Addr {
	if p.stats == nil {
		return nil
	}
	return p.stats.Addr()
}

func (p *ports) closeStats() {
	if p.stats == nil {
		return
	}
	if err := p.stats.Close(); err != nil {
		p.log.Warn("cannot close the statistics port", errAttr(err))
	}
}

// serveAll makes every listener serve. They own their paths from now on.
func (p *ports) serveAll() {
	if p.stats != nil {
		p.stats.OwnPath(true)
		p.log.Notice("statistics port is listening", slog.String("addr", p.stats.Addr().String()))
	}
	for _, h := range p.admin() {
		h.OwnPath(true)
		h.Serve()
	}
}

// handOver closes the listeners and leaves their paths to the other program.
func (p *ports) handOver() {
	if p.stats != nil {
		p.stats.OwnPath(false)
	}
	p.closeStats()
	for _, h := range p.admin() {
		h.OwnPath(false)
		h.Leave()
	}
}

// closeAdmin closes the admin listeners for the end of the proxy.
func (p *ports) closeAdmin() {
	for _, h := range p.admin() {
		if p.life.serving.Load() || p.leavesPaths() {
			h.Close()
		} else {
			discardAdmin(h)
		}
	}
}

// admin are the admin listeners that there are.
func (p *ports) admin() []*admin.HTTPPort {
	var list []*admin.HTTPPort
	for i := range p.admins {
		if h := p.admins[i].Load(); h != nil {
			list = append(list, h)
		}
	}
	return list
}

// takenBy adds to an error that this proxy itself has the port, at another host:
// its old listener closes only when the new one is open.
func (p *ports) takenBy(err error, addr config.Address) error {
	g := p.current.Load()
	if g == nil || addr.Port == 0 || !errors.Is(err, unix.EADDRINUSE) {
		return err
	}
	var ours []config.Address
	for _, h := range p.admin() {
		ours = append(ours, h.Place())
	}
	for _, l := range g.listeners {
		ours = append(ours, l.addr)
	}
	for _, s := range g.sentinels {
		if s != nil {
			ours = append(ours, s.Place())
		}
	}
	if p.stats != nil {
		ours = append(ours, statsAddress(p.opts))
	}
	for _, own := range ours {
		if own.Port == addr.Port {
			return fmt.Errorf("%w, by this proxy's own listener at '%s': change to another port first, or restart it", err, own)
		}
	}
	return err
}

// files adds copies of the listening sockets. They are the caller's, also with an
// error.
func (p *ports) files(files []*os.File) ([]*os.File, error) {
	if p.stats != nil {
		f, err := p.stats.File()
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	for _, h := range p.admin() {
		f, err := h.File()
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}
