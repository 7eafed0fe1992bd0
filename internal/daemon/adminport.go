package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/dashboard"
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
	errNoSocket = errors.New("it is no socket")
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

// openAdmin opens the admin listener that conf asks for; nil if there is to be
// none, or if the address is the default, which nobody asked for, and is taken, also
// by a pool or by the statistics port.
func (in *Instance) openAdmin(c *config.Config) (*admin.HTTPPort, error) {
	conf := &c.Process
	if conf.Admin.Network == "" {
		return nil, nil
	}
	var listener net.Listener
	err := error(unix.EADDRINUSE)
	if conf.AdminWritten || !takenByOthers(conf.Admin, c, in.opts) {
		listener, err = in.listenAdmin(conf.Admin)
	}
	switch {
	case err == nil:
		return admin.NewHTTP(listener, conf.Admin, admin.HTTPOptions{
			Instance: in, Recorder: in.recorder, Logger: in.log, Page: dashboard.Handler(),
			Tokens: func() []config.Secret { return in.current.Load().tokens },
		}), nil
	case !conf.AdminWritten && errors.Is(err, unix.EADDRINUSE):
		in.log.Notice("no admin listener: its default address is taken, and the configuration names no other",
			slog.String("addr", conf.Admin.String()))
		return nil, nil
	}
	return nil, fmt.Errorf("admin listener: listen on '%s': %w", conf.Admin, in.takenBy(err, conf.Admin))
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

// serveAdmin puts h in the place of the admin listener; nil is none.
func (in *Instance) serveAdmin(h *admin.HTTPPort) {
	if h != nil {
		h.OwnPath(true)
		h.Serve()
	}
	if old := in.adminPort.Swap(h); old != nil {
		old.Leave()
	}
}

// AdminAddr is the address of the admin listener, or nil.
func (in *Instance) AdminAddr() net.Addr {
	if h := in.adminPort.Load(); h != nil {
		return h.Addr()
	}
	return nil
}

// adminIsToMove reports whether the admin listener that there is, or that there is
// none, is not what conf asks for.
func (in *Instance) adminIsToMove(old, conf *config.Config) bool {
	was, is := old.Process.Admin, conf.Process.Admin
	if in.adminPort.Load() == nil {
		return is.Network != ""
	}
	return was.String() != is.String()
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
