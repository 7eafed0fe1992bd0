package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/dashboard"
	"nuthatch/internal/events"
	"nuthatch/internal/socket"
)

const (
	// adminBacklog is how many clients of the admin listener may wait.
	adminBacklog = 128
	// adminMode is the mode of its unix socket if the file says nothing.
	adminMode = 0o600
	// maxToken is the most bytes that are read of a token's file.
	maxToken = 4096
)

var (
	// errNoToken means that the file for it holds none.
	errNoToken = errors.New("the file holds no token")
	// errNoSocket means that something else is at a socket's path.
	errNoSocket = errors.New("it is not a socket")
	// errSharedDir means that others could put a socket of theirs in its place.
	errSharedDir = errors.New("other users can use it")
)

// readTokens are the tokens that conf names.
func readTokens(conf *config.Process) ([]config.Secret, error) {
	var tokens []config.Secret
	if conf.AdminToken != "" {
		tokens = append(tokens, conf.AdminToken)
	}
	if conf.AdminTokenFile == "" {
		return tokens, nil
	}
	f, err := os.Open(conf.AdminTokenFile)
	if err != nil {
		return nil, fmt.Errorf("admin_token_file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken))
	token := strings.TrimSpace(string(text))
	if err == nil && token == "" {
		err = errNoToken
	}
	if err != nil {
		return nil, fmt.Errorf("admin_token_file: %s: %w", conf.AdminTokenFile, err)
	}
	return append(tokens, config.Secret(token)), nil
}

// The admin listeners: the one of `admin:`, and a unix socket for actions.
const (
	adminPort = iota
	adminSocket
	numAdmins
)

// An adminPlace is where an admin listener is to be.
type adminPlace struct {
	addr config.Address // the zero Address: there is to be none
	name string         // what the log calls it
	// needed: somebody asked for it, so that the proxy does not run without.
	needed bool
}

// adminPlaces are where conf has the admin listeners.
func (in *Instance) adminPlaces(conf *config.Process) [numAdmins]adminPlace {
	places := [numAdmins]adminPlace{
		adminPort:   {addr: conf.Admin, name: "admin listener", needed: conf.AdminWritten},
		adminSocket: {addr: conf.AdminSocket, name: "socket for actions", needed: true},
	}
	if conf.AdminSocket.Network != config.NetworkAuto {
		return places
	}
	places[adminSocket] = adminPlace{name: places[adminSocket].name}
	if in.opts.ConfigFile == "" || conf.Admin.Network != config.NetworkTCP || conf.AdminToken != "" || conf.AdminTokenFile != "" {
		return places
	}
	if dir, err := adminSocketDir(); err == nil {
		path := filepath.Join(dir, config.AdminSocketName(in.configFile))
		places[adminSocket].addr = config.Address{Network: config.NetworkUnix, Path: path}
	} else {
		in.log.Notice("no socket for actions: no directory for it can be used", errAttr(err))
	}
	return places
}

// adminSocketDir is the first directory for sockets that can be used, made if it is
// not there: it must be this user's or root's, and nobody else's to write in.
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

// mayHoldSockets reports why a directory is not one to put a socket in, if it is not.
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

// openAdmin opens an admin listener; nil if there is to be none, or if nobody asked
// for it and its address is taken, also by a pool or by the statistics port.
func (in *Instance) openAdmin(c *config.Config, place adminPlace) (*admin.HTTPPort, error) {
	if place.addr.Network == "" {
		return nil, nil
	}
	var listener net.Listener
	err := error(unix.EADDRINUSE)
	if place.needed || !takenByOthers(place.addr, c, in.opts) {
		listener, err = in.listenAdmin(place.addr)
	}
	switch {
	case err == nil:
		o := in.httpOptions()
		o.Name = place.name
		return admin.NewHTTP(listener, place.addr, o), nil
	case !place.needed && errors.Is(err, unix.EADDRINUSE) && place.addr.Network == config.NetworkUnix:
		in.tell(events.Event{
			Kind: events.AdminMissing,
			Text: "no socket for actions: another proxy with this configuration file has " + place.addr.Path,
		})
		in.log.Warn("no socket for actions: another proxy with this configuration file has it", slog.String("path", place.addr.Path))
		return nil, nil
	case !place.needed && errors.Is(err, unix.EADDRINUSE):
		in.tell(events.Event{
			Kind: events.AdminMissing,
			Text: "no admin listener: its default address, " + place.addr.String() + ", is taken, and the configuration names no other",
		})
		in.log.Warn("warning: no admin listener, so no page, no metrics and no health checks: "+
			"its default address is taken, and the configuration names no other. Set 'nuthatch: admin:'",
			slog.String("addr", place.addr.String()))
		return nil, nil
	}
	return nil, fmt.Errorf("%s: listen on '%s': %w", place.name, place.addr, in.takenBy(err, place.addr))
}

// httpOptions are those of every admin listener.
func (in *Instance) httpOptions() admin.HTTPOptions {
	return admin.HTTPOptions{
		Instance: in, Recorder: in.recorder, Logger: in.log, Page: dashboard.Handler(),
		Tokens:   func() []config.Secret { return in.current.Load().tokens },
		Insecure: func() bool { return in.current.Load().conf.Process.AdminInsecure },
		ActionSocket: func() string {
			if h := in.admins[adminSocket].Load(); h != nil {
				return h.Addr().String()
			}
			return ""
		},
	}
}

func (in *Instance) listenAdmin(addr config.Address) (net.Listener, error) {
	spec := socket.ListenSpec{Path: addr.Path, Mode: adminModeOf(addr), Host: addr.Host, Port: addr.Port, Backlog: adminBacklog}
	fd, err := in.opts.inherited.listenOn(context.Background(), spec)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), addr.String())
	defer f.Close() // FileListener has its own
	return net.FileListener(f)
}

// serveAdmin puts h in the place of an admin listener; nil is none.
func (in *Instance) serveAdmin(which int, h *admin.HTTPPort) {
	if h != nil {
		h.OwnPath(true)
		h.Serve()
	}
	if old := in.admins[which].Swap(h); old != nil {
		old.Leave()
	}
}

// AdminAddr is the address of the admin listener, or nil.
func (in *Instance) AdminAddr() net.Addr { return addrOf(in.admins[adminPort].Load()) }

// ActionAddr is the address of the socket for actions, or nil.
func (in *Instance) ActionAddr() net.Addr { return addrOf(in.admins[adminSocket].Load()) }

func addrOf(h *admin.HTTPPort) net.Addr {
	if h == nil {
		return nil
	}
	return h.Addr()
}

// adminIsToMove reports whether an admin listener, or that there is none, is not what
// is asked for.
func (in *Instance) adminIsToMove(which int, is adminPlace) bool {
	h := in.admins[which].Load()
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

// discardAdmin ends an admin listener that never served, if there is one, and
// removes its path.
func discardAdmin(h *admin.HTTPPort) {
	if h != nil {
		h.OwnPath(true)
		h.Close()
	}
}
